// The Prometheus text exposition format 0.0.4, written line by line. Must not know where values come from.

/// Collects families and writes them as text.
struct PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    /// The two comment lines that begin a family.
    mutating func begin(_ name: String, _ kind: MetricDescription.Kind, help: String) {
        if !help.isEmpty { text += "# HELP \(name) \(Self.escapedHelp(help))\n" }
        text += "# TYPE \(name) \(kind.rawValue)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        line(name, labels, Self.number(value))
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: some BinaryInteger) {
        line(name, labels, String(value))
    }

    /// A histogram's cumulative buckets, sum and count.
    mutating func histogram(
        _ name: String,
        _ labels: [(String, String)],
        bounds: [Double],
        counts: [UInt64],
        sum: Double
    ) {
        var cumulative: UInt64 = 0
        for (index, count) in counts.enumerated() {
            cumulative &+= count
            let bound = index < bounds.count ? Self.number(bounds[index]) : "+Inf"
            sample(name + "_bucket", labels + [("le", bound)], cumulative)
        }
        sample(name + "_sum", labels, sum)
        sample(name + "_count", labels, cumulative)
    }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{"
            text += labels.map { "\($0.0)=\"\(Self.escapedLabel($0.1))\"" }.joined(separator: ",")
            text += "}"
        }
        text += " \(value)\n"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return "\(value)"
    }

    static func escapedLabel(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    static func escapedHelp(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }

    /// A legal metric or label name: other characters become underscores.
    static func legalName(_ name: String) -> String {
        var legal = ""
        for character in name.unicodeScalars {
            switch character {
            case "a"..."z", "A"..."Z", "_", ":": legal.unicodeScalars.append(character)
            case "0"..."9":
                if legal.isEmpty { legal += "_" }
                legal.unicodeScalars.append(character)
            default: legal += "_"
            }
        }
        return legal.isEmpty ? "_" : legal
    }
}
