// What the reports of all scenarios have in common: joins, the server's use of the machine, tables and JSON. Must not know how
// anything was measured.
import Foundation

/// What a run prints.
protocol PrintableReport: Encodable {
    var table: String { get }
    /// Everybody joined and was heard.
    var isGood: Bool { get }
}

enum Report {
    /// The end of a row, where there is something to say: what a hypervisor gave to others, of one core.
    static func stolen(_ percent: Double?) -> String {
        guard let percent, percent >= 0.05 else { return "" }
        return "; \(number(percent)) % stolen by the hypervisor"
    }

    struct Joins: Codable {
        var succeeded: Int
        var failed: Int
        /// From the first byte of the request to the first forwarded packet, or the media connection of those who publish;
        /// milliseconds.
        var p50: Double
        var p95: Double
        var p99: Double
        var maximum: Double
        /// From the first to the last join.
        var perSecond: Double
        /// Reasons and how often.
        var failures: [String: Int]

        /// - Parameter took: nanoseconds from the first join to the end of the last.
        init(_ times: Samples, failures: [String: Int], took: Int64) {
            let values = times.percentiles([0.5, 0.95, 0.99]).map { Double($0) / 1e6 }
            succeeded = times.count
            failed = failures.values.reduce(0, +)
            p50 = values[0]
            p95 = values[1]
            p99 = values[2]
            maximum = Double(times.maximum) / 1e6
            perSecond = Double(times.count) / max(1e-3, Double(took) / 1e9)
            self.failures = failures
        }

        var text: String {
            "p50 \(number(p50)) ms, p95 \(number(p95)) ms, max \(number(maximum)) ms; "
                + "\(succeeded) joined at \(number(perSecond))/s, \(failed) failed"
        }

        var failureRows: [(String, String)] {
            failures.sorted { $0.value > $1.value }.prefix(5).map { ("failed", "\($0.value) x \($0.key)") }
        }
    }

    struct Server: Codable {
        /// CPU microseconds for each packet that was forwarded; threads of media and all threads.
        var mediaThreadsPerPacket: Double
        var processPerPacket: Double
        /// How the media threads' time is divided, by the kernel's clock ticks.
        var mediaThreadsUserPerPacket: Double
        var mediaThreadsSystemPerPacket: Double
        /// Of one core.
        var mediaThreadsPercent: Double
        var processPercent: Double
        var residentBytes: Int
        /// Growth of the resident set from before the first join to after the warm-up.
        var residentBytesPerSession: Int
    }
}

extension Report.Server {
    /// nil: no packet came, to which anything could be attributed.
    /// - Parameters:
    ///   - baseline: before the first join.
    ///   - packets: those that were forwarded.
    ///   - wall: nanoseconds between the two.
    ///   - mediaThreads: how the names of the media threads begin.
    init?(
        from before: ProcessUsage,
        to after: ProcessUsage,
        baseline: ProcessUsage?,
        packets: Int64,
        wall: Int64,
        sessions: Int,
        mediaThreads: String
    ) {
        guard packets > 0, wall > 0 else { return nil }
        let media = after.since(before, threads: mediaThreads)
        let whole = after.since(before)
        let growth = before.resident - (baseline?.resident ?? before.resident)
        let ticks = Double(max(1, media.user + media.system))
        mediaThreadsPerPacket = Double(media.cpu) / 1000 / Double(packets)
        processPerPacket = Double(whole.cpu) / 1000 / Double(packets)
        mediaThreadsUserPerPacket = mediaThreadsPerPacket * Double(media.user) / ticks
        mediaThreadsSystemPerPacket = mediaThreadsPerPacket * Double(media.system) / ticks
        mediaThreadsPercent = Double(media.cpu) / Double(wall) * 100
        processPercent = Double(whole.cpu) / Double(wall) * 100
        residentBytes = Int(after.resident)
        residentBytesPerSession = Int(growth) / max(1, sessions)
    }

    var rows: [(String, String)] {
        [
            (
                "server CPU",
                "media threads \(number(mediaThreadsPerPacket, 2)) us/packet "
                    + "(user \(number(mediaThreadsUserPerPacket, 2)), system \(number(mediaThreadsSystemPerPacket, 2)); "
                    + "\(number(mediaThreadsPercent)) % of a core), "
                    + "process \(number(processPerPacket, 2)) us/packet (\(number(processPercent)) %)"
            ),
            (
                "server memory",
                "\(residentBytes >> 20) MiB resident, "
                    + "\(number(Double(residentBytesPerSession) / 1024)) KiB per session"
            ),
        ]
    }
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
