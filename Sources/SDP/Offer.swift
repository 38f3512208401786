// What a peer offers, read from its description: one transport and its m-sections. Knows nothing of what we
// accept.
import RTP

/// The peer's directions, or ours where the context says so (RFC 8866 §6.7).
public enum MediaDirection: String, Codable, Sendable, Hashable {
    case sendrecv, sendonly, recvonly, inactive

    public var sends: Bool { self == .sendrecv || self == .sendonly }
    public var receives: Bool { self == .sendrecv || self == .recvonly }

    /// The same from the other side.
    public var reversed: MediaDirection {
        switch self {
        case .sendrecv, .inactive: self
        case .sendonly: .recvonly
        case .recvonly: .sendonly
        }
    }

    public init(sends: Bool, receives: Bool) {
        switch (sends, receives) {
        case (true, true): self = .sendrecv
        case (true, false): self = .sendonly
        case (false, true): self = .recvonly
        case (false, false): self = .inactive
        }
    }
}

public enum SectionKind: String, Codable, Sendable, Hashable {
    case audio, video, application, other

    /// nil where no RTP flows.
    public var media: MediaKind? {
        switch self {
        case .audio: .audio
        case .video: .video
        case .application, .other: nil
        }
    }
}

/// An `a=extmap` that the server knows.
public struct OfferedExtension: Sendable, Hashable {
    public var header: HeaderExtensionID
    /// The suffix, as Firefox writes `a=extmap:8/sendonly`; nil without one.
    public var direction: MediaDirection?

    public init(_ header: HeaderExtensionID, direction: MediaDirection? = nil) {
        self.header = header
        self.direction = direction
    }
}

/// A rid that the peer wants to send (RFC 8851).
public struct OfferedRid: Sendable, Hashable {
    public var id: String
    /// "~" in the simulcast line: the peer starts with this layer switched off.
    public var isPaused: Bool
    /// The `pt=` restriction; empty: any payload type of the section.
    public var payloadTypes: [UInt8]
    /// All other restrictions as written, "max-width=1280;max-fps=30".
    public var restrictions: String

    public init(_ id: String, isPaused: Bool = false, payloadTypes: [UInt8] = [], restrictions: String = "") {
        self.id = id
        self.isPaused = isPaused
        self.payloadTypes = payloadTypes
        self.restrictions = restrictions
    }
}

/// One m-section of an offer.
public struct OfferedSection: Sendable, Hashable {
    /// Invented where the peer gave none (`hasMid`).
    public var mid: String
    public var hasMid: Bool
    public var kind: SectionKind
    /// The m-line as written, for the answer: media, protocol and formats.
    public var media: String
    public var transportProtocol: String
    public var formats: [String]
    /// As the peer says it.
    public var direction: MediaDirection
    /// Port 0 without `a=bundle-only`: the peer has stopped it.
    public var isRejected: Bool
    /// In the BUNDLE group whose transport is `Offer.remote`.
    public var bundled: Bool
    public var rtcpMux: Bool
    public var rtcpReducedSize: Bool
    public var allowsMixedExtensions: Bool
    /// The known codecs in the peer's order, RTX and feedback folded in.
    public var codecs: [CodecParameters]
    public var extensions: [OfferedExtension]
    /// Send rids in the order of the simulcast line, first alternatives only.
    public var rids: [OfferedRid]
    /// What the peer announces to send by `a=ssrc`, lowest layer of a SIM group first.
    public var sources: [EncodingParameters]
    /// Every SSRC that the section names.
    public var announcedSSRCs: [UInt32]
    /// From `a=msid`; nil where it is missing or "-".
    public var streamID: String?
    public var trackID: String?

    /// What the peer sends: rids where it names them and can mark packets with them, else SSRCs, else one
    /// unannounced stream; nothing where it does not send.
    public var encodings: [EncodingParameters] {
        guard direction.sends else { return [] }
        if !rids.isEmpty { return rids.map { EncodingParameters(rid: $0.id) } }
        return sources.isEmpty ? [EncodingParameters()] : sources
    }
}

/// An offer. Reading it fails where it breaks the grammar or has no transport that we could speak with.
public struct Offer: Sendable, Hashable {
    /// The transport of the BUNDLE group; without a group, of the first m-section that is not rejected.
    public var remote: RemoteTransport
    public var isICELite: Bool
    /// The mids that share the transport, the one that carries it first; nil without a BUNDLE group.
    public var bundle: [String]?
    /// `a=extmap-allow-mixed` stands on the session level.
    public var allowsMixedExtensions: Bool
    /// In m-line order.
    public var sections: [OfferedSection]

    public init(parsing text: String) throws(SDPError) {
        try self.init(SessionDescription(parsing: text))
    }

    /// The setup role of the answer: passive, so that the choice of the SRTP profile is ours, unless the peer
    /// can only be passive itself.
    public var answeringSetup: SetupRole { remote.setup == .passive ? .active : .passive }
}
