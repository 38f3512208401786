// What one shard counted. Every datagram that came in is counted out: forwarded, consumed, or dropped with a reason.
import PeerTransport
import Seam

struct Counters {
    var datagramsReceived: UInt64 = 0
    var bytesReceived: UInt64 = 0
    /// Decrypted RTP packets, and those of them that waited to be forwarded.
    var rtpReceived: UInt64 = 0
    var rtpQueued: UInt64 = 0
    var rtcpReceived: UInt64 = 0
    /// STUN and DTLS that was dealt with.
    var consumed: UInt64 = 0
    /// Checks that are for another worker.
    var handedOver: UInt64 = 0
    /// Packets of sessions on other workers, whose room has members here; no datagrams of this shard.
    var relayed: UInt64 = 0
    /// With `rtpQueued`, `rtcpReceived`, `consumed` and `handedOver` as many as `datagramsReceived`.
    var datagramsDropped: UInt64 = 0
    /// Copies sent to subscribers, first transmissions.
    var packetsForwarded: UInt64 = 0
    var bytesForwarded: UInt64 = 0
    /// Outgoing messages with forwarded packets; several packets share one where GSO allows.
    var sends: UInt64 = 0
    var paddingBytes: UInt64 = 0
    var packetsResent: UInt64 = 0
    /// What probes of the way to subscribers took, beside media that waited.
    var probeRepeats: UInt64 = 0
    var probePaddings: UInt64 = 0
    var probeBytes: UInt64 = 0
    var nacksReceived: UInt64 = 0
    var nacksSent: UInt64 = 0
    var keyFrameRequestsReceived: UInt64 = 0
    var keyFrameRequestsSent: UInt64 = 0
    var transportFeedbackReceived: UInt64 = 0
    var transportFeedbackSent: UInt64 = 0
    /// Numbers in transport feedback that were never sent.
    var feedbackUnknown: UInt64 = 0
    var sessionsOpened: UInt64 = 0
    private var drops = InlineArray<64, UInt64>(repeating: 0)

    /// A datagram of this shard ends here.
    @inline(__always)
    mutating func drop(_ reason: DropReason) {
        datagramsDropped &+= 1
        drops[Int(reason.rawValue)] &+= 1
    }

    /// Copies that a subscriber does not get.
    @inline(__always)
    mutating func withhold(_ reason: DropReason, _ count: Int = 1) {
        drops[Int(reason.rawValue)] &+= UInt64(truncatingIfNeeded: count)
    }

    func dropped(_ reason: DropReason) -> UInt64 { drops[Int(reason.rawValue)] }

    /// By the names that metrics have.
    var values: [String: UInt64] {
        [
            "datagrams_received": datagramsReceived, "bytes_received": bytesReceived,
            "datagrams_dropped": datagramsDropped, "datagrams_consumed": consumed,
            "datagrams_handed_over": handedOver, "rtp_received": rtpReceived, "rtp_queued": rtpQueued,
            "rtcp_received": rtcpReceived, "packets_forwarded": packetsForwarded,
            "bytes_forwarded": bytesForwarded, "sends": sends, "padding_bytes": paddingBytes,
            "probe_repeats": probeRepeats, "probe_paddings": probePaddings, "probe_bytes": probeBytes,
            "packets_resent": packetsResent, "nacks_received": nacksReceived, "nacks_sent": nacksSent,
            "key_frame_requests_received": keyFrameRequestsReceived,
            "key_frame_requests_sent": keyFrameRequestsSent,
            "transport_feedback_received": transportFeedbackReceived,
            "transport_feedback_unknown": feedbackUnknown,
            "transport_feedback_sent": transportFeedbackSent, "sessions_opened": sessionsOpened,
            "packets_relayed": relayed,
        ]
    }

    var dropsByName: [String: UInt64] {
        var named: [String: UInt64] = [:]
        for reason in DropReason.allCases where dropped(reason) > 0 { named[reason.name] = dropped(reason) }
        return named
    }
}
