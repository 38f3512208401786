// Why a datagram or packet did not go on. Closed: every exit of the packet's road names one of these.

public enum DropReason: UInt8, CaseIterable, Sendable {
    // before a session is known
    case malformed, unknownPath, unknownUsernameFragment, notForMedia
    // STUN
    case stunMalformed, stunUnauthenticated, stunUnsupported, stunRateLimited
    // DTLS
    case dtlsBeforeCheck, dtlsMalformed, handshakeQueueFull
    // SRTP
    case srtpBeforeKeys, srtpAuthentication, srtpReplay
    // RTP and RTCP
    case rtpMalformed, rtpUnknownStream, rtpUnknownPayloadType, rtpDuplicate, rtpTooLate, rtpPaddingOnly
    case rtcpMalformed, streamLimit
    // forwarding
    case noSubscriber, muted, layerNotSelected, awaitingKeyFrame, tooLateForMapping, pathNotReady,
        consentExpired
    case packetTooLarge, codecMismatch, protectFailed
    // a downlink that carries less than what would go out
    case overBandwidth, pacerFull
    // a room with more voices than slots
    case notLoudest
    // workers
    case handOverFull, handOverUnknown, relayFull, relayUnknown
    // sending
    case socketFull, socketError, tcpBacklog

    public var name: String { "\(self)" }
}
