// What the workers of the media plane report, by name. Must not know who counts or how it is written.

/// Names as in `WorkerCounters`, with `sfu_` before and, for counters, `_total` behind. A name that is missing here is
/// shown all the same, without a help text.
enum MediaMetrics {
    static let dropped = MetricDescription(
        "sfu_media_dropped_total",
        .counter,
        "Datagrams and packets that did not go on, by reason.",
        labels: ["worker", "reason"]
    )

    static let all: [MetricDescription] =
        [dropped]
        + counters.map { MetricDescription("sfu_\($0.0)_total", .counter, $0.1, labels: ["worker"]) }
        + gauges.map { MetricDescription("sfu_\($0.0)", .gauge, $0.1, labels: ["worker"]) }

    static func description(of name: String) -> MetricDescription? { byName[name] }

    private static let byName = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }

    private static let counters = [
        ("bytes_forwarded", "Bytes of the datagrams with media that went to subscribers."),
        ("bytes_received", "Bytes of the datagrams that reached sessions, by whatever socket."),
        ("datagrams_consumed", "Datagrams that ended here by design: STUN, DTLS, RTCP."),
        ("datagrams_dropped", "Datagrams that did not go on, for any reason."),
        ("datagrams_handed_over", "Datagrams whose session lives on another worker."),
        ("datagrams_received", "Datagrams that reached sessions, by whatever socket."),
        ("hand_overs_in", "Datagrams taken from other workers."),
        ("hand_overs_out", "Datagrams given to other workers."),
        ("ice_tcp_aborted", "ICE-TCP connections without a valid start, or with broken framing."),
        ("ice_tcp_accepted", "ICE-TCP connections that were taken."),
        ("ice_tcp_moved", "ICE-TCP connections that moved to their session's worker."),
        ("ice_tcp_refused", "ICE-TCP connections turned away by a limit."),
        ("key_frame_requests_received", "PLI and FIR from subscribers."),
        ("key_frame_requests_sent", "PLI to publishers."),
        ("link_accepted", "Gateways that were let in, where the media plane is a process of its own."),
        (
            "link_events_dropped",
            "Events that a slow gateway did not get; it was told the whole state instead."
        ),
        ("link_overflows", "How often that was."),
        ("link_refused", "Connections that were no gateway, of another version, or one too many."),
        ("link_sessions_orphaned", "Sessions that were closed because no gateway came back."),
        ("mailbox_full", "What found a worker's mailbox full."),
        ("nacks_received", "Packets that subscribers asked for again."),
        ("nacks_sent", "Packets that publishers were asked for again."),
        ("packets_forwarded", "RTP packets sent to subscribers."),
        ("packets_relayed", "Packets of sessions on other workers, for members of the same room here."),
        ("packets_resent", "RTP packets sent to subscribers again."),
        ("padding_bytes", "Bytes of padding that made packets of one send equally long."),
        ("probe_bytes", "Bytes that probes of the paths to subscribers took."),
        ("probe_paddings", "Packets without content that were sent as probes."),
        ("probe_repeats", "Recent packets that were sent once more as probes."),
        ("rtcp_received", "Authentic RTCP packets."),
        ("rtp_queued", "RTP packets that went into a router."),
        ("rtp_received", "Authentic RTP packets."),
        ("sends", "Messages in which packets went to subscribers."),
        ("sessions_opened", "Sessions that were opened."),
        ("transport_feedback_received", "Transport-wide feedback from subscribers."),
        ("transport_feedback_sent", "Transport-wide feedback to publishers."),
        ("transport_feedback_unknown", "Numbers in transport-wide feedback that were never sent."),
        ("bitrate_notices_sent", "Maximum bitrates told to publishers that exceed them."),
        ("udp_bytes_received", "Bytes that the UDP sockets received."),
        ("udp_bytes_sent", "Bytes that the UDP sockets sent."),
        ("udp_datagrams_received", "Datagrams that the UDP sockets received."),
        ("udp_datagrams_sent", "Datagrams that the UDP sockets sent."),
        ("udp_merged_receives", "Buffers that held several datagrams (UDP_GRO)."),
        ("udp_segmentation_refused", "Segmented messages that the kernel refused."),
        ("udp_segments_sent", "Datagrams that shared a message with others (UDP_SEGMENT)."),
        ("udp_send_calls", "System calls that sent."),
        ("udp_sends", "Messages that the UDP sockets sent."),
        ("worker_wakeups", "Returns from waiting."),
    ]

    private static let gauges = [
        ("foreign_paths", "Paths of other workers' sessions that this one knows."),
        ("ice_tcp_connections", "Open ICE-TCP connections."),
        ("mirrors", "Participants of other workers whose media is here, too, for a room that both have."),
        ("paths", "Validated network paths."),
        ("publications", "Publications of a worker."),
        ("rooms", "Rooms of a worker."),
        ("sessions", "Sessions of a worker."),
    ]
}
