// The media part of a negotiated session, free of SDP: what Signaling tells the media plane about each m-section.

/// One simulcast layer that a publisher announced: by rid, by SSRC, or neither (a single unsignalled stream).
public struct EncodingParameters: Codable, Sendable, Hashable {
    public var rid: String?
    public var ssrc: UInt32?
    public var rtxSSRC: UInt32?

    public init(rid: String? = nil, ssrc: UInt32? = nil, rtxSSRC: UInt32? = nil) {
        self.rid = rid
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
    }
}

/// The fixed outgoing stream of a receive m-section of a subscriber.
public struct SlotParameters: Codable, Sendable, Hashable {
    public var ssrc: UInt32
    /// nil where the section negotiated no retransmission format.
    public var rtxSSRC: UInt32?

    public init(ssrc: UInt32, rtxSSRC: UInt32? = nil) {
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
    }
}

/// One m-section as negotiated; directions are the server's.
public struct MediaSection: Codable, Sendable, Hashable {
    public var mid: String
    public var kind: MediaKind
    /// Agreed codecs in order of preference, with the peer's payload types.
    public var codecs: [CodecParameters]
    public var extensions: [HeaderExtensionID]
    /// What the peer sends to us here, lowest layer first; empty: nothing.
    public var receive: [EncodingParameters]
    /// What we send to the peer here; nil: nothing.
    public var slot: SlotParameters?
    /// The peer takes one-byte and two-byte header extensions in one stream (RFC 8285 §4.1.2).
    public var allowsMixedExtensions: Bool

    public init(
        mid: String,
        kind: MediaKind,
        codecs: [CodecParameters],
        extensions: [HeaderExtensionID],
        receive: [EncodingParameters] = [],
        slot: SlotParameters? = nil,
        allowsMixedExtensions: Bool = false
    ) {
        self.mid = mid
        self.kind = kind
        self.codecs = codecs
        self.extensions = extensions
        self.receive = receive
        self.slot = slot
        self.allowsMixedExtensions = allowsMixedExtensions
    }
}
