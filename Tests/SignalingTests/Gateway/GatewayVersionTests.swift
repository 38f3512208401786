import Testing

@testable import Signaling

/// Older and newer clients meet this server: docs/protocol.md, Versions.
@Suite struct GatewayVersionTests {
    private func hello(_ version: String?, _ data: String = "") -> String {
        let v = version.map { #""v":"\#($0)","# } ?? ""
        return #"{"type":"hello",\#(v)"data":{"token":"alice"\#(data)}}"#
    }

    @Test(arguments: [nil, "1", "1.0", "1.1", "1.42", "1.0.7"])
    func everyMinorOfTheSameMajorIsServed(_ version: String?) async throws {
        let client = await GatewayHarness().connect()
        await client.send(hello(version))
        let welcome = try #require(try client.take("welcome").first)
        #expect(welcome.string("v") == ProtocolVersion.text)
        #expect(client.closed == nil)
    }

    @Test(arguments: ["2.0", "0.9", "10", "11.0", "", "one", ".1"])
    func anotherMajorIsRefusedInWords(_ version: String) async throws {
        let client = await GatewayHarness().connect()
        await client.send(hello(version))
        let messages = try client.take()
        #expect(messages.map(\.type) == ["error", "bye"])
        #expect(messages[0].string("data", "error", "code") == "unsupported")
        #expect(messages[0].string("data", "error", "message")?.contains("version 1") == true)
        #expect(messages[1].int("data", "code") == 4426)
        #expect(messages[1].string("data", "action") == "fix")
        #expect(client.closed == 4426)
    }

    @Test func capsThatTheServerKnowsAreSaidBack() async throws {
        let client = await GatewayHarness().connect()
        await client.send(hello("1.9", #","caps":["later","batch","batch",""]"#))
        let welcome = try #require(try client.take("welcome").first)
        #expect(welcome.text.contains(#""caps":["batch"]"#))
        #expect(client.closed == nil)
    }

    @Test func unknownCapsChangeNothing() async throws {
        let client = await GatewayHarness().connect()
        await client.send(hello("1.0", #","caps":["later"]"#))
        let messages = try client.take()
        #expect(messages.first?.type == "welcome")
        #expect(messages.first?.text.contains("\"caps\"") == false)
        // One envelope in each message.
        #expect(!client.socket.with { $0.texts }.contains { $0.contains("\n") })
    }

    @Test func capsAreOfTheSocket() async throws {
        let harness = await GatewayHarness()
        let first = await harness.connect()
        await first.send(hello("1.0", #","caps":["batch"]"#))
        try first.readWelcome()
        await first.disconnect()
        let second = await harness.connect()
        let resume = #"{"token":"\#(first.resumeToken)","attempt":1,"lastSeq":1}"#
        await second.send(#"{"type":"hello","v":"1.0","data":{"resume":\#(resume)}}"#)
        let welcome = try #require(try second.take("welcome").first)
        #expect(welcome.string("data", "sid") == first.sid)
        #expect(!welcome.text.contains("\"caps\""))
    }

    /// What a newer client may send: unknown fields, requests and notifications.
    @Test func whatANewerClientSaysIsRefusedOrPassedOver() async throws {
        let client = try await GatewayHarness().join("alice")
        let request = try await client.request("later.thing", #"{"a":1}"#)
        #expect(request.string("error", "code") == "unsupported")
        #expect(request.bool("error", "retryable") == false)
        await client.send(#"{"type":"later.note","data":{"a":1}}"#)
        let known = try await client.request("hand", #"{"raised":true,"later":{"a":[1]}}"#)
        #expect(known.string("data", "participant", "pid") == client.pid)
        #expect(client.closed == nil)
        #expect(try client.take("error").isEmpty)
    }
}
