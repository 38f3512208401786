// The outcome of a negotiation: what the media plane is told, and what the answer says.
import RTP

/// Why an m-section is answered with port 0.
public enum RejectionReason: String, Codable, Sendable, Hashable, CustomStringConvertible {
    /// The peer itself has stopped it.
    case stopped
    /// Neither audio nor video.
    case unsupportedKind
    /// Not RTP over DTLS-SRTP with feedback.
    case unsupportedProtocol
    /// It wants a transport of its own.
    case notBundled
    case noRTCPMux
    case noCommonCodec
    /// The policy allows neither direction that the peer wants.
    case notAllowed

    public var description: String {
        switch self {
        case .stopped: "the peer has stopped it"
        case .unsupportedKind: "neither audio nor video"
        case .unsupportedProtocol: "not RTP over DTLS"
        case .notBundled: "not in the BUNDLE group"
        case .noRTCPMux: "a=rtcp-mux is missing"
        case .noCommonCodec: "no codec in common"
        case .notAllowed: "the direction is not allowed"
        }
    }
}

public enum NegotiationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Two ICE-lite agents would both wait for the other's checks.
    case peerIsICELite
    /// `AnswerPolicy.requiresEverySection` and this one cannot be accepted.
    case sectionRefused(mid: String, RejectionReason)
    /// The random number generator repeats itself.
    case noUniqueSSRC

    public var description: String {
        switch self {
        case .peerIsICELite:
            "the offer says a=ice-lite, and so does this server: one side has to be a full ICE agent"
        case .sectionRefused(let mid, let reason): "m-section \(mid) cannot be accepted: \(reason)"
        case .noUniqueSSRC: "no unused SSRC was found"
        }
    }
}

/// An accepted m-section.
public struct AcceptedSection: Sendable, Hashable {
    public var media: MediaSection
    /// Ours, as the answer says it.
    public var direction: MediaDirection
    /// Accepted rids in the order of `media.receive`; empty without simulcast by rid.
    public var rids: [OfferedRid]
    /// The suffixes of `media.extensions`, ours: where the offer has one, and where we use less than the section.
    public var extensionDirections: [HeaderExtension: MediaDirection]
}

public struct NegotiatedSection: Sendable, Hashable {
    public enum Outcome: Sendable, Hashable {
        case accepted(AcceptedSection)
        case rejected(RejectionReason)
    }

    public var mid: String
    public var outcome: Outcome

    public var accepted: AcceptedSection? {
        if case .accepted(let section) = outcome { section } else { nil }
    }

    /// nil where the section is rejected.
    public var media: MediaSection? { accepted?.media }

    public var rejection: RejectionReason? {
        if case .rejected(let reason) = outcome { reason } else { nil }
    }
}

public struct NegotiatedSession: Sendable, Hashable {
    /// One for every m-line of the offer, in its order.
    public var sections: [NegotiatedSection]

    /// The sections that are in force, without what only their offer said: what `previous` needs.
    public init(accepting media: [MediaSection]) {
        sections = media.map { section in
            let isSent = section.slot != nil
            let isReceived = !section.receive.isEmpty
            let accepted = AcceptedSection(
                media: section,
                direction: isSent ? isReceived ? .sendrecv : .sendonly : isReceived ? .recvonly : .inactive,
                rids: [],
                extensionDirections: [:]
            )
            return NegotiatedSection(mid: section.mid, outcome: .accepted(accepted))
        }
    }

    init(sections: [NegotiatedSection]) { self.sections = sections }

    /// The accepted sections: what the media plane is configured with, and the next `previous`.
    public var media: [MediaSection] { sections.compactMap { $0.media } }
}
