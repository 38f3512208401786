// docs/limits.md says what Limits.swift and Limits+Signaling.swift say. Both are read as text: names and values as they are written.
import Foundation
import Testing

@Suite struct LimitsTableTests {
    /// One constant, as the source or the table writes it.
    struct Row: Hashable, CustomStringConvertible {
        var area: String
        var name: String
        var value: String
        var description: String { "Limits.\(area).\(name) = \(value)" }
    }

    @Test func tableSaysWhatTheSourceSays() throws {
        let source = try rows(ofSource: sources())
        let table = try rows(ofTable: text("docs/limits.md"))
        #expect(!source.isEmpty)
        let missing = source.filter { !table.contains($0) }
        let stale = table.filter { !source.contains($0) }
        #expect(missing.isEmpty, "not in docs/limits.md; run scripts/limits-table")
        #expect(stale.isEmpty, "in docs/limits.md alone; run scripts/limits-table")
        // Not the lists themselves: a failure would print both.
        let isSameOrder = source == table
        #expect(isSameOrder, "the order differs; run scripts/limits-table")
    }

    @Test func everyConstantOfTheSourceIsRead() throws {
        let source = try sources()
        let declarations = source.split(separator: "\n").count { $0.contains("static ") && !isComment($0) }
        #expect(rows(ofSource: source).count == declarations)
        #expect(Set(rows(ofSource: source).map { "\($0.area).\($0.name)" }).count == declarations)
    }

    @Test func changedMissingAndNewConstantsAreSeen() {
        let source = """
            public enum Limits {
                /// Packets.
                public enum Media {
                    /// Bytes.
                    public static let datagramBytes = 1500 // why
                    public static let wait: Interval = Interval.seconds(24 * 3600)
                }
            }
            """
        let table = """
            ## Media
            | name | in the source | that is | what it bounds |
            |---|---|---|---|
            | `datagramBytes` | `1500` | 1 500 bytes | Bytes. |
            | `wait` | `Interval.seconds(24 * 3600)` | 24 h | Wait. |
            """
        let read = rows(ofSource: source)
        #expect(read.map(\.description).first == "Limits.Media.datagramBytes = 1500")
        #expect(read == rows(ofTable: table))
        #expect(read != rows(ofTable: table.replacing("1500", with: "1501")))
        #expect(read != rows(ofTable: table.replacing("## Media", with: "## HTTP")))
        #expect(read != rows(ofTable: String(table.prefix(while: { $0 != "w" }))))
    }

    // MARK: reading

    private func sources() throws -> String {
        try text("Sources/RTP/Limits.swift") + text("Sources/RTP/Limits+Signaling.swift")
    }

    private func text(_ path: String) throws -> String {
        let root = URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private func isComment(_ line: Substring) -> Bool { line.drop { $0 == " " }.hasPrefix("//") }

    private func rows(ofSource text: String) -> [Row] {
        var area = ""
        var rows: [Row] = []
        for line in text.split(separator: "\n") where !isComment(line) {
            if let found = line.firstMatch(of: /public enum (\w+) \{/) { area = String(found.1) }
            if let found = line.firstMatch(of: /public static let (\w+)[^=]* = (.+?)\s*(?:\/\/.*)?$/) {
                rows.append(Row(area: area, name: String(found.1), value: String(found.2)))
            }
        }
        return rows
    }

    private func rows(ofTable text: String) -> [Row] {
        var area = ""
        var rows: [Row] = []
        for line in text.split(separator: "\n") {
            if let found = line.firstMatch(of: /^## (\w+)$/) { area = String(found.1) }
            if let found = line.firstMatch(of: /^\| `(\w+)` \| `([^`]+)` \|/) {
                rows.append(Row(area: area, name: String(found.1), value: String(found.2)))
            }
        }
        return rows
    }
}
