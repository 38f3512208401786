// What goes in and out of one peer's transport, besides the datagrams in the Outbox.
import RTP

/// What `Transport.receive` made of a datagram. RTP and RTCP are decrypted in place.
public enum Received: Equatable, Sendable {
    /// STUN or DTLS, dealt with.
    case consumed
    case rtp(length: Int)
    case rtcp(length: Int)
    case dropped(DropReason)
}

/// Facts that a transport reports once, in order; the session polls them after each call.
public enum TransportChange: Equatable, Sendable {
    /// This path passed an authenticated check: the shard's table may point it to this session.
    case pathValidated(NetworkPath)
    /// The path left the transport's list (evicted, replaced by ICE restart).
    case pathForgotten(NetworkPath)
    /// Where we send from now on.
    case pathSelected(NetworkPath)
    /// An ICE restart was completed: the old local username fragment is no longer accepted.
    case usernameFragmentRetired(String)
    /// Keys are installed and the fingerprint matched: media may flow.
    case connected
    /// No authenticated check for `Limits.Transport.disconnectedAfter`.
    case disconnected
    /// A check came again after `disconnected`.
    case reconnected
    /// Consent is gone: sending stops, keys are parked; a new check on new credentials revives it.
    case consentLost
    case closed(TransportEnd)
}

public enum TransportEnd: Equatable, Sendable {
    case peerClosed
    /// No consent for the whole grace.
    case timeout
    case handshakeFailed
    case fingerprintMismatch
}
