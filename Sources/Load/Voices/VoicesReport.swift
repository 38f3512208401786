// The outcome of a run with many voices, as JSON and as a table. Must not know how it was measured.

struct VoicesReport: Codable, PrintableReport {
    struct Load: Codable {
        var url: String
        var participants: Int
        var speakers: Int
        var overlap: Int
        var slots: Int
        var silence: Silence
        var silentLevel: Int
        var payloadBytes: Int
        var seed: UInt64
        var seconds: Double
    }

    struct Inbound: Codable {
        /// By the participants, per second.
        var sentPerSecond: Double
        /// By the server's own count, all datagrams; missing without /metrics.
        var receivedPerSecond: Double?
        /// Packets of voices that are not among the loudest, of all RTP packets that came, per cent.
        var neverDecryptedPercent: Double?
        /// Datagrams that found the server's socket buffers full, on this machine.
        var socketDrops: Int
    }

    struct Forwarded: Codable {
        /// By all participants, per second.
        var packetsPerSecond: Double
        /// By the server's own count; missing without /metrics.
        var serverPerSecond: Double?
        var received: Int
        /// Gaps in the sequence numbers of all participants.
        var lost: Int
        var lossPercent: Double
        var duplicates: Int
        /// Datagrams that found the participants' socket buffers full: lost by this client, not by the server.
        var socketDrops: Int
        var undecryptable: Int
        var disconnected: Int
    }

    /// Milliseconds.
    struct Times: Codable {
        var samples: Int
        var p50: Double
        var p95: Double
        var p99: Double
        var maximum: Double

        init(_ samples: Samples) {
            let values = samples.percentiles([0.5, 0.95, 0.99]).map { Double($0) / 1e6 }
            self.samples = samples.count
            p50 = values[0]
            p95 = values[1]
            p99 = values[2]
            maximum = Double(samples.maximum) / 1e6
        }

        var text: String {
            samples == 0
                ? "none"
                : "p50 \(number(p50)) ms, p95 \(number(p95)) ms, p99 \(number(p99)) ms, max \(number(maximum)) ms "
                    + "(\(samples))"
        }
    }

    struct Onsets: Codable {
        var turns: Int
        var listeners: Int
        /// From the send of the first voiced packet to the kernel's receipt of the first one that came.
        var onset: Times
        /// Turns × listeners of which nothing came.
        var unheard: Int
        /// Turns × listeners whose first packet never came.
        var clipped: Int
        /// How much of the beginning never came.
        var clip: Times
        var clipMean: Double
        /// Voiced packets that came, of those that were sent to each listener, per cent.
        var heardPercent: Double
        /// One voiced packet, from send to the kernel's receipt.
        var latency: Times
    }

    /// From the send of the first voiced packet to the message at a listener's WebSocket, where it was news.
    struct SpeakerChanges: Codable {
        /// The speaker is among the active ones.
        var active: Times
        var neverActive: Int
        var dominant: Times
        /// A receive section shows the speaker.
        var slot: Times
    }

    struct OwnUse: Codable {
        /// Of one core.
        var percent: Double
        /// How late packets were sent, against their schedule.
        var lateness: Times
        /// Packets that were left out because this client was too late for them.
        var skipped: Int
        var messagesPerSecond: Double
        /// Signaling messages by type, per second and listener.
        var messagesPerListener: [String: Double]
        /// What a hypervisor gave to others while this machine had something to do, of one core.
        var machineStolenPercent: Double?
    }

    var load: Load
    var joins: Report.Joins
    var inbound: Inbound
    var forwarded: Forwarded
    var onsets: Onsets
    var changes: SpeakerChanges
    var server: Report.Server?
    var client: OwnUse

    var isGood: Bool {
        joins.failed == 0 && onsets.turns > 0 && onsets.onset.samples > 0 && forwarded.disconnected == 0
    }

    var table: String {
        func perSecond(_ value: Double?) -> String { value.map { "\(number($0, 0))/s" } ?? "?" }
        let undecrypted = inbound.neverDecryptedPercent.map { "\(number($0, 2)) %" } ?? "? %"
        var rows: [(String, String)] = [
            (
                "load",
                "\(load.participants) people, \(load.speakers) take turns (\(load.overlap) at once), "
                    + "\(load.slots) audio slots, silence \(load.silence.rawValue) at level \(load.silentLevel), "
                    + "\(number(load.seconds)) s, seed \(load.seed)"
            ),
            (
                "join",
                joins.text
            ),
            (
                "inbound",
                "\(number(inbound.sentPerSecond, 0)) packets/s sent, server counts "
                    + "\(perSecond(inbound.receivedPerSecond)); \(undecrypted) never decrypted; "
                    + "\(inbound.socketDrops) dropped by its socket"
            ),
            (
                "forwarded",
                "\(number(forwarded.packetsPerSecond, 0)) packets/s, \(forwarded.received) in all, server counts "
                    + "\(perSecond(forwarded.serverPerSecond))"
            ),
            (
                "loss",
                "\(forwarded.lost) packets (\(number(forwarded.lossPercent, 3)) %), of them "
                    + "\(forwarded.socketDrops) by this client's sockets; \(forwarded.duplicates) duplicates, "
                    + "\(forwarded.undecryptable) refused; \(forwarded.disconnected) sessions ended"
            ),
            ("onset", "\(onsets.onset.text); \(onsets.turns) turns at \(onsets.listeners) listeners"),
            (
                "clipped",
                "mean \(number(onsets.clipMean)) ms, p95 \(number(onsets.clip.p95)) ms, "
                    + "max \(number(onsets.clip.maximum)) ms; \(onsets.clipped) of \(onsets.clip.samples) "
                    + "clipped, \(onsets.unheard) unheard"
            ),
            ("voiced packets", "\(number(onsets.heardPercent, 2)) % heard; latency \(onsets.latency.text)"),
            ("told active", "\(changes.active.text), \(changes.neverActive) never"),
            ("told dominant", changes.dominant.text),
            ("slot change", changes.slot.text),
        ]
        if let server { rows += server.rows }
        rows.append(
            (
                "this client",
                "\(number(client.percent)) % of a core; sends late by p95 \(number(client.lateness.p95)) ms, "
                    + "max \(number(client.lateness.maximum)) ms, \(client.skipped) left out; "
                    + "\(number(client.messagesPerSecond, 0)) messages/s"
                    + Report.stolen(client.machineStolenPercent)
            )
        )
        let types = client.messagesPerListener.sorted { $0.value > $1.value }.prefix(4)
            .map { "\($0.key) \(number($0.value))/s" }
        rows.append(("each is told", types.isEmpty ? "nothing" : types.joined(separator: ", ")))
        return Self.table(rows + joins.failureRows)
    }
}
