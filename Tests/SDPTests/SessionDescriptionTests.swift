import RTP
import SDP
import Testing

@Suite struct SessionDescriptionTests {
    @Test(arguments: Fixture.all)
    func writingIsTheInverseOfParsing(name: String) throws {
        let text = try Fixture.text(name)
        #expect(try SessionDescription(parsing: text).text == text)
    }

    @Test func fixturesAreThere() {
        #expect(Fixture.offers.count == 19)
        #expect(Fixture.answers.count == 16)
    }

    @Test func bareLineFeedsAndBlankLinesAtTheEndAreAccepted() throws {
        let text = try Fixture.text("chromium_VP8_sim.offer.sdp")
        let plain = String(decoding: text.utf8.filter { $0 != 13 }, as: UTF8.self)
        let expected = try SessionDescription(parsing: text)
        #expect(try SessionDescription(parsing: plain) == expected)
        #expect(try SessionDescription(parsing: plain + "\n\r\n\n") == expected)
        #expect(
            try SessionDescription(parsing: String(decoding: plain.utf8.dropLast(), as: UTF8.self))
                == expected
        )
    }

    @Test func partsAreWhereTheyBelong() throws {
        let description = try SessionDescription(parsing: Fixture.text("firefox_VP8_sim.offer.sdp"))
        #expect(description.origin.username == "mozilla...THIS_IS_SDPARTA-99.0")
        #expect(description.origin.sessionID == "5866942525696287149")
        #expect(description.origin.address == "IN IP4 0.0.0.0")
        #expect(description.name == "-")
        #expect(description.fields == [Field("t", "0 0")])
        #expect(
            description.attributes.map { $0.name } == [
                "fingerprint", "group", "ice-options", "msid-semantic",
            ]
        )
        #expect(description.media.map { $0.media } == ["audio", "video", "application"])
        #expect(description.media.map { $0.port } == [9, 0, 0])
        #expect(description.media[1].formats == ["120", "124", "123", "122", "119"])
        #expect(description.media[1].line == 35)
        #expect(description.media[1].attributes.first == Attribute("bundle-only", line: 37))
    }

    @Test func attributesBeforeTheTimeAreAcceptedAndWrittenAfterIt() throws {
        let description = try SessionDescription(
            parsing: "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\na=ice-lite\nt=0 0\n"
        )
        #expect(description.text == "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n")
    }

    static let head = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n"

    @Test(
        arguments: [
            ("", 0, .missingLine("v")),
            ("\n", 0, .missingLine("v")),
            ("hello", 1, .malformedLine),
            ("{\"sdp\":1}", 1, .malformedLine),
            ("o=- 1 1 IN IP4 0.0.0.0\n", 1, .missingLine("v")),
            ("v=1\n", 1, .unsupportedVersion),
            ("v=0\n", 1, .missingLine("o")),
            ("v=0\no=- 1 1 IN IP4\n", 2, .malformedOrigin),
            ("v=0\ns=-\n", 2, .unexpectedLine("s")),
            ("v=0\no=- 1 1 IN IP4 0.0.0.0\nt=0 0\n", 3, .missingLine("s")),
            ("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n", 3, .missingLine("t")),
            ("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n", 4, .missingLine("t")),
            (head + "v=0\n", 5, .unexpectedLine("v")),
            (head + "o=- 1 1 IN IP4 0.0.0.0\n", 5, .unexpectedLine("o")),
            (head + "x=1\n", 5, .unexpectedLine("x")),
            (head + "A=1\n", 5, .malformedLine),
            (head + "a\n", 5, .malformedLine),
            (head + "a=\n", 5, .malformedLine),
            (head + "a=:value\n", 5, .malformedLine),
            (head + "\na=x\n", 5, .malformedLine),
            (head + "a=x\ry\n", 5, .controlCharacter),
            (head + "a=x\0\n", 5, .controlCharacter),
            (head + "m=audio\n", 5, .malformedMediaLine),
            (head + "m=audio 9 UDP/TLS/RTP/SAVPF\n", 5, .malformedMediaLine),
            (head + "m=audio 65536 UDP/TLS/RTP/SAVPF 0\n", 5, .malformedMediaLine),
            (head + "m=audio -1 UDP/TLS/RTP/SAVPF 0\n", 5, .malformedMediaLine),
            (head + "m=audio +9 UDP/TLS/RTP/SAVPF 0\n", 5, .malformedMediaLine),
            (head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\nt=0 0\n", 6, .unexpectedLine("t")),
        ] as [(String, Int, SDPError.Problem)]
    )
    func malformedTextIsRefusedWithItsPlace(text: String, line: Int, problem: SDPError.Problem) {
        #expect(throws: SDPError(line: line, problem: problem)) { try SessionDescription(parsing: text) }
    }

    /// `head`, then `before`, `count` times `repeated`, then `after`.
    @Test(
        arguments: [
            ("m=audio 9 UDP/TLS/RTP/SAVPF", " 1", 129, "", 5, .tooMany("payload types")),
            ("a=", "x", 8191, "", 5, .lineTooLong),
            ("", "a", 262_145, "", 0, .tooLarge),
            ("", "a=x\n", 16_384, "", 0, .tooMany("lines")),
            ("", "a=x\n", 1025, "", 1029, .tooMany("attributes")),
            ("", "b=AS:1\n", 1024, "", 1028, .tooMany("lines")),
            ("", "m=audio 9 RTP/SAVPF 0\n", 129, "", 133, .tooMany("m-sections")),
        ] as [(String, String, Int, String, Int, SDPError.Problem)]
    )
    func tooMuchIsRefused(
        before: String,
        repeated: String,
        count: Int,
        after: String,
        line: Int,
        problem: SDPError.Problem
    ) {
        let text = Self.head + before + String(repeating: repeated, count: count) + after
        let error = #expect(throws: SDPError.self) { try SessionDescription(parsing: text) }
        #expect(error == SDPError(line: line, problem: problem))
    }

    @Test func boundsThemselvesAreAllowed() throws {
        let sections = String(repeating: "m=audio 9 RTP/SAVPF 0\n", count: 128)
        #expect(try SessionDescription(parsing: Self.head + sections).media.count == 128)
        let attributes = String(repeating: "a=x\n", count: 1024)
        #expect(try SessionDescription(parsing: Self.head + attributes).attributes.count == 1024)
        let line = "a=" + String(repeating: "x", count: 8190) + "\n"
        #expect(try SessionDescription(parsing: Self.head + line).attributes.count == 1)
    }

    @Test func errorsReadAsSentences() {
        #expect(
            "\(SDPError(line: 12, problem: .malformedAttribute("rtpmap")))"
                == "line 12: a=rtpmap is malformed"
        )
        #expect("\(SDPError(line: 0, problem: .missingLine("v")))" == "v= is missing")
    }
}
