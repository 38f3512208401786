// One log line per event on standard error: readable text or JSON. Metadata keys are sorted so that lines compare.
import Logging

import struct Foundation.Data
import struct Foundation.Date
import class Foundation.FileHandle
import class Foundation.ISO8601DateFormatter

struct LineLogHandler: LogHandler {
    let label: String
    let isJSON: Bool
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(label: String, level: Logger.Level, isJSON: Bool) {
        self.label = label
        self.isJSON = isJSON
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }.sorted { $0.key < $1.key }
        let line = isJSON ? json(event, all) : text(event, all)
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    private func text(_ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)]) -> String {
        var line = "\(LineLogHandler.time()) \(event.level.rawValue.uppercased()) \(label): \(event.message)"
        for (key, value) in metadata {
            let text = "\(value)"
            line += " \(key)=\(text.contains(" ") ? LineLogHandler.quote(text) : text)"
        }
        return line.split(whereSeparator: \.isNewline).joined(separator: " ⏎ ")
    }

    private func json(_ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)]) -> String {
        var fields = [
            ("time", LineLogHandler.time()), ("level", event.level.rawValue), ("logger", label),
            ("message", "\(event.message)"),
        ]
        fields += metadata.map { ($0.key, "\($0.value)") }
        return "{"
            + fields.map { "\(LineLogHandler.quote($0.0)):\(LineLogHandler.quote($0.1))" }.joined(
                separator: ","
            )
            + "}"
    }

    private static func time() -> String {
        Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
