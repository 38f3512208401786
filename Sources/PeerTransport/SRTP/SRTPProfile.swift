// The SRTP protection profiles that we speak, with their sizes. Knows no keys.

/// RFC 5764 §4.1.2 and RFC 7714 §14.2.
public enum SRTPProfile: Sendable, CaseIterable {
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case aes128CMSHA1_80
    case aeadAES128GCM
    case aeadAES256GCM

    /// By the number of the use_srtp extension.
    public init?(identifier: UInt16) {
        switch identifier {
        case 0x0001: self = .aes128CMSHA1_80
        case 0x0007: self = .aeadAES128GCM
        case 0x0008: self = .aeadAES256GCM
        default: return nil
        }
    }

    /// Master key, bytes.
    public var keyLength: Int { self == .aeadAES256GCM ? 32 : 16 }
    /// Master salt, bytes.
    public var saltLength: Int { self == .aes128CMSHA1_80 ? 14 : 12 }
    /// What protection adds to an RTP packet, bytes.
    public var tagLength: Int { self == .aes128CMSHA1_80 ? 10 : 16 }
    var isAEAD: Bool { self != .aes128CMSHA1_80 }
}

public enum SRTPError: Error, Equatable, Sendable {
    /// A key or salt is not as long as the profile wants.
    case keyLength
    /// OpenSSL refused, or there is no memory.
    case setup
}

/// What became of a packet. Only `ok` moves any state.
public enum SRTPResult: Equatable, Sendable {
    /// The new length, bytes.
    case ok(Int)
    case authentication
    case replay
    case malformed
    /// The peer uses more SSRCs than `Limits.SRTP.remoteStreams`.
    case streamLimit
}
