import Foundation
import NIOCore
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Messages of the application")
struct GatewayRelayTests {
    private static func clear(_ clients: TestClient...) throws {
        for client in clients { _ = try client.take() }
    }

    @Test func reliableMessagesReachTheOthersAndTheOwnOtherDevices() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let phone = try await harness.join("alice", did: "phone")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        try Self.clear(alice, phone, bob)
        let receipt = try await alice.request(
            "data.send",
            #"{"topic":"chat","mid":"m1","payload":{"text":"hi","n":3,"x":[1.5,null,true]}}"#
        )
        #expect(receipt.string("data", "mid") == "m1")
        #expect(receipt.bool("data", "accepted") == true)
        #expect(receipt.int("data", "deliveredTo") == 2)
        #expect(receipt.int("data", "relaySeq") == 1)
        #expect(try alice.take("data").isEmpty)
        let got = try #require(try bob.take("data").first)
        #expect(got.seq != nil)
        #expect(got.string("data", "from") == alice.pid)
        #expect(got.string("data", "uid") == "alice")
        #expect(got.string("data", "payload", "text") == "hi")
        #expect(got.int("data", "payload", "n") == 3)
        #expect(got.int("data", "relaySeq") == 1)
        #expect(got.bool("data", "self") == nil)
        #expect(got.text.contains(#""x":[1.5,null,true]"#))
        #expect(try phone.take("data").first?.bool("data", "self") == true)
    }

    @Test func receiversAreNamedByParticipantOrUser() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        let bobsPhone = try await harness.join("bob", did: "phone")
        let carol = try await harness.join("carol")
        let phone = try await harness.join("alice", did: "phone")
        await harness.pass(.milliseconds(100))
        func send(_ to: String) async throws -> Int? {
            try Self.clear(alice, bob, bobsPhone, carol, phone)
            return try await alice.request("data.send", #"{"to":[\#(to)],"topic":"t","payload":1}"#)
                .int("data", "deliveredTo")
        }
        #expect(try await send("\"bob\"") == 3)
        #expect(try bob.take("data").count == 1)
        #expect(try bobsPhone.take("data").count == 1)
        #expect(try phone.take("data").count == 1)
        #expect(try carol.take("data").isEmpty)
        #expect(try await send("\"\(bob.pid)\"") == 2)
        #expect(try bobsPhone.take("data").isEmpty)
        #expect(try await send("\"nobody\"") == 1)
        #expect(try await send("") == 1)
    }

    @Test func lossyMessagesAreEphemeral() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        try Self.clear(alice, bob)
        await alice.send(#"{"type":"data.send","data":{"topic":"cursor","payload":[1,2]}}"#)
        let got = try #require(try bob.take("data").first)
        #expect(got.seq == nil)
        #expect(got.int("data", "relaySeq") == nil)
        // As a request, and the other way round.
        let receipt = try await alice.request(
            "data.send",
            #"{"topic":"cursor","payload":1,"reliable":false}"#
        )
        #expect(receipt.int("data", "deliveredTo") == 1)
        #expect(try bob.take("data").first?.seq == nil)
        await alice.send(#"{"type":"data.send","data":{"topic":"t","payload":1,"reliable":true}}"#)
        #expect(try bob.take("data").first?.seq != nil)
        // A socket that takes nothing sheds them, and counts.
        bob.socket.with { $0.isWritable = false }
        for n in 0..<50 {
            await alice.send(#"{"type":"data.send","data":{"topic":"c","payload":\#(n)}}"#)
        }
        harness.clock.advance(.seconds(3))
        bob.socket.with { $0.isWritable = true }
        await harness.gateway.writabilityChanged(bob.id, isWritable: true)
        await harness.settle()
        #expect(try bob.take("data").isEmpty)
        #expect(await harness.gateway.readStatistics().shed[.data] == 50)
    }

    @Test func theSameMessageIsSentOnce() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice", did: "tab")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        try Self.clear(alice, bob)
        let message = #"{"topic":"chat","mid":"m1","payload":"hi"}"#
        let first = try await alice.request("data.send", message)
        let second = try await alice.request("data.send", message)
        #expect(second.bool("data", "duplicate") == true)
        #expect(second.int("data", "relaySeq") == first.int("data", "relaySeq"))
        #expect(second.int("data", "deliveredTo") == first.int("data", "deliveredTo"))
        // After the device joined anew it is still the same message; of somebody else it is another.
        let again = try await harness.join("alice", did: "tab")
        let third = try await again.request("data.send", message)
        #expect(third.bool("data", "duplicate") == true)
        #expect(try bob.take("data").count == 1)
        let other = try await bob.request("data.send", message)
        #expect(other.bool("data", "duplicate") == nil)
        #expect(try again.take("data").count == 1)
    }

    @Test func refusals() async throws {
        let harness = await GatewayHarness()
        let mute = try await harness.join("alice,nodata")
        #expect(
            try await mute.request("data.send", #"{"topic":"t","payload":1}"#).string("error", "code")
                == "forbidden"
        )
        let bob = try await harness.join("bob")
        let long = String(repeating: "x", count: Limits.Relay.payloadBytes)
        let name = String(repeating: "n", count: Limits.Relay.nameBytes + 1)
        let many = (0...Limits.Relay.receivers).map { "\"u\($0)\"" }.joined(separator: ",")
        for (data, code) in [
            (#"{"topic":"t","payload":"\#(long)"}"#, "too_large"),
            (#"{"topic":"","payload":1}"#, "bad_request"),
            (#"{"topic":"\#(name)","payload":1}"#, "bad_request"),
            (#"{"topic":"t","mid":"\#(name)","payload":1}"#, "bad_request"),
            (#"{"topic":"t"}"#, "bad_request"),
            (#"{"topic":"t","payload":1,"to":[\#(many)]}"#, "too_large"),
        ] {
            #expect(try await bob.request("data.send", data).string("error", "code") == code, "\(code)")
        }
        // As deep as the parser allows, and deeper; whatever it says, it says it.
        for depth in [400, 5000] {
            let deep = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            await bob.send(#"{"type":"data.send","data":{"topic":"t","payload":\#(deep)}}"#)
            if bob.closed != nil { break }
        }
        let carol = try await harness.join("carol")
        let fits = String(repeating: "x", count: Limits.Relay.payloadBytes - 2)
        let accepted = try await carol.request("data.send", #"{"topic":"t","payload":"\#(fits)"}"#)
        #expect(accepted.bool("data", "accepted") == true)
    }

    @Test func sendersAreHeldToARate() async throws {
        let harness = await GatewayHarness()
        let bob = try await harness.join("bob")
        var refused = 0
        for _ in 0..<(Limits.Relay.burst + 10) {
            let answer = try await bob.request("data.send", #"{"topic":"t","payload":1}"#)
            if answer.string("error", "code") == "rate_limited" { refused += 1 }
        }
        #expect(refused == 10)
        await harness.pass(.seconds(1))
        let later = try await bob.request("data.send", #"{"topic":"t","payload":1}"#)
        #expect(later.bool("data", "accepted") == true)
    }

    @Test func aClientThatLostEventsGetsItsMessagesAgain() async throws {
        let harness = await GatewayHarness()
        let slow = try await harness.join("slow")
        let alice = try await harness.join("alice")
        await harness.pass(.milliseconds(100))
        try await alice.request("data.send", #"{"topic":"t","mid":"known","payload":0}"#)
        let last = try #require(try slow.take().compactMap(\.seq).max())
        await slow.send(#"{"type":"ack","ack":\#(last)}"#)
        slow.socket.with { $0.isWritable = false }
        await harness.gateway.writabilityChanged(slow.id, isWritable: false)
        try await alice.request("data.send", #"{"topic":"t","mid":"missed","payload":1}"#)
        // Whatever makes it overflow.
        for n in 0..<Limits.Signaling.criticalEvents {
            try await harness.gateway.fill(slow.pid, n)
        }
        try await alice.request("data.send", #"{"topic":"t","mid":"later","payload":2}"#)
        #expect(await harness.gateway.readStatistics().overflows >= 1)
        slow.socket.with { $0.isWritable = true }
        await harness.gateway.writabilityChanged(slow.id, isWritable: true)
        await harness.settle()
        let told = try slow.take()
        let snapshot = try #require(told.first { $0.type == "snapshot" })
        #expect(snapshot.int("data", "relay", "from") == 1)
        #expect(snapshot.int("data", "relay", "to") == 3)
        #expect(snapshot.int("data", "relay", "lost") == 0)
        let mids = told.filter { $0.type == "data" }.compactMap { $0.string("data", "mid") }
        #expect(mids == ["missed", "later"])
        // In order, and after the snapshot.
        let sequences = told.compactMap(\.seq)
        #expect(sequences == sequences.sorted())
    }

    @Test func newcomersDoNotGetWhatWasSaidBefore() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        try await alice.request("data.send", #"{"topic":"t","payload":1}"#)
        let bob = await harness.connect()
        await bob.send(#"{"type":"hello","data":{"token":"bob"}}"#)
        let told = try bob.take()
        #expect(told.map(\.type) == ["welcome", "snapshot"])
        #expect(told[1].int("data", "relay", "to") == nil)
    }
}

extension Gateway {
    /// A critical event of no meaning.
    fileprivate func fill(_ pid: String, _ number: Int) throws {
        for room in rooms.values {
            guard let member = room.members[ParticipantID(pid)] else { continue }
            queueCritical(
                member,
                .need,
                SlotsNeeded(audio: 3, video: number, reason: .publications),
                at: clock()
            )
        }
    }
}
