// Keys and addresses from a file instead of signaling; bench/README.md, "Keys from a file", has the format. Must not know
// sockets or media. What is wrong with a file is said without its text, which is secret.
import CLinux
import PeerTransport

struct KeyFile {
    struct Peer {
        /// Where the client's socket is bound.
        var address: clinux_address
        /// Master key and salt of what the client sends.
        var outgoing: [UInt8]
        /// And of what it is sent.
        var incoming: [UInt8]
    }

    static let version = 1
    static let subscribersAtMost = 5000
    private static let lineBytes = 300

    var profile: SRTPProfile
    var server: clinux_address
    var publisher: Peer
    var subscribers: [Peer]

    init(profile: SRTPProfile, server: clinux_address, publisher: Peer, subscribers: [Peer]) {
        self.profile = profile
        self.server = server
        self.publisher = publisher
        self.subscribers = subscribers
    }

    /// Fresh keys; the clients' ports count on from the server's.
    /// - Throws: `LoadError` where there are not enough ports above the server's.
    init(profile: SRTPProfile, server: clinux_address, subscribers: Int) throws {
        guard Int(server.port) + 1 + subscribers <= Int(UInt16.max), server.port > 0 else {
            throw LoadError("port \(server.port) leaves no room for \(subscribers) subscribers above it")
        }
        var random = SystemRandomNumberGenerator()
        func key() -> [UInt8] {
            (0..<profile.keyLength + profile.saltLength).map { _ in .random(in: .min ... .max, using: &random)
            }
        }
        func peer(_ number: Int) -> Peer {
            var address = server
            address.port = server.port + UInt16(number)
            return Peer(address: address, outgoing: key(), incoming: key())
        }
        self.init(
            profile: profile,
            server: server,
            publisher: peer(1),
            subscribers: (0..<subscribers).map { peer(2 + $0) }
        )
    }

    // MARK: Text

    var text: String {
        var lines = ["sfu-keys \(Self.version)", "profile \(profile.name)", "server \(server.text)"]
        lines.append("publisher \(Self.text(publisher))")
        lines += subscribers.map { "subscriber \(Self.text($0))" }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func text(_ peer: Peer) -> String {
        "\(peer.address.text) \(hex(peer.outgoing)) \(hex(peer.incoming))"
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    /// - Throws: `LoadError` that names the line.
    init(parsing text: String) throws {
        var records: [(line: Int, fields: [Substring])] = []
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (place, line) in lines.enumerated() {
            guard line.utf8.count <= Self.lineBytes else {
                throw LoadError("line \(place + 1): longer than \(Self.lineBytes) bytes")
            }
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\r" })
            guard let first = fields.first, !first.hasPrefix("#") else { continue }
            records.append((place + 1, fields))
        }
        guard let head = records.first, head.fields == ["sfu-keys", "\(Self.version)"] else {
            throw LoadError("the file does not begin with `sfu-keys \(Self.version)`")
        }
        records.removeFirst()
        let profile = try Self.only("profile", in: records) { SRTPProfile(name: $0) }
        server = try Self.only("server", in: records) { clinux_address(text: $0) }
        self.profile = profile
        var publishers: [Peer] = []
        subscribers = []
        for (line, fields) in records {
            switch fields[0] {
            case "profile", "server": continue
            case "publisher": publishers.append(try Self.peer(fields, line, profile))
            case "subscriber": subscribers.append(try Self.peer(fields, line, profile))
            default: throw LoadError("line \(line): an unknown record")
            }
        }
        guard publishers.count == 1 else {
            throw LoadError("\(publishers.count) records `publisher` instead of one")
        }
        guard 1...Self.subscribersAtMost ~= subscribers.count else {
            throw LoadError("\(subscribers.count) records `subscriber`: 1 to \(Self.subscribersAtMost)")
        }
        publisher = publishers[0]
    }

    private static func only<Value>(
        _ name: String,
        in records: [(line: Int, fields: [Substring])],
        _ read: (Substring) -> Value?
    ) throws -> Value {
        let found = records.filter { $0.fields[0] == name }
        guard found.count == 1, found[0].fields.count == 2 else {
            throw LoadError("exactly one record `\(name)` with one value is needed")
        }
        guard let value = read(found[0].fields[1]) else {
            throw LoadError("line \(found[0].line): no \(name) that is known here")
        }
        return value
    }

    private static func peer(_ fields: [Substring], _ line: Int, _ profile: SRTPProfile) throws -> Peer {
        guard fields.count == 4 else { throw LoadError("line \(line): an address and two keys are needed") }
        guard let address = clinux_address(text: fields[1]) else {
            throw LoadError("line \(line): no numeric address with a port")
        }
        let length = profile.keyLength + profile.saltLength
        guard let outgoing = bytes(fields[2], length), let incoming = bytes(fields[3], length) else {
            throw LoadError("line \(line): a key has \(length * 2) hexadecimal digits with this profile")
        }
        return Peer(address: address, outgoing: outgoing, incoming: incoming)
    }

    private static func bytes(_ hex: Substring, _ length: Int) -> [UInt8]? {
        let digits = hex.utf8.compactMap { UInt8(String(UnicodeScalar($0)), radix: 16) }
        guard hex.utf8.count == length * 2, digits.count == length * 2 else { return nil }
        return (0..<length).map { digits[$0 * 2] << 4 | digits[$0 * 2 + 1] }
    }
}

extension SRTPProfile {
    /// Names of OpenSSL.
    var name: String {
        switch self {
        case .aes128CMSHA1_80: "SRTP_AES128_CM_SHA1_80"
        case .aeadAES128GCM: "AEAD_AES_128_GCM"
        case .aeadAES256GCM: "AEAD_AES_256_GCM"
        }
    }

    init?(name: Substring) {
        guard let profile = Self.allCases.first(where: { $0.name == name }), profile != .aeadAES256GCM else {
            return nil
        }
        self = profile
    }
}
