import Testing

@testable import Signaling

@Suite struct GeneratedTextTests {
    @Test func sectionsAreReplacedBetweenTheirMarks() throws {
        let file = "a\n<!-- begin generated x -->\nold\nold\n<!-- end generated x -->\nb\n"
        let once = try GeneratedSection.replace("x", with: "new", in: file)
        #expect(once == "a\n<!-- begin generated x -->\nnew\n<!-- end generated x -->\nb\n")
        #expect(try GeneratedSection.replace("x", with: "new", in: once) == once)
    }

    @Test func withoutMarksNothingIsWritten() {
        for file in ["", "// begin generated x\n", "// end generated x\n// begin generated x\n"] {
            #expect(throws: GeneratedSection.Missing.self) {
                try GeneratedSection.replace("x", with: "", in: file)
            }
        }
    }

    @Test func linksBecomeTheirText() {
        #expect(Markdown.plain("See [Views](#views) and [a b](c.md#d).") == "See Views and a b.")
        #expect(Markdown.plain("`[x]` stays, so does [this.") == "`[x]` stays, so does [this.")
    }

    @Test func tablesSayWhatIsOptionalAndWhatIsInside() throws {
        let tables = Dictionary(uniqueKeysWithValues: try Contract().tables.map { ($0.section, $0.text) })
        let client = try #require(tables["client messages"])
        #expect(client.contains("| `track.mute` | request | Mutes or unmutes a track. `tid` or `cid`. | "))
        #expect(client.contains("`resume? {token, attempt, lastSeq}`"))
        let server = try #require(tables["server messages"])
        #expect(server.contains("| `data` | critical or ephemeral | | "))
        #expect(server.contains("`joined [participant]`"))
        for section in tables.values {
            let columns = Set(section.split(separator: "\n").map { row in row.count { $0 == "|" } })
            #expect(columns.count == 1, "a row has too many or too few columns: \(section.prefix(60))")
        }
        for entry in MessageDescriptor.all {
            #expect(tables.values.contains { $0.contains("| `\(entry.type)` |") }, "\(entry.type)")
        }
        for code in CloseCode.allCases where code != .normal {
            #expect(tables["close codes"]?.contains("| \(code.rawValue) |") == true)
        }
    }

    @Test func typeScriptHasEveryTypeAndMessage() throws {
        let contract = try Contract()
        let text = contract.typeScript
        for (name, definition) in contract.definitions {
            let keyword = definition["enum"] == nil ? "interface \(name) {" : "type \(name) ="
            #expect(text.contains("\n  \(keyword)"), "\(name)")
        }
        for entry in MessageDescriptor.all {
            #expect(text.contains("\n    \"\(entry.type)\": "), "\(entry.type)")
        }
        #expect(text.contains("\n    codec?: CodecName;"))
        #expect(text.contains("\n    attrs?: Record<string, string | null>;"))
        #expect(text.contains("\n    payload: unknown;"))
        #expect(text.contains("\"internal\" | (string & {});"))
    }
}
