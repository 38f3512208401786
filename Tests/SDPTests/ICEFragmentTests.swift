import RTP
import SDP
import Testing

@Suite struct ICEFragmentTests {
    static let trickle = """
        a=group:BUNDLE 0 1
        m=audio 9 UDP/TLS/RTP/SAVPF 0
        a=mid:0
        a=ice-ufrag:EsAw
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1
        a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2
        a=candidate:473322822 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active generation 0
        a=candidate:2154773085 1 udp 1686052607 a1b2c3d4.local 61764 typ srflx raddr 0.0.0.0 rport 0
        a=end-of-candidates

        """

    @Test func trickledCandidates() throws {
        let fragment = try ICEFragment(parsing: Self.trickle)
        let credentials = ICECredentials(usernameFragment: "EsAw", password: "P2uYro0UCOQ4zxjKXaWCBui1")
        #expect(fragment.credentials == credentials)
        #expect(fragment.sections.map { $0.mid } == ["0"])
        #expect(fragment.sections[0].candidates.count == 4)
        #expect(fragment.sections[0].isComplete)
        #expect(!fragment.restarts(credentials))
        #expect(
            fragment.restarts(ICECredentials(usernameFragment: "EsAx", password: "P2uYro0UCOQ4zxjKXaWCBui1"))
        )
    }

    @Test func credentialsMayStandOnTop() throws {
        let fragment = try ICEFragment(
            parsing: "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=end-of-candidates\r\n"
        )
        #expect(fragment.credentials?.usernameFragment == "EsAw")
        #expect(fragment.isComplete)
        #expect(fragment.sections.isEmpty)
    }

    @Test func aMidWithoutItsLineIsAccepted() throws {
        let fragment = try ICEFragment(
            parsing: "a=mid:0\na=candidate:1 1 UDP 1 192.0.2.1 1 typ host\na=mid:1\na=end-of-candidates\n"
        )
        #expect(fragment.sections.map { $0.mid } == ["0", "1"])
        #expect(fragment.sections.map { $0.isComplete } == [false, true])
        #expect(fragment.credentials == nil)
        #expect(!fragment.restarts(ICECredentials(usernameFragment: "", password: "")))
    }

    @Test func anEmptyFragmentIsNoError() throws {
        #expect(try ICEFragment(parsing: "") == ICEFragment())
    }

    @Test(
        arguments: [
            ("v=0\n", 1, .unexpectedLine("v")),
            ("m=audio\n", 1, .malformedMediaLine),
            ("garbage\n", 1, .malformedLine),
            ("a=candidate:1 1 UDP 1 192.0.2.1 1 host typ\n", 1, .malformedAttribute("candidate")),
            ("a=candidate:1 1 UDP 4294967296 192.0.2.1 1 typ host\n", 1, .malformedAttribute("candidate")),
            ("a=candidate:1 1 UDP 1 192.0.2.1 65536 typ host\n", 1, .malformedAttribute("candidate")),
            ("a=candidate\n", 1, .malformedAttribute("candidate")),
            ("a=mid:\n", 1, .malformedAttribute("mid")),
            ("a=ice-pwd:short\n", 1, .malformedAttribute("ice-pwd")),
            ("a=ice-ufrag:aaaa\na=ice-ufrag:bbbb\n", 2, .malformedAttribute("ice-ufrag")),
        ] as [(String, Int, SDPError.Problem)]
    )
    func malformedFragments(text: String, line: Int, problem: SDPError.Problem) {
        #expect(throws: SDPError(line: line, problem: problem)) { try ICEFragment(parsing: text) }
    }

    @Test func fragmentsAreBounded() {
        let candidate = "a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\n"
        #expect(throws: SDPError(line: 65, problem: .tooMany("candidates"))) {
            try ICEFragment(parsing: String(repeating: candidate, count: 65))
        }
        #expect(throws: SDPError(line: 0, problem: .tooLarge)) {
            try ICEFragment(parsing: String(repeating: "a", count: 16_385))
        }
        #expect(throws: SDPError(line: 129, problem: .tooMany("m-sections"))) {
            try ICEFragment(parsing: String(repeating: "m=audio 9 RTP/SAVPF 0\n", count: 129))
        }
    }

    @Test func theAnswerToARestart() throws {
        let session = try answered(Fixture.offer("gst_whip_offer.sdp")).session
        let text = ICEFragment.restartText(local: localTransport, session: session)
        let expected = [
            "a=ice-lite", "a=ice-options:trickle renomination", "a=group:BUNDLE video0 audio1",
            "m=video 9 UDP/TLS/RTP/SAVPF 0", "a=mid:video0", "a=ice-ufrag:Aw7dQx2p",
            "a=ice-pwd:kq3vJ9mZ0xR7cT5bN1yL8wHf",
            "a=candidate:1 1 udp 2130706431 198.51.100.7 7882 typ host",
            "a=candidate:2 1 tcp 2124414975 198.51.100.7 7882 typ host tcptype passive",
            "a=end-of-candidates",
        ]
        #expect(text == expected.map { $0 + "\r\n" }.joined())
        let fragment = try ICEFragment(parsing: text)
        #expect(fragment.credentials == localTransport.ice)
        #expect(fragment.sections[0].candidates.count == 2)
    }

    @Test(arguments: [
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host", true),
        ("a=candidate:1 1 udp 1 host.local 9 typ relay raddr x", true),
        ("1 1 TCP 1 ::1 9 typ host tcptype active", true), ("", false), ("candidate:", false),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ", false), ("candidate:1 1 udp -1 192.0.2.1 9 typ host", false),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ h\u{0}st", false),
    ])
    func candidatesAreLookedAtLoosely(text: String, expected: Bool) {
        #expect(Candidate.isWellFormed(text) == expected)
    }
}
