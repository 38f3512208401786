// The outcome of a run, as JSON and as a table. Must not know how it was measured.

struct CallReport: Codable, PrintableReport {
    struct Load: Codable {
        var scenario: Scenario
        /// nil: keys from a file.
        var url: String?
        var rooms: Int
        var publishers: Int
        /// Sessions that receive; those of a room do both.
        var receivers: Int
        /// 0: no audio.
        var audioBitsPerSecond: Int
        var audioPacketBytes: Int
        var talkPercent: Int
        var dtx: Bool
        /// nil: no video.
        var video: VideoCodec?
        /// Bits per second, the lowest first.
        var videoLayers: [Int]
        var framesPerSecond: Int
        var feedback: Bool
        var seconds: Double

        init(_ plan: CallPlan, _ cast: [CastMember], seconds: Double) {
            scenario = plan.scenario
            url = plan.signaling.map { "http://\($0.server.authority)\($0.server.path)" }
            rooms = Set(cast.map(\.room)).count
            publishers = cast.count { $0.role != .subscriber }
            receivers = cast.count { $0.role != .publisher }
            audioBitsPerSecond = plan.audio.bitsPerSecond
            audioPacketBytes = plan.audio.payloadBytes
            talkPercent = plan.audio.talkPercent
            dtx = plan.audio.hasDTX
            video = plan.video.layers.isEmpty ? nil : plan.video.codec
            videoLayers = plan.video.layers
            framesPerSecond = plan.video.framesPerSecond
            feedback = plan.hasFeedback
            self.seconds = seconds
        }
    }

    struct Delivery: Codable {
        var published: Int
        var received: Int
        var packetsPerSecond: Double
        /// Of RTP with what SRTP adds, without UDP and IP.
        var megabitsPerSecond: Double
        var bytesPerPacket: Double
        /// Received of all that was published to somebody, per cent; nil where not all is meant for everybody.
        var deliveredPercent: Double?
        /// Gaps in the sequence numbers that stayed.
        var lost: Int
        var lossPercent: Double
        /// Came by retransmission.
        var recovered: Int
        /// Packets that were asked for again, each time.
        var nacks: Int
        /// Were published and not forwarded, and the sequence numbers hide it; seen in the stamps of sampled packets.
        var withheld: Int
        var duplicates: Int
        /// Decrypted and authentic, of the sample.
        var authenticated: Int
        var undecryptable: Int
        var disconnected: Int
        /// Datagrams that found a full socket buffer of this client.
        var socketDrops: Int
        var keyFrameRequests: Int
    }

    /// From the publisher's send to the kernel's receipt at the subscriber, microseconds.
    struct Latency: Codable {
        var samples: Int
        var p50: Double
        var p95: Double
        var p99: Double
        var maximum: Double

        init(_ samples: Samples) {
            let values = samples.percentiles([0.5, 0.95, 0.99]).map { Double($0) / 1000 }
            self.samples = samples.count
            p50 = values[0]
            p95 = values[1]
            p99 = values[2]
            maximum = Double(samples.maximum) / 1000
        }
    }

    struct OwnUse: Codable {
        /// Of one core.
        var percent: Double
        /// CPU microseconds for each packet sent or received.
        var perPacket: Double
        /// How late frames were sent, milliseconds.
        var lateP99: Double
        var lateMaximum: Double
        /// Frames that were left out.
        var skipped: Int
        /// Soft interrupts of the whole machine, of one core: on loopback they are mostly those of this load.
        var machineSoftirqPercent: Double?
        /// What a hypervisor gave to others while this machine had something to do, of one core: packets wait meanwhile.
        var machineStolenPercent: Double?
    }

    /// Sessions that came and went while the others were measured.
    struct Storm: Codable {
        var started: Int
        var joined: Int
        var joinedPerSecond: Double
        /// Were due when too many were there already.
        var notStarted: Int
        var joins: Report.Joins

        init(_ storm: CallMeasurement.Storm, seconds: Double) {
            started = storm.started
            joined = storm.joined
            joinedPerSecond = Double(storm.joined) / max(1e-3, seconds)
            notStarted = storm.notStarted
            joins = Report.Joins(storm.joins, failures: storm.failures, took: Int64(seconds * 1e9))
        }
    }

    /// One of the measured time's equal parts.
    struct Interval: Codable {
        /// Its end, seconds from the beginning of the measured time.
        var at: Double
        var packetsPerSecond: Double
        var lost: Int
        /// Latency, milliseconds.
        var p50: Double
        var p99: Double
        var maximum: Double
        /// Longest time without a packet of any one stream, milliseconds.
        var longestGap: Double
        /// Sessions that came in it.
        var joined: Int
        var serverResidentBytes: Int?
        /// Media threads, of one core.
        var serverMediaPercent: Double?
        /// As `OwnUse.machineStolenPercent`.
        var stolenPercent: Double?
    }

    var load: Load
    var joins: Report.Joins
    var delivery: Delivery
    var latency: Latency
    /// How often each layer was shown, the lowest first, per cent; nil: there is one.
    var layers: [Double]?
    var server: Report.Server?
    var client: OwnUse
    var storm: Storm?
    var intervals: [Interval]?
    var growth: GrowthRecord?

    var isGood: Bool {
        joins.failed == 0 && delivery.received > 0 && delivery.disconnected == 0
            && (storm?.joins.failed ?? 0) == 0
    }

    // MARK: Table

    var table: String {
        var rows = [("load", loadText)]
        if load.url != nil { rows.append(("join", joins.text)) }
        rows.append(("forwarded", forwardedText))
        rows.append(("loss", lossText))
        rows.append(
            (
                "SRTP",
                "\(delivery.authenticated) packets decrypted, \(delivery.undecryptable) refused; "
                    + "\(delivery.disconnected) sessions ended"
            )
        )
        rows.append(
            (
                "latency",
                "p50 \(number(latency.p50, 0)) us, p95 \(number(latency.p95, 0)) us, p99 \(number(latency.p99, 0)) us, "
                    + "max \(number(latency.maximum, 0)) us (\(latency.samples) samples)"
            )
        )
        if let layers {
            let shares = zip(load.videoLayers, layers).map { "\($0 / 1000) kbit/s \(number($1)) %" }
            rows.append(
                (
                    "layers",
                    shares.joined(separator: ", ") + "; \(delivery.keyFrameRequests) key frames asked for"
                )
            )
        }
        if let server { rows += server.rows }
        rows.append(("this client", clientText))
        rows += joins.failureRows
        rows += stormRows + intervalRows + growthRows
        return Self.table(rows)
    }

    private var loadText: String {
        let who =
            load.publishers == 1
            ? "1 -> \(load.receivers)"
            : "\(load.rooms) room\(load.rooms == 1 ? "" : "s") of \(load.publishers / max(1, load.rooms))"
        var media: [String] = []
        if load.audioBitsPerSecond > 0 {
            let talk =
                load.talkPercent < 100 ? ", talking \(load.talkPercent) %\(load.dtx ? " with DTX" : "")" : ""
            media.append("Opus \(load.audioBitsPerSecond / 1000) kbit/s\(talk)")
        }
        if let video = load.video {
            let layers = load.videoLayers.map { "\($0 / 1000)" }.joined(separator: "/")
            media.append("\(video == .vp8 ? "VP8" : "H.264") \(layers) kbit/s at \(load.framesPerSecond)/s")
        }
        return
            "\(load.scenario.rawValue), \(who), \(media.joined(separator: " + ")), \(number(load.seconds)) s"
    }

    private var forwardedText: String {
        let part = delivery.deliveredPercent.map { ", \(number($0, 2)) % of what was published" } ?? ""
        return
            "\(number(delivery.packetsPerSecond, 0)) packets/s, \(number(delivery.megabitsPerSecond)) Mbit/s, "
            + "\(number(delivery.bytesPerPacket, 0)) B/packet, \(delivery.received) in all\(part)"
    }

    private var lossText: String {
        "\(delivery.lost) packets (\(number(delivery.lossPercent, 3)) %), \(delivery.recovered) recovered "
            + "(\(delivery.nacks) asked for), \(delivery.withheld) withheld, \(delivery.duplicates) duplicates, "
            + "\(delivery.socketDrops) dropped by this client's sockets"
    }

    private var clientText: String {
        let softirq =
            client.machineSoftirqPercent.map { "; the machine's soft interrupts \(number($0)) %" } ?? ""
        return
            "\(number(client.percent)) % of a core, \(number(client.perPacket, 2)) us/packet; sends late by p99 "
            + "\(number(client.lateP99)) ms, max \(number(client.lateMaximum)) ms, \(client.skipped) left out"
            + softirq + Report.stolen(client.machineStolenPercent)
    }

    private var stormRows: [(String, String)] {
        guard let storm else { return [] }
        let late = storm.notStarted > 0 ? "; \(storm.notStarted) not started, too many were there" : ""
        return [("came and went", "\(storm.started) started, \(storm.joins.text)\(late)")]
            + storm.joins.failureRows
    }

    private var intervalRows: [(String, String)] {
        guard let intervals else { return [] }
        return intervals.map { one in
            let memory = one.serverResidentBytes.map { ", server \($0 >> 20) MiB" } ?? ""
            let cpu = one.serverMediaPercent.map { ", \(number($0)) % of a core" } ?? ""
            let stolen = Report.stolen(one.stolenPercent)
            return (
                "at \(number(one.at, 0)) s",
                "\(number(one.packetsPerSecond, 0)) packets/s, \(one.lost) lost, p50 \(number(one.p50, 2)) ms, "
                    + "p99 \(number(one.p99, 2)) ms, max \(number(one.maximum, 2)) ms, "
                    + "longest gap \(number(one.longestGap, 0)) ms, \(one.joined) joined\(memory)\(cpu)\(stolen)"
            )
        }
    }

    private var growthRows: [(String, String)] {
        guard let growth else { return [] }
        let steps = growth.steps.map { step in
            (
                "\(step.rooms) rooms",
                "\(number(step.packetsPerSecond, 0)) packets/s, loss \(number(step.lossPercent, 3)) %, "
                    + "p99 \(number(step.latencyP99)) ms, server \(step.serverPercent.map { number($0) } ?? "?") %, "
                    + "client \(number(step.clientPercent)) %: \(step.isGood ? "good" : "too many")"
            )
        }
        return steps + [("fit", growth.rooms > 0 ? "\(growth.rooms) rooms" : "not even the first step")]
    }
}
