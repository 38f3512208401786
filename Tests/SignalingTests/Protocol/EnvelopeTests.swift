import Foundation
import NIOCore
import RTP
import Testing

@testable import Signaling

@Suite struct EnvelopeTests {
    private func envelope(_ text: String) throws(GatewayError) -> InboundEnvelope {
        try InboundEnvelope(parsing: ByteBuffer(string: text))
    }

    @Test func readsItsFieldsAndIgnoresOthers() throws {
        let envelope = try envelope(
            #"{"id":7,"type":"track.mute","ack":1041,"trace":"00-4bf9","new":{"a":[1]},"data":{"tid":"tr_1","muted":true,"x":1}}"#
        )
        #expect(envelope.id == 7)
        #expect(envelope.type == "track.mute")
        #expect(envelope.ack == 1041)
        #expect(envelope.trace == "00-4bf9")
        let mute: MuteTrack = try envelope.payload()
        #expect(mute == MuteTrack(tid: "tr_1", cid: nil, muted: true))
    }

    @Test(arguments: [
        "", "null", "[]", "7", "{", #"{"id":1}"#, #"{"type":7}"#, #"{"type":"ack","id":-1}"#,
        #"{"type":"ack","id":1.5}"#,
        #"{"type":"ack","id":"1"}"#, #"{"type":"ack","ack":99999999999999999999999}"#, "\u{0}",
        #"{"type":"a","#,
        String(repeating: "[", count: 100_000), #"{"type":"a","data":"# + String(repeating: "[", count: 5000),
    ])
    func refusesWhatIsNoEnvelope(_ text: String) {
        #expect(throws: GatewayError.self) { try envelope(text) }
    }

    @Test func missingDataIsAnEmptyObject() throws {
        let leave: Leave = try envelope(#"{"type":"leave"}"#).payload()
        #expect(leave == Leave(reason: nil))
        #expect(throws: GatewayError.self) { () throws(GatewayError) -> MuteTrack in
            try envelope(#"{"type":"track.mute"}"#).payload()
        }
    }

    @Test func errorsSayWhereWithoutSayingWhat() throws {
        let text = #"{"type":"view.update","data":{"tiles":[{"w":"secret"}]}}"#
        do throws(GatewayError) {
            let _: UpdateView = try envelope(text).payload()
            Issue.record("a tile with a text for a width was read")
        } catch {
            #expect(error.code == .badRequest)
            #expect(error.message == "data.tiles[0].w has the wrong type")
        }
    }

    @Test func splitsLines() {
        let text = ByteBuffer(string: "\n{\"a\":1}\r\n\n  \n{\"b\":2}\n")
        guard case .envelopes(let lines) = InboundFraming.split(text, authenticated: true) else {
            Issue.record("not split")
            return
        }
        #expect(
            lines.map { String(buffer: $0).trimmingCharacters(in: .whitespaces) }.map {
                $0.trimmingCharacters(in: .newlines)
            } == ["{\"a\":1}", "{\"b\":2}"]
        )
    }

    @Test func limitsBeforeAndAfterAuthentication() {
        func split(_ bytes: Int, lines: Int = 1, authenticated: Bool) -> InboundFraming.Split {
            let line = String(repeating: "x", count: bytes / lines - 1)
            return InboundFraming.split(
                ByteBuffer(string: Array(repeating: line, count: lines).joined(separator: "\n")),
                authenticated: authenticated
            )
        }
        #expect(split(Limits.Signaling.greetingBytes, authenticated: false) != .tooLarge)
        #expect(split(Limits.Signaling.greetingBytes + 2, authenticated: false) == .tooLarge)
        #expect(split(64, lines: 2, authenticated: false) == .tooLarge)
        #expect(split(Limits.Signaling.offerMessageBytes, authenticated: true) != .tooLarge)
        #expect(split(Limits.Signaling.offerMessageBytes + 2, authenticated: true) == .tooLarge)
        #expect(split(6400, lines: Limits.Signaling.envelopesPerMessage, authenticated: true) != .tooLarge)
        #expect(
            split(6400, lines: Limits.Signaling.envelopesPerMessage + 1, authenticated: true) == .tooLarge
        )
    }

    @Test func eventsAreSplicedAndValid() throws {
        let body = try #require(
            EventBody(.conn, revision: 12, timestamp: 99, ConnectionChange(pid: "pa_/1", conn: .mediaOnly))
        )
        #expect(
            String(buffer: body.text(sequence: 42))
                == #"{"seq":42,"rev":12,"type":"conn","ts":99,"data":"# + json(body) + "}"
        )
        #expect(String(buffer: body.text(sequence: nil)).hasPrefix(#"{"rev":12,"type":"conn""#))
        #expect(body.text(sequence: .max).readableBytes <= body.count)
        let welcome = try #require(EventBody(.welcome, Done()))
        #expect(
            String(buffer: welcome.text(sequence: nil)) == #"{"type":"welcome","v":"1.0","data":{"ok":true}}"#
        )
    }

    private func json(_ body: EventBody) -> String {
        let text = String(buffer: body.tail)
        return text.contains(#"{"pid":"pa_/1","conn":"mediaOnly"}"#)
            ? #"{"pid":"pa_/1","conn":"mediaOnly"}"# : #"{"conn":"mediaOnly","pid":"pa_/1"}"#
    }

    @Test func notFiniteNumbersAreNoCrash() {
        #expect(EventBody(.pong, Pong(t: .nan, serverTime: 1)) == nil)
        #expect(
            String(buffer: OutboundText.response(to: 3, revision: 1, Pong(t: .infinity, serverTime: 1)))
                .contains(#""code":"internal""#)
        )
    }

    @Test func responsesCarryTheirRequest() {
        #expect(
            String(buffer: OutboundText.response(to: 7, revision: 8, Done()))
                == #"{"re":7,"rev":8,"data":{"ok":true}}"#
        )
        let failure = String(
            buffer: OutboundText.failure(of: 7, GatewayError(.rateLimited, "slow\n\"down\"", retryAfterMs: 5))
        )
        #expect(failure.hasPrefix(#"{"re":7,"error":{"#))
        #expect(failure.contains(#""code":"rate_limited""#) && failure.contains(#""retryable":true"#))
    }

    @Test func versions() {
        #expect(ProtocolVersion.accepts(nil))
        #expect(ProtocolVersion.accepts("1.0"))
        #expect(ProtocolVersion.accepts("1.7"))
        #expect(!ProtocolVersion.accepts("2.0"))
        #expect(!ProtocolVersion.accepts("10"))
        #expect(!ProtocolVersion.accepts(""))
    }
}
