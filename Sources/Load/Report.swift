// The outcome of a run, as JSON and as a table. Must not know how it was measured.
import Foundation

struct Report: Codable, PrintableReport {
    struct Load: Codable {
        var url: String
        var subscribers: Int
        var packetsPerSecond: Int
        var payloadBytes: Int
        var videoKilobitsPerSecond: Int
        var seconds: Double
    }

    struct Joins: Codable {
        var succeeded: Int
        var failed: Int
        /// From the first byte of the request to the first forwarded packet, milliseconds.
        var p50: Double
        var p95: Double
        var maximum: Double
        /// From the first to the last join.
        var perSecond: Double
        /// Reasons and how often.
        var failures: [String: Int]
    }

    struct Delivery: Codable {
        var published: Int
        var received: Int
        var packetsPerSecond: Double
        /// Received of all that was published to somebody, per cent.
        var deliveredPercent: Double
        /// Gaps in the sequence numbers of the subscribers.
        var lost: Int
        var lossPercent: Double
        var duplicates: Int
        /// Decrypted and authentic, of the sample.
        var authenticated: Int
        var undecryptable: Int
        var disconnected: Int
    }

    /// From the publisher's send to the kernel's receipt at the subscriber, microseconds.
    struct Latency: Codable {
        var samples: Int
        var p50: Double
        var p95: Double
        var p99: Double
        var maximum: Double
    }

    struct Server: Codable {
        /// CPU microseconds for each packet that subscribers got.
        var mediaThreadsPerPacket: Double
        var processPerPacket: Double
        /// Of one core.
        var mediaThreadsPercent: Double
        var processPercent: Double
        var residentBytes: Int
        /// Growth of the resident set from before the first subscriber to after the last.
        var residentBytesPerSubscriber: Int
    }

    var load: Load
    var joins: Joins
    var delivery: Delivery
    var latency: Latency
    var server: Server?
    /// This client's own use of one core: near 100 it is the client that was measured.
    var clientPercent: Double
    var keyFrameRequests: Int

    var isGood: Bool { joins.failed == 0 && delivery.received > 0 }

    var table: String {
        let video = load.videoKilobitsPerSecond > 0 ? " + video \(load.videoKilobitsPerSecond) kbit/s" : ""
        var rows: [(String, String)] = [
            (
                "load",
                "1 -> \(load.subscribers), Opus \(load.packetsPerSecond)/s of \(load.payloadBytes) B\(video), "
                    + "\(number(load.seconds)) s"
            ),
            (
                "join",
                "p50 \(number(joins.p50)) ms, p95 \(number(joins.p95)) ms, max \(number(joins.maximum)) ms; "
                    + "\(joins.succeeded) joined at \(number(joins.perSecond))/s, \(joins.failed) failed"
            ),
            (
                "forwarded",
                "\(number(delivery.packetsPerSecond, 0)) packets/s, \(delivery.received) in all, "
                    + "\(number(delivery.deliveredPercent, 2)) % of what was published"
            ),
            (
                "loss",
                "\(delivery.lost) packets (\(number(delivery.lossPercent, 3)) %), \(delivery.duplicates) duplicates"
            ),
            (
                "SRTP",
                "\(delivery.authenticated) packets decrypted, \(delivery.undecryptable) refused; "
                    + "\(delivery.disconnected) sessions ended"
            ),
            (
                "latency",
                "p50 \(number(latency.p50, 0)) us, p95 \(number(latency.p95, 0)) us, p99 \(number(latency.p99, 0)) us, "
                    + "max \(number(latency.maximum, 0)) us (\(latency.samples) samples)"
            ),
        ]
        if let server { rows += server.rows(per: "subscriber") }
        rows.append(("this client", "\(number(clientPercent)) % of a core"))
        rows += joins.failureRows
        return Self.table(rows)
    }
}

extension Report.Joins {
    var failureRows: [(String, String)] {
        failures.sorted { $0.value > $1.value }.prefix(5).map { ("failed", "\($0.value) x \($0.key)") }
    }
}

extension Report.Server {
    /// - Parameter member: what sessions are called in this run.
    func rows(per member: String) -> [(String, String)] {
        [
            (
                "server CPU",
                "media threads \(number(mediaThreadsPerPacket, 2)) us/packet "
                    + "(\(number(mediaThreadsPercent)) % of a core), "
                    + "process \(number(processPerPacket, 2)) us/packet (\(number(processPercent)) %)"
            ),
            (
                "server memory",
                "\(residentBytes >> 20) MiB resident, "
                    + "\(number(Double(residentBytesPerSubscriber) / 1024)) KiB per \(member)"
            ),
        ]
    }
}

/// What a run prints.
protocol PrintableReport: Encodable {
    var table: String { get }
    /// Everybody joined and was heard.
    var isGood: Bool { get }
}

extension PrintableReport {
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    static func table(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { $0.0.padding(toLength: width + 2, withPad: " ", startingAt: 0) + $0.1 + "\n" }
            .joined()
    }
}

func number(_ value: Double, _ digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }
