// The numbers of STUN (RFC 8489) and the one question that is asked before a session is known.
import RTP

public enum STUN {
    static let headerBytes = 20
    static let magicCookie: UInt32 = 0x2112_a442
    static let fingerprintMask: UInt32 = 0x5354_554e
    static let bindingMethod: UInt16 = 0x001
    /// Attribute header and HMAC-SHA1.
    static let integrityBytes = 24
    /// Attribute header and CRC-32.
    static let fingerprintBytes = 8

    /// Attribute types: RFC 8489 §18.3, RFC 8445 §16.1, and NOMINATION of draft-thatcher-ice-renomination.
    public enum Attribute {
        public static let username: UInt16 = 0x0006
        public static let messageIntegrity: UInt16 = 0x0008
        public static let errorCode: UInt16 = 0x0009
        public static let unknownAttributes: UInt16 = 0x000a
        public static let messageIntegritySHA256: UInt16 = 0x001c
        public static let xorMappedAddress: UInt16 = 0x0020
        public static let priority: UInt16 = 0x0024
        public static let useCandidate: UInt16 = 0x0025
        public static let software: UInt16 = 0x8022
        public static let fingerprint: UInt16 = 0x8028
        public static let iceControlled: UInt16 = 0x8029
        public static let iceControlling: UInt16 = 0x802a
        public static let nomination: UInt16 = 0xc001
    }

    /// The error codes that a lite agent answers (RFC 8489 §14.8, RFC 8445 §7.3.1.1).
    public enum ErrorCode: Int, Sendable {
        case badRequest = 400
        case unauthenticated = 401
        case unknownAttribute = 420
        case roleConflict = 487
    }

    /// Our username fragment in a binding request from a path that no session owns yet; nil for all that is not a
    /// well-formed check. Authenticates nothing: the owner of the fragment does.
    public static func localUsernameFragment(in datagram: UnsafeBufferPointer<UInt8>) -> String? {
        guard let base = datagram.baseAddress,
            let message = STUNMessage(base, length: datagram.count),
            message.kind == .request, message.method == bindingMethod
        else { return nil }
        let fragment = message.localUsernameFragment
        guard fragment.count > 0, fragment.count <= Limits.Transport.localUsernameFragmentBytes,
            fragment.allSatisfy(ICECredentials.isICECharacter)
        else { return nil }
        return String(decoding: fragment, as: UTF8.self)
    }
}
