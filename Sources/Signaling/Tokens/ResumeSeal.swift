// Resume tokens: what a session needs to come back, sealed so that only this server, or its successor with the same
// keys, can read it. Knows keys and texts; must not know sessions, sockets or the clock.
import Crypto
import Foundation
import RTP
import Seam

/// What a resume token carries. Nobody but the server reads it, so that a server that has lost its memory can take
/// the bearer back in without asking anybody.
struct ResumeTicket: Codable, Equatable, Sendable {
    var session: SessionID
    var participant: ParticipantID
    /// Counts the tokens of a session: an older one than the last two is void.
    var number: UInt64
    var room: String
    var user: UserID
    var name: String?
    var device: String?
    /// `did` of the token, which the client could not choose.
    var fixedDevice: String?
    var kind: String
    var role: Role
    var grants: Grants
    var duplicates: DuplicatePolicy
    var attributes: [String: String]
    /// Milliseconds since 1970 of the join, and until when the bearer may stay.
    var joinedAt: UInt64
    var expiresAt: UInt64
}

/// Seals and opens tickets with AES-256-GCM. Text: base64url of version (1 byte), key id (4), nonce (12), sealed
/// ticket, tag (16).
public struct ResumeSeal: Sendable {
    /// A 256-bit key and the name that a token calls it by.
    private struct Key: Sendable {
        let key: SymmetricKey
        let id: [UInt8]

        init(_ bytes: some ContiguousBytes) {
            key = SymmetricKey(data: bytes)
            id = key.withUnsafeBytes { Array(SHA256.hash(data: Data($0)).prefix(4)) }
        }
    }

    private static let version: UInt8 = 1
    private static let purpose = Data("sfu.v1 resume".utf8)
    public static let keyBytes = 32

    private let current: Key
    private let keys: [Key]

    /// A key that dies with the process.
    public init() {
        current = Key(SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) })
        keys = [current]
    }

    /// - Parameter keys: 32 bytes each; the first seals, all open. nil where there is none or one has another length.
    public init?(keys: [[UInt8]]) {
        guard let first = keys.first, keys.allSatisfy({ $0.count == Self.keyBytes }) else { return nil }
        current = Key(first)
        self.keys = keys.map { Key($0) }
    }

    func seal(_ ticket: ResumeTicket) -> String? {
        guard let plain = try? JSONEncoder().encode(ticket),
            let box = try? AES.GCM.seal(plain, using: current.key, authenticating: Self.purpose),
            let sealed = box.combined
        else { return nil }
        return Self.text([Self.version] + current.id + sealed)
    }

    /// nil where the text is not a token of ours, or was sealed with a key that is gone.
    func open(_ text: String) -> ResumeTicket? {
        guard text.utf8.count <= Limits.Signaling.resumeTokenBytes, let bytes = Self.bytes(text),
            bytes.count > 33,
            bytes[0] == Self.version, let key = keys.first(where: { $0.id == Array(bytes[1..<5]) }),
            let box = try? AES.GCM.SealedBox(combined: bytes[5...]),
            let plain = try? AES.GCM.open(box, using: key.key, authenticating: Self.purpose)
        else { return nil }
        return try? JSONDecoder().decode(ResumeTicket.self, from: plain)
    }

    private static func text(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        let standard = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        return Data(base64Encoded: standard + padding).map { Array($0) }
    }
}

/// The sealing keys of a data directory: one per line in hexadecimal, the newest first.
public enum SealKeyFile {
    public static let name = "seal.key"

    public enum Failure: Error, CustomStringConvertible {
        case unreadable(path: String, reason: String)
        case malformed(path: String)

        public var description: String {
            switch self {
            case .unreadable(let path, let reason): "the sealing key \(path) cannot be used: \(reason)"
            case .malformed(let path):
                "\(path) should hold 64 hexadecimal digits a line; remove it to get a new key"
            }
        }
    }

    /// Reads the keys, makes the first one, and puts a new one in front when the newest is older than
    /// `Limits.Signaling.sealKeyAge`; `now` in seconds since 1970.
    public static func load(
        directory: String,
        now: Double = Date().timeIntervalSince1970
    ) throws(Failure) -> ResumeSeal {
        let path = directory + "/" + name
        var keys: [[UInt8]] = []
        var age = 0.0
        if FileManager.default.fileExists(atPath: path) {
            do {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                let modified =
                    try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
                age = now - (modified?.timeIntervalSince1970 ?? now)
                for line in text.split(whereSeparator: \.isNewline) {
                    guard let key = bytes(hexadecimal: line) else { throw Failure.malformed(path: path) }
                    keys.append(key)
                }
            } catch let failure as Failure {
                throw failure
            } catch {
                throw .unreadable(path: path, reason: "\(error.localizedDescription)")
            }
        }
        if keys.isEmpty || age > Double(Limits.Signaling.sealKeyAge.milliseconds) / 1000 {
            keys.insert(SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }, at: 0)
            keys = Array(keys.prefix(Limits.Signaling.sealKeys))
            try store(keys, at: path)
        }
        guard let seal = ResumeSeal(keys: keys) else { throw .malformed(path: path) }
        return seal
    }

    private static func store(_ keys: [[UInt8]], at path: String) throws(Failure) {
        let text = keys.map { key in
            key.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        }
        let new = path + ".new"
        let isMade = FileManager.default.createFile(
            atPath: new,
            contents: Data((text.joined(separator: "\n") + "\n").utf8),
            attributes: [.posixPermissions: 0o600]
        )
        guard isMade, rename(new, path) == 0 else {
            throw .unreadable(path: path, reason: "it cannot be written")
        }
    }

    private static func bytes(hexadecimal text: Substring) -> [UInt8]? {
        let digits = text.utf8.compactMap { UInt8(String(UnicodeScalar($0)), radix: 16) }
        guard digits.count == text.utf8.count, digits.count == 2 * ResumeSeal.keyBytes else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
