// What one worker's sockets and rings did. Plain numbers of one thread; they join the shard's counters once a second.
import Seam

struct IOCounters: Equatable {
    var datagramsReceived: UInt64 = 0
    var bytesReceived: UInt64 = 0
    /// Kernel buffers that held several datagrams (UDP_GRO).
    var mergedReceives: UInt64 = 0
    var datagramsSent: UInt64 = 0
    var bytesSent: UInt64 = 0
    /// Messages that went out, one or more datagrams each.
    var sends: UInt64 = 0
    var sendCalls: UInt64 = 0
    /// Datagrams that shared a message with others.
    var segmentsSent: UInt64 = 0
    /// Segmented messages that the kernel refused and that went out one by one.
    var segmentationRefused: UInt64 = 0
    var wakeups: UInt64 = 0
    var handOversOut: UInt64 = 0
    var handOversIn: UInt64 = 0
    var streamsAccepted: UInt64 = 0
    /// Turned away by a limit.
    var streamsRefused: UInt64 = 0
    /// No valid first frame, bad framing, or no authenticated check in time.
    var streamsAborted: UInt64 = 0
    var streamsMoved: UInt64 = 0
    /// Commands, path news or connections that found a full mailbox.
    var mailboxFull: UInt64 = 0

    func add(to counters: inout WorkerCounters) {
        counters.counts["udp_datagrams_received"] = datagramsReceived
        counters.counts["udp_bytes_received"] = bytesReceived
        counters.counts["udp_merged_receives"] = mergedReceives
        counters.counts["udp_datagrams_sent"] = datagramsSent
        counters.counts["udp_bytes_sent"] = bytesSent
        counters.counts["udp_sends"] = sends
        counters.counts["udp_send_calls"] = sendCalls
        counters.counts["udp_segments_sent"] = segmentsSent
        counters.counts["udp_segmentation_refused"] = segmentationRefused
        counters.counts["worker_wakeups"] = wakeups
        counters.counts["hand_overs_out"] = handOversOut
        counters.counts["hand_overs_in"] = handOversIn
        counters.counts["ice_tcp_accepted"] = streamsAccepted
        counters.counts["ice_tcp_refused"] = streamsRefused
        counters.counts["ice_tcp_aborted"] = streamsAborted
        counters.counts["ice_tcp_moved"] = streamsMoved
        counters.counts["mailbox_full"] = mailboxFull
    }
}
