// What becomes of one export after each answer of the collector (OTLP/HTTP, "Failures" and "Throttling").
// Time is a parameter. Must not know HTTP clients.
import RTP

/// How an attempt ended.
public enum ExportAnswer: Sendable, Equatable {
    /// An HTTP status, `Retry-After` where it makes sense, and how many spans the collector says it refused.
    case status(Int, retryAfter: Interval?, rejected: Int)
    /// No answer: no connection, reset, timeout.
    case failed(String)
}

struct ExportRetry {
    enum OnAnswer: Equatable {
        case delivered(rejected: Int)
        case wait(Interval)
        /// For good.
        case dropped(String)
    }

    private var attempts = 0
    private var pause = Limits.Telemetry.retryFirst

    /// - Parameter random: 0 to 1.
    mutating func received(_ answer: ExportAnswer, random: Double) -> OnAnswer {
        attempts += 1
        let reason: String
        var asked: Interval?
        switch answer {
        case .status(200..<300, _, let rejected): return .delivered(rejected: rejected)
        case .status(let code, let retryAfter, _) where [429, 502, 503, 504].contains(code):
            reason = "status \(code)"
            asked = retryAfter
        case .status(let code, _, _): return .dropped("status \(code)")
        case .failed(let text): reason = text
        }
        guard attempts < Limits.Telemetry.attempts else { return .dropped(reason) }
        let longest = Limits.Telemetry.retryLongest
        defer { pause = min(Interval(microseconds: pause.microseconds * 2), longest) }
        if let asked { return .wait(min(max(asked, .zero), longest)) }
        // Half of it is left to chance, so that many servers do not come back together.
        let share = 0.5 + min(max(random, 0), 1) / 2
        return .wait(Interval(microseconds: Int64(Double(pause.microseconds) * share)))
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
enum RetryAfter {
    /// - Parameter now: seconds since 1970.
    static func parse(_ text: String, now: Double) -> Interval? {
        let text = text.filter { $0 != " " || text.contains(",") }
        if let seconds = Int64(text), seconds >= 0 { return .seconds(min(seconds, 1_000_000)) }
        guard let date = date(text) else { return nil }
        return Interval(microseconds: Int64(min(max(0, Double(date) - now), 1_000_000) * 1_000_000))
    }

    private static let months = [
        "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10,
        "Nov": 11, "Dec": 12,
    ]

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, seconds since 1970; the two older forms are not read.
    private static func date(_ text: String) -> Int64? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", let day = Int64(words[1]),
            let month = months[String(words[2])],
            let year = Int64(words[3]), (1970...9999).contains(year), (1...31).contains(day)
        else { return nil }
        let clock = words[4].split(separator: ":", omittingEmptySubsequences: false).compactMap { Int64($0) }
        guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]),
            (0...60).contains(clock[2])
        else { return nil }
        // Days since 1970 by counting years from March.
        let shifted = month > 2 ? year : year - 1
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * Int64(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return days * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    }
}
