// Errors as people and programs read them: application/problem+json (RFC 9457). Must not know routes.
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat

import struct Foundation.Data
import class Foundation.JSONEncoder

/// An HTTP error with its reason. `detail` carries no secret.
struct Problem: Error, Sendable {
    var status: HTTPResponse.Status
    var detail: String
    var code: ErrorCode?
    var headers: HTTPFields

    init(
        _ status: HTTPResponse.Status,
        _ detail: String,
        code: ErrorCode? = nil,
        headers: HTTPFields = [:]
    ) {
        self.status = status
        self.detail = detail
        self.code = code
        self.headers = headers
    }

    init(_ error: GatewayError) {
        self.init(.init(code: error.code.httpStatus), error.message, code: error.code)
        if let milliseconds = error.retryAfterMs {
            headers[.retryAfter] = "\(max(1, (milliseconds + 999) / 1000))"
        } else if status == .serviceUnavailable || status == .tooManyRequests || status == .conflict {
            headers[.retryAfter] = "2"
        }
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer error=\"invalid_token\"" }
    }

    init(_ error: HTTPError) {
        guard error.status != .notFound else {
            self = .notFound
            return
        }
        self.init(error.status, error.body ?? error.status.reasonPhrase, headers: error.headers)
    }

    static let notFound = Problem(.notFound, "there is nothing here", code: .notFound)

    private struct Body: Encodable {
        var type = "about:blank"
        var title: String
        var status: Int
        var detail: String
        var code: ErrorCode?
    }

    var response: Response { written.response }

    /// With the text of its body.
    var written: (response: Response, body: ByteBuffer) {
        let body = Body(title: status.reasonPhrase, status: status.code, detail: detail, code: code)
        var response = Response(status: status, headers: headers)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let text = (try? encoder.encode(body)).map { ByteBuffer(data: $0) } ?? ByteBuffer()
        response.body = .init(byteBuffer: text)
        response.headers[.contentType] = "application/problem+json"
        response.headers[.cacheControl] = "no-store"
        return (response, text)
    }
}
