// A participant's timeline for people: one line each, with the time since joining and since the line before.
// Must not know where it comes from.
import Signaling

enum TimelineText {
    static func lines(_ report: TimelineReport) -> [String] {
        report.sessions.enumerated().flatMap { index, session in
            var lines = [
                "\(plain(report.pid)) of \(plain(session.uid)) in \(plain(report.room))"
                    + (report.sessions.count > 1 ? ", \(index + 1) of \(report.sessions.count)" : "")
                    + (session.ended ? "" : ", still there")
            ]
            if session.dropped > 0 { lines.append("  (\(session.dropped) entries gave way to newer ones)") }
            var before: Int64 = 0
            for entry in session.entries {
                let since = "+" + duration(max(0, entry.t - before))
                lines.append("  \(pad(duration(entry.t), 10))  \(pad(since, 10))  \(words(entry))")
                before = entry.t
            }
            return lines
        }
    }

    private static func words(_ entry: TimelineReport.Entry) -> String {
        switch entry.type {
        case "joined": "joined by \(entry.front ?? "?")"
        case "resumed": "resumed: \(entry.outcome ?? "?")"
        case "detached": "socket lost"
        case "closed": "socket closed, \(entry.code.map { "\($0)" } ?? "?")"
        case "offer": entry.restart == true ? "ICE restart" : "offer"
        case "answer": "answer"
        case "refused": "offer refused: \(entry.error ?? "?")"
        case "transport": "transport \(entry.state ?? "?")"
        case "mediaClosed": "media session closed: \(entry.reason ?? "?")"
        case "firstMedia": "first packet of \(entry.source ?? "?")"
        case "firstFrame": "first frame in slot \(number(entry.slot))"
        case "mute": "\(entry.source ?? "?") \(entry.muted == true ? "muted" : "unmuted")"
        case "layer": layer(entry)
        case "overflow": "events given up for a snapshot"
        case "left": "left: \(entry.reason ?? "?")"
        // Of a newer server.
        default: plain(entry.type)
        }
    }

    private static func layer(_ entry: TimelineReport.Entry) -> String {
        let why = entry.reason == "none" ? "" : " (\(entry.reason ?? "?"))"
        guard let spatial = entry.s else { return "slot \(number(entry.slot)) shows nothing\(why)" }
        let temporal = entry.tl.map { ".\($0)" } ?? ""
        return "slot \(number(entry.slot)) shows layer \(spatial)\(temporal)\(why)"
    }

    private static func number(_ value: Int?) -> String { value.map { "\($0)" } ?? "?" }

    /// Without what would move a terminal's cursor.
    private static func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.filter { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }
            )
        )
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// "840 ms", "3.25 s", "4:07 min", "1:12:30 h".
    static func duration(_ microseconds: Int64) -> String {
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let milliseconds = microseconds / 1000
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        if milliseconds < 60_000 { return "\(milliseconds / 1000).\(two(milliseconds % 1000 / 10)) s" }
        let seconds = milliseconds / 1000
        if seconds < 3600 { return "\(seconds / 60):\(two(seconds % 60)) min" }
        return "\(seconds / 3600):\(two(seconds / 60 % 60)):\(two(seconds % 60)) h"
    }
}
