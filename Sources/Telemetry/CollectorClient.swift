// The collector's address, and the HTTP client that posts to it. Header values are secrets: they are in no text here.
// Must not know spans.
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import RTP

/// Where spans go and what goes along.
public struct CollectorAddress: Sendable, Equatable {
    public enum Fault: Error, Sendable, Equatable, CustomStringConvertible {
        case address(String)
        case header

        public var description: String {
            switch self {
            case .address(let text): "\"\(text)\" is no http:// or https:// address"
            // The text may hold a secret.
            case .header: "a header is name=value, without control characters"
            }
        }
    }

    /// With the path of traces.
    public let url: String
    public let headers: [(name: String, value: String)]

    /// - Parameters:
    ///   - endpoint: as OTEL_EXPORTER_OTLP_ENDPOINT has it: `/v1/traces` is added.
    ///   - headers: `name=value`, the value percent-encoded where it needs to be.
    public init(endpoint: String, headers: [String] = []) throws(Fault) {
        guard let parts = URLComponents(string: endpoint), let scheme = parts.scheme?.lowercased(),
            ["http", "https"].contains(scheme), let host = parts.host, !host.isEmpty, parts.user == nil,
            parts.password == nil, parts.fragment == nil
        else { throw .address(Self.withoutSecrets(endpoint)) }
        var complete = parts
        if !complete.path.hasSuffix("/v1/traces") {
            while complete.path.hasSuffix("/") { complete.path.removeLast() }
            complete.path += "/v1/traces"
        }
        guard let url = complete.string else { throw .address(Self.withoutSecrets(endpoint)) }
        self.url = url
        var read: [(name: String, value: String)] = []
        for header in headers {
            guard let equals = header.firstIndex(of: "=") else { throw .header }
            let name = header[..<equals].trimmingCharacters(in: .whitespaces)
            let raw = header[header.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            guard let value = raw.removingPercentEncoding, !name.isEmpty,
                name.utf8.allSatisfy(Self.isToken),
                value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
            else { throw .header }
            read.append((name, value))
        }
        self.headers = read
    }

    public static func == (a: CollectorAddress, b: CollectorAddress) -> Bool {
        a.url == b.url && a.headers.elementsEqual(b.headers) { $0 == $1 }
    }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// People put passwords into addresses.
    private static func withoutSecrets(_ text: String) -> String {
        guard let at = text.lastIndex(of: "@") else { return String(text.prefix(200)) }
        return "…" + text[at...].prefix(200)
    }
}

/// Posts to one collector. `shutdown` before it goes.
public final class CollectorClient: SpanTransport {
    private let address: CollectorAddress
    private let client: HTTPClient
    private let userAgent: String
    private let wallClock: @Sendable () -> Double

    /// - Parameter wallClock: seconds since 1970, for dates in `Retry-After`.
    public init(
        _ address: CollectorAddress,
        userAgent: String,
        group: any EventLoopGroup,
        wallClock: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
    ) {
        self.address = address
        self.userAgent = userAgent
        self.wallClock = wallClock
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .microseconds(Limits.Telemetry.requestTimeout.microseconds)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1
        // Our own exporter is not traced.
        client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    public func post(_ body: [UInt8]) async -> ExportAnswer {
        var request = HTTPClientRequest(url: address.url)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json")
        request.headers.add(name: "user-agent", value: userAgent)
        for header in address.headers { request.headers.replaceOrAdd(name: header.name, value: header.value) }
        request.body = .bytes(ByteBuffer(bytes: body))
        let timeout = TimeAmount.microseconds(Limits.Telemetry.requestTimeout.microseconds)
        do {
            let response = try await client.execute(request, timeout: timeout)
            let retryAfter = response.headers.first(name: "retry-after")
                .flatMap { RetryAfter.parse($0, now: wallClock()) }
            // A long answer says nothing that we need; without it the connection is closed.
            let answer = try? await response.body.collect(upTo: Limits.Telemetry.answerBytes)
            return .status(
                Int(response.status.code),
                retryAfter: retryAfter,
                rejected: answer.map { PartialSuccess.rejected([UInt8](buffer: $0)) } ?? 0
            )
        } catch {
            // The client's own words name neither headers nor bodies.
            return .failed(String("\(error)".prefix(200)))
        }
    }

    public func shutdown() async { try? await client.shutdown() }
}

/// What the collector says about the spans of an export that it took in part.
enum PartialSuccess {
    private struct Answer: Decodable {
        struct Part: Decodable { var rejectedSpans: Count? }
        var partialSuccess: Part?
    }
    /// 64-bit numbers are text in protobuf's JSON, and numbers in some collectors'.
    private struct Count: Decodable {
        var value: Int

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                value = number
            } else {
                value = Int(try container.decode(String.self)) ?? 0
            }
        }
    }

    static func rejected(_ answer: [UInt8]) -> Int {
        let decoded = try? JSONDecoder().decode(Answer.self, from: Data(answer))
        return max(0, decoded?.partialSuccess?.rejectedSpans?.value ?? 0)
    }
}
