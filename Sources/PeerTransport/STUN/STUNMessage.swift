// A received STUN message (RFC 8489 §5, §14), checked and indexed in place; valid as long as the bytes are.
// Must not know credentials beyond a key that is handed in, nor what ICE makes of a message.
import RTP

public struct STUNMessage {
    public enum Kind: Equatable, Sendable {
        case request, indication, success, failure
    }

    public let bytes: UnsafePointer<UInt8>
    public let length: Int
    public let kind: Kind
    public let method: UInt16
    /// PRIORITY of a check (RFC 8445 §7.1.1).
    public private(set) var priority: UInt32?
    public private(set) var hasUseCandidate = false
    public private(set) var nomination: UInt32?
    /// Tie-breaker of a peer that believes to be controlled.
    public private(set) var iceControlled: UInt64?
    public private(set) var iceControlling: UInt64?
    /// Comprehension-required attributes that an ICE agent does not know (type below 0x8000).
    public private(set) var unknownRequiredAttributes = 0
    /// Where MESSAGE-INTEGRITY begins, 0 where there is none.
    private var integrityOffset = 0
    private var username: (offset: Int, length: Int)?
    private var mappedAddress: (offset: Int, length: Int)?
    private var errorOffset: Int?

    /// Refuses whatever is not exactly one well-formed message whose last attribute is a right FINGERPRINT.
    /// - Parameter requiresFingerprint: ICE does (RFC 8445 §7.1.3); plain STUN need not.
    public init?(_ bytes: UnsafePointer<UInt8>, length: Int, requiresFingerprint: Bool = true) {
        guard length >= STUN.headerBytes, length <= Limits.Media.datagramBytes, bytes[0] <= 3,
            Int(load16(bytes, 2)) == length - STUN.headerBytes, length & 3 == 0,
            load32(bytes, 4) == STUN.magicCookie
        else { return nil }
        self.bytes = bytes
        self.length = length
        let type = load16(bytes, 0)
        method = (type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2
        kind =
            switch type & 0x0110 {
            case 0x0000: .request
            case 0x0010: .indication
            case 0x0100: .success
            default: .failure
            }
        guard let hasFingerprint = index(), hasFingerprint || !requiresFingerprint else { return nil }
    }

    /// Walks the attributes; nil for a malformed message, else whether a right FINGERPRINT ends it.
    private mutating func index() -> Bool? {
        var offset = STUN.headerBytes
        var isCovered = true
        while offset < length {
            guard offset + 4 <= length else { return nil }
            let type = load16(bytes, offset)
            let size = Int(load16(bytes, offset + 2))
            let value = offset + 4
            let next = value + (size + 3) & ~3
            guard next <= length else { return nil }
            if type == STUN.Attribute.fingerprint {
                // Nothing may follow it (RFC 8489 §14.7).
                guard size == 4, next == length else { return nil }
                let checksum = CRC32.checksum(bytes, count: offset) ^ STUN.fingerprintMask
                return load32(bytes, value) == checksum ? true : nil
            }
            // What follows the integrity is not covered by it and must be ignored (RFC 8489 §14.5).
            if isCovered {
                guard record(type, at: value, size: size) else { return nil }
                isCovered =
                    type != STUN.Attribute.messageIntegrity && type != STUN.Attribute.messageIntegritySHA256
            }
            offset = next
        }
        return false
    }

    /// The first of equal attributes counts (RFC 8489 §14). False: the value has a wrong size.
    private mutating func record(_ type: UInt16, at value: Int, size: Int) -> Bool {
        switch type {
        case STUN.Attribute.username:
            guard size <= Limits.Transport.usernameBytes else { return false }
            if username == nil { username = (value, size) }
        case STUN.Attribute.messageIntegrity:
            guard size == STUN.integrityBytes - 4 else { return false }
            integrityOffset = value - 4
        case STUN.Attribute.priority:
            guard size == 4 else { return false }
            if priority == nil { priority = load32(bytes, value) }
        case STUN.Attribute.useCandidate:
            guard size == 0 else { return false }
            hasUseCandidate = true
        case STUN.Attribute.iceControlled:
            guard size == 8 else { return false }
            if iceControlled == nil { iceControlled = load64(bytes, value) }
        case STUN.Attribute.iceControlling:
            guard size == 8 else { return false }
            if iceControlling == nil { iceControlling = load64(bytes, value) }
        case STUN.Attribute.nomination:
            if size == 4, nomination == nil { nomination = load32(bytes, value) }
        case STUN.Attribute.xorMappedAddress:
            guard size == 8 || size == 20 else { return false }
            if mappedAddress == nil { mappedAddress = (value, size) }
        case STUN.Attribute.errorCode:
            guard size >= 4 else { return false }
            if errorOffset == nil { errorOffset = value }
        case STUN.Attribute.unknownAttributes, STUN.Attribute.messageIntegritySHA256:
            break
        default:
            if type < 0x8000 { unknownRequiredAttributes += 1 }
        }
        return true
    }

    /// 96 bits that a response repeats.
    public var transaction: UnsafePointer<UInt8> { bytes + 8 }

    public var hasIntegrity: Bool { integrityOffset > 0 }
    public var hasUsername: Bool { username != nil }

    /// The receiver's part of USERNAME, up to the first colon (RFC 8445 §7.2.2); empty where there is none.
    public var localUsernameFragment: UnsafeBufferPointer<UInt8> {
        guard let (offset, length) = username, let colon else { return .init(start: nil, count: 0) }
        return UnsafeBufferPointer(start: bytes + offset, count: min(colon, length))
    }

    /// The sender's part of USERNAME, after the first colon.
    public var remoteUsernameFragment: UnsafeBufferPointer<UInt8> {
        guard let (offset, length) = username, let colon else { return .init(start: nil, count: 0) }
        return UnsafeBufferPointer(start: bytes + offset + colon + 1, count: length - colon - 1)
    }

    private var colon: Int? {
        guard let (offset, length) = username else { return nil }
        for i in 0..<length where bytes[offset + i] == UInt8(ascii: ":") { return i }
        return nil
    }

    /// Whether MESSAGE-INTEGRITY was made with this key: HMAC-SHA1 up to the attribute, the header's length
    /// counted to the attribute's end (RFC 8489 §14.5).
    public func isAuthentic(key: [UInt8], integrity: STUNIntegrity) -> Bool {
        guard hasIntegrity else { return false }
        return integrity.verify(bytes, before: integrityOffset, key: key)
    }

    /// XOR-MAPPED-ADDRESS of a response (RFC 8489 §14.2).
    public var xorMappedAddress: (address: IPAddress, port: UInt16)? {
        guard let (offset, size) = mappedAddress else { return nil }
        let port = load16(bytes, offset + 2) ^ UInt16(STUN.magicCookie >> 16)
        switch (bytes[offset + 1], size) {
        case (1, 8):
            return (IPAddress(v4: load32(bytes, offset + 4) ^ STUN.magicCookie), port)
        case (2, 20):
            let high = load64(bytes, offset + 4) ^ load64(bytes, 4)
            let low = load64(bytes, offset + 12) ^ load64(bytes, 12)
            return (IPAddress(v6High: high, low: low), port)
        default:
            return nil
        }
    }

    /// ERROR-CODE of a response as a number (RFC 8489 §14.8).
    public var errorCode: Int? {
        errorOffset.map { Int(bytes[$0 + 2] & 7) * 100 + Int(bytes[$0 + 3]) }
    }

    /// Calls with each unknown comprehension-required type that integrity covers, in order.
    func forEachUnknownRequiredAttribute(_ body: (UInt16) -> Void) {
        var offset = STUN.headerBytes
        while offset + 4 <= length {
            let type = load16(bytes, offset)
            if type == STUN.Attribute.messageIntegrity || type == STUN.Attribute.messageIntegritySHA256 {
                return
            }
            if type < 0x8000, !Self.isKnownRequired(type) { body(type) }
            offset += 4 + (Int(load16(bytes, offset + 2)) + 3) & ~3
        }
    }

    private static func isKnownRequired(_ type: UInt16) -> Bool {
        switch type {
        case STUN.Attribute.username, STUN.Attribute.messageIntegrity, STUN.Attribute.errorCode,
            STUN.Attribute.unknownAttributes, STUN.Attribute.messageIntegritySHA256,
            STUN.Attribute.xorMappedAddress, STUN.Attribute.priority, STUN.Attribute.useCandidate:
            true
        default: false
        }
    }
}

@inline(__always)
func load16(_ bytes: UnsafePointer<UInt8>, _ offset: Int) -> UInt16 {
    UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
}

@inline(__always)
func load32(_ bytes: UnsafePointer<UInt8>, _ offset: Int) -> UInt32 {
    UInt32(load16(bytes, offset)) << 16 | UInt32(load16(bytes, offset + 2))
}

@inline(__always)
func load64(_ bytes: UnsafePointer<UInt8>, _ offset: Int) -> UInt64 {
    UInt64(load32(bytes, offset)) << 32 | UInt64(load32(bytes, offset + 4))
}
