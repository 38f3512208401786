// The table of all metrics: the one place where they are named. docs/metrics.md is generated from it.
// Must not know who counts.

/// One metric as Prometheus and the documentation know it.
public struct MetricDescription: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable { case counter, gauge, histogram }

    /// The whole name, with prefix, unit and, for counters, `_total`.
    public var name: String
    public var kind: Kind
    public var help: String
    public var labels: [String]
    /// Upper bounds of a histogram's buckets without +Inf, in the unit of the name.
    public var buckets: [Double]

    public init(
        _ name: String,
        _ kind: Kind,
        _ help: String,
        labels: [String] = [],
        buckets: [Double] = []
    ) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.buckets = buckets
    }
}

/// All metrics of the server.
public enum MetricCatalog {
    /// Seconds, 1 ms to 10 s.
    public static let durationBuckets = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    public static let signalSockets = MetricDescription(
        "sfu_signal_sockets",
        .gauge,
        "Open signaling WebSockets."
    )
    public static let signalSocketsClosed = MetricDescription(
        "sfu_signal_sockets_closed_total",
        .counter,
        "Signaling WebSockets closed by a Close frame, by its code.",
        labels: ["code"]
    )
    public static let signalReceivedBytes = MetricDescription(
        "sfu_signal_received_bytes_total",
        .counter,
        "Bytes of the clients' WebSocket messages, without framing."
    )
    public static let signalSentBytes = MetricDescription(
        "sfu_signal_sent_bytes_total",
        .counter,
        "Bytes of the server's WebSocket messages, without framing."
    )
    public static let spansExported = MetricDescription(
        "sfu_trace_spans_exported_total",
        .counter,
        "Spans that the collector took."
    )
    public static let spansDropped = MetricDescription(
        "sfu_trace_spans_dropped_total",
        .counter,
        "Spans that were lost: queue full, refused or never taken by the collector, end of the server.",
        labels: ["reason"]
    )
    public static let spanRetries = MetricDescription(
        "sfu_trace_export_retries_total",
        .counter,
        "Exports of spans that were repeated."
    )
    public static let httpRequests = MetricDescription(
        "sfu_http_requests_total",
        .counter,
        "HTTP requests answered, by route pattern.",
        labels: ["method", "route", "status"]
    )
    public static let httpDuration = MetricDescription(
        "sfu_http_request_duration_seconds",
        .histogram,
        "Time from a request's head to its response.",
        labels: ["route"],
        buckets: durationBuckets
    )
    public static let httpConnections = MetricDescription(
        "sfu_http_connections",
        .gauge,
        "Open HTTP connections, those that became WebSockets included."
    )
    public static let certificateLoads = MetricDescription(
        "sfu_tls_certificate_loads_total",
        .counter,
        "Attempts to load the TLS certificate, by result.",
        labels: ["result"]
    )
    public static let seriesDropped = MetricDescription(
        "sfu_metrics_series_dropped_total",
        .counter,
        "Label sets that were folded into one because their metric had too many."
    )

    public static let eventsAppended = MetricDescription(
        "sfu_events_appended_total",
        .counter,
        "Events of rooms that were written into the log."
    )
    public static let eventsLost = MetricDescription(
        "sfu_events_lost_total",
        .counter,
        "Events that could not be kept, because the disk was full or slow for too long."
    )
    public static let eventsPruned = MetricDescription(
        "sfu_events_pruned_total",
        .counter,
        "Events that were deleted because of age, number or size."
    )
    public static let eventWriteFailures = MetricDescription(
        "sfu_events_write_failures_total",
        .counter,
        "Writes of the event log that failed and were tried again."
    )
    public static let eventLogsDamaged = MetricDescription(
        "sfu_events_damaged_total",
        .counter,
        "Event logs that were damaged and put aside."
    )
    public static let eventsStored = MetricDescription("sfu_events_stored", .gauge, "Events in the log.")
    public static let eventsWaiting = MetricDescription(
        "sfu_events_waiting",
        .gauge,
        "Events that wait to be written."
    )
    public static let webhooks = MetricDescription(
        "sfu_webhook_requests_total",
        .counter,
        "Webhooks by what became of them: delivered, failed (sent again), given_up.",
        labels: ["destination", "result"]
    )
    public static let webhookRooms = MetricDescription(
        "sfu_webhook_rooms",
        .gauge,
        "Rooms with events that were not delivered yet.",
        labels: ["destination"]
    )
    public static let webhookFailingRooms = MetricDescription(
        "sfu_webhook_failing_rooms",
        .gauge,
        "Of these, rooms whose last webhook failed.",
        labels: ["destination"]
    )
    static let events = [
        eventsAppended, eventsLost, eventsPruned, eventWriteFailures, eventLogsDamaged, eventsStored,
        eventsWaiting, webhooks, webhookRooms, webhookFailingRooms,
    ]

    // From the gateway's statistics.
    static let rooms = MetricDescription("sfu_signal_rooms", .gauge, "Rooms that the gateway knows.")
    static let participants = MetricDescription(
        "sfu_signal_participants",
        .gauge,
        "Participants of all rooms."
    )
    static let publications = MetricDescription("sfu_signal_publications", .gauge, "Negotiated publications.")
    static let mediaSessions = MetricDescription(
        "sfu_signal_media_sessions",
        .gauge,
        "Media sessions that the gateway opened and that live."
    )
    static let joins = MetricDescription("sfu_signal_joins_total", .counter, "Participants that joined.")
    static let requests = MetricDescription("sfu_signal_requests_total", .counter, "Requests of clients.")
    static let errors = MetricDescription(
        "sfu_signal_errors_total",
        .counter,
        "Requests that were refused, by error code.",
        labels: ["code"]
    )
    static let closes = MetricDescription(
        "sfu_signal_closes_total",
        .counter,
        "Sockets that the gateway closed, by close code.",
        labels: ["code"]
    )
    static let resumes = MetricDescription(
        "sfu_signal_resumes_total",
        .counter,
        "Sessions that came back, by outcome: replay, delta, snapshot, rejoin.",
        labels: ["outcome"]
    )
    static let transitions = MetricDescription(
        "sfu_signal_session_steps_total",
        .counter,
        "Steps of signaling sessions, by the stage that they were in and what happened.",
        labels: ["from", "step"]
    )
    static let resumesRefused = MetricDescription(
        "sfu_signal_resumes_refused_total",
        .counter,
        "Resume tokens that were refused."
    )
    static let sessions = MetricDescription(
        "sfu_signal_sessions",
        .gauge,
        "Signaling sessions, those that wait for their client to come back included."
    )
    static let detachedSessions = MetricDescription(
        "sfu_signal_detached_sessions",
        .gauge,
        "Signaling sessions without a socket."
    )
    static let sessionBytes = MetricDescription(
        "sfu_signal_session_bytes",
        .gauge,
        "Bytes that signaling sessions hold for clients that have not acknowledged them."
    )
    static let overflows = MetricDescription(
        "sfu_signal_overflows_total",
        .counter,
        "Sessions whose waiting events were given up for a snapshot."
    )
    static let shed = MetricDescription(
        "sfu_signal_shed_total",
        .counter,
        "Ephemeral events that were dropped, by type.",
        labels: ["type"]
    )
    static let mediaEventsDropped = MetricDescription(
        "sfu_signal_media_events_dropped_total",
        .counter,
        "Events of the media plane that found the inbox full."
    )
    static let commandsDropped = MetricDescription(
        "sfu_signal_commands_dropped_total",
        .counter,
        "Commands to the media plane that found the backlog full."
    )
    static let diagnosisReports = MetricDescription(
        "sfu_signal_diagnosis_reports_total",
        .counter,
        "Reports of clients about their own connection."
    )
    static let queuedEvents = MetricDescription(
        "sfu_signal_queued_events",
        .gauge,
        "Messages that wait for the sockets of all sessions."
    )
    static let longestQueue = MetricDescription(
        "sfu_signal_longest_queue_events",
        .gauge,
        "Messages that wait for the socket of the session with the most."
    )
    static let resumeTime = MetricDescription(
        "sfu_signal_resume_seconds",
        .histogram,
        "Time from a socket's opening to the welcome of the session that it resumed.",
        buckets: durationBuckets
    )
    /// Points of quality, and bits per second.
    static let scoreBuckets = [1.5, 2, 2.5, 3, 3.5, 4, 4.5]
    static let rateBuckets: [Double] = [
        50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000, 6_400_000, 12_800_000,
    ]
    static let qualityScore = MetricDescription(
        "sfu_quality_score",
        .histogram,
        "Quality of media sessions, 1 (bad) to 5 (excellent); up: what they send. Each is looked at every 10 s.",
        labels: ["direction"],
        buckets: scoreBuckets
    )
    static let qualitySessions = MetricDescription(
        "sfu_quality_sessions",
        .gauge,
        "Media sessions by what takes most off their quality.",
        labels: ["direction", "reason"]
    )
    static let downlinkEstimate = MetricDescription(
        "sfu_downlink_estimate_bits_per_second",
        .histogram,
        "What the paths to media sessions carry, as estimated. Each is looked at every 10 s.",
        buckets: rateBuckets
    )
    static let slotReasons = MetricDescription(
        "sfu_video_slots",
        .gauge,
        "Video receive sections with something to show, by why it is no more.",
        labels: ["reason"]
    )
    static let gateway: [MetricDescription] = [
        rooms, participants, publications, mediaSessions, joins, requests, errors, closes, overflows, shed,
        mediaEventsDropped, commandsDropped, diagnosisReports, resumes, transitions, resumesRefused,
        sessions,
        detachedSessions, sessionBytes, queuedEvents, longestQueue, resumeTime,
        qualityScore, qualitySessions, downlinkEstimate, slotReasons,
    ]

    // The socket to a media plane in a process of its own; counted by whoever holds it.
    static let link: [MetricDescription] = [
        MetricDescription("sfu_link_up", .gauge, "1 while the media plane's process is connected."),
        MetricDescription(
            "sfu_link_connects_total",
            .counter,
            "Connections to the media plane's process that came to be."
        ),
        MetricDescription("sfu_link_losses_total", .counter, "And those that ended."),
        MetricDescription(
            "sfu_link_frames_total",
            .counter,
            "Frames between the two processes; out: to the media plane.",
            labels: ["direction"]
        ),
        MetricDescription(
            "sfu_link_bytes_total",
            .counter,
            "Bytes between the two processes; out: to the media plane.",
            labels: ["direction"]
        ),
        MetricDescription(
            "sfu_link_commands_dropped_total",
            .counter,
            "Commands that were waiting when the connection ended."
        ),
    ]

    /// What the signaling process counts itself.
    public static let signaling: [MetricDescription] =
        [
            signalSockets, signalSocketsClosed, signalReceivedBytes, signalSentBytes, spansExported,
            spansDropped, spanRetries, httpRequests, httpDuration, httpConnections, certificateLoads,
            seriesDropped,
        ] + gateway + events + link

    /// All of them, by name.
    public static let all: [MetricDescription] = (signaling + MediaMetrics.all).sorted { $0.name < $1.name }

    /// A Markdown table of `all`.
    public static func markdown() -> String {
        var text = "| name | kind | labels | what |\n|---|---|---|---|\n"
        for metric in all {
            let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
            text += "| `\(metric.name)` | \(metric.kind.rawValue) | \(labels) | \(metric.help) |\n"
        }
        return text
    }
}
