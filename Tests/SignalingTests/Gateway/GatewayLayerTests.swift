import Foundation
import NIOCore
import RTP
import SDP
import Seam
import Testing

@testable import Signaling

/// What the media plane says and hears about layers, as clients see it.
@Suite struct GatewayLayerTests {
    private let room = RoomID("standup")

    private func demand(_ tid: String, _ active: [Bool], room: RoomID? = nil) -> Event {
        let encodings = zip(["q", "h", "f"], active).map {
            PublicationDemand.Encoding(rid: $0.0, active: $0.1)
        }
        return .demand(
            PublicationDemand(
                publication: PublicationID(tid),
                room: room ?? self.room,
                encodings: encodings
            )
        )
    }

    private func activity(_ message: Message?) -> [Bool] {
        message?.list("data", "layers").compactMap { $0["active"] as? Bool } ?? []
    }

    /// A publisher of a camera who has read everything so far.
    private func publisher(_ harness: GatewayHarness) async throws -> (client: TestClient, tid: String) {
        let alice = try await harness.join("alice")
        let camera = try #require(try await alice.publishBoth().first { $0.source == "camera" })
        await harness.pass(.milliseconds(50))
        _ = try alice.take()
        return (alice, camera.tid)
    }

    @Test func demandReachesThePublisherAlone() async throws {
        let harness = await GatewayHarness()
        let (alice, tid) = try await publisher(harness)
        let other = try await harness.join("alice", did: "phone")
        let bob = try await harness.join("bob")
        for client in [alice, other, bob] { _ = try client.take() }
        await harness.emit(
            .demand(
                PublicationDemand(
                    publication: PublicationID(tid),
                    room: room,
                    encodings: [
                        .init(rid: "q", active: true, maxWidth: 320, maxHeight: 180, maxFrameRate: 15),
                        .init(rid: nil, active: false),
                    ]
                )
            )
        )
        #expect(try bob.take().isEmpty)
        #expect(try other.take().isEmpty)
        let events = try alice.take()
        #expect(events.map(\.type) == ["demand"])
        #expect(events[0].seq != nil)
        #expect(events[0].string("data", "tid") == tid)
        let layers = events[0].list("data", "layers")
        #expect(layers.map(\.count) == [5, 1])
        #expect(layers[0]["rid"] as? String == "q")
        #expect(layers[0]["active"] as? Bool == true)
        #expect(["maxW", "maxH", "maxFps"].map { layers[0][$0] as? Int } == [320, 180, 15])
        // No bound and no name are left out.
        #expect(layers[1]["active"] as? Bool == false)
    }

    @Test func ofDemandsThatWaitTheNewestIsTold() async throws {
        let harness = await GatewayHarness()
        let (alice, tid) = try await publisher(harness)
        alice.socket.with { $0.isWritable = false }
        await harness.gateway.writabilityChanged(alice.id, isWritable: false)
        await harness.emit(demand(tid, [true, true, true]))
        await harness.emit(demand(tid, [true, true, false]), demand(tid, [true, false, false]))
        alice.socket.with { $0.isWritable = true }
        await harness.gateway.writabilityChanged(alice.id, isWritable: true)
        await harness.settle()
        let told = try alice.take().filter { $0.type == "demand" }
        #expect(told.map { activity($0) } == [[true, false, false]])
        // The same again may be meant for a client that changed something by itself.
        await harness.emit(demand(tid, [true, false, false]))
        #expect(try alice.take().filter { $0.type == "demand" }.count == 1)
    }

    @Test func aClientThatLostEventsHearsTheDemandAfterItsSnapshot() async throws {
        let harness = await GatewayHarness()
        let (alice, tid) = try await publisher(harness)
        await harness.emit(demand(tid, [true, true, false]))
        _ = try alice.take()
        // It reads, and acknowledges nothing.
        await harness.pass(.seconds(62))
        let told = try alice.take().filter { $0.type == "snapshot" || $0.type == "demand" }
        #expect(told.map(\.type) == ["snapshot", "demand"])
        #expect(activity(told.last) == [true, true, false])
        // What is not published any more is not demanded.
        _ = try await alice.request("track.unpublish", #"{"tid":"\#(tid)"}"#)
        await harness.emit(demand(tid, [true, true, true]))
        await harness.pass(.seconds(62))
        #expect(try alice.take().filter { $0.type == "demand" }.isEmpty)
    }

    @Test func anotherPeerConnectionStartsWithEverything() async throws {
        let harness = await GatewayHarness()
        let (alice, tid) = try await publisher(harness)
        await harness.emit(demand(tid, [true, false, false]))
        _ = try alice.take()
        harness.media.with { $0.holds = true }
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await alice.send(
            #"{"id":2,"type":"pc.offer","data":{"gen":2,"sdp":\#(sdp),"tracks":[{"mid":"1","cid":"cam","kind":"video"}]}}"#
        )
        // On its way from the session that is gone: the new one has nobody who watches yet.
        await harness.emit(demand(tid, [false, false, false]))
        #expect(try alice.take().isEmpty)
        harness.media.release()
        await harness.settle()
        await harness.emit(demand(tid, [true, true, false]))
        let told = try alice.take()
        #expect(told.first { $0.re == 2 }?.string("data", "tracks", 0, "tid") == tid)
        #expect(told.filter { $0.type == "demand" }.map { activity($0) } == [[true, true, false]])
        #expect(try #require(told.firstIndex { $0.re == 2 }) < told.firstIndex { $0.type == "demand" } ?? 0)
    }

    @Test func demandForNobodyIsPassedOver() async throws {
        let harness = await GatewayHarness()
        let (alice, tid) = try await publisher(harness)
        let encoder = try await harness.gateway.openWhipSession(
            room: "standup",
            claims: Claims(room: "standup", user: UserID("encoder"), name: "E", grants: .development),
            offer: try Offer(parsing: SDPFixture.text("gst_whip_offer")),
            kind: .whip,
            remoteAddress: "192.0.2.50"
        )
        let video = try #require(
            harness.media.configurations.last { $0.session == encoder.session }?.media.sections.first {
                $0.section.kind == .video
            }?.publication
        )
        await harness.pass(.milliseconds(50))
        _ = try alice.take()
        await harness.emit(
            demand(video.rawValue, [false]),
            demand("tr_unknown", [true]),
            demand(tid, [true], room: RoomID("elsewhere"))
        )
        #expect(try alice.take().isEmpty)
        #expect(alice.closed == nil)
        #expect(await harness.gateway.owner(of: encoder.session) == UserID("encoder"))
    }

    @Test func slotsAndTracksSayTheirLayers() async throws {
        let harness = await GatewayHarness()
        let (alice, tid) = try await publisher(harness)
        let bob = try await harness.join("bob")
        _ = try await bob.offer("lk_offer")
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        func slot(_ reason: SlotState.Reason, _ spatial: UInt8?, _ temporal: UInt8?) -> Event {
            .slots(
                SessionID(bob.sid),
                [
                    SlotState(
                        mid: "10",
                        kind: .video,
                        publication: PublicationID(tid),
                        participant: ParticipantID(alice.pid),
                        spatialLayer: spatial,
                        temporalLayer: temporal,
                        width: 640,
                        height: 360,
                        reason: reason
                    )
                ]
            )
        }
        await harness.emit(slot(.viewport, 1, 2))
        let told = try #require(try bob.take().first { $0.type == "slots" })
        #expect(told.int("data", "layer", "s") == 1)
        #expect(told.int("data", "layer", "t") == 2)
        #expect(told.int("data", "layer", "width") == 640)
        #expect(told.string("data", "reason") == "viewport")
        await harness.emit(slot(.bandwidth, 0, nil))
        let changed = try #require(try bob.take().first { $0.type == "slots" })
        #expect(changed.int("data", "layer", "s") == 0)
        #expect(changed.int("data", "layer", "t") == nil)
        for reason in ["publisher", "hidden", "muted", "codec", "keyframe"] {
            await harness.emit(slot(try #require(SlotState.Reason(rawValue: reason)), nil, nil))
            let event = try #require(try bob.take().first { $0.type == "slots" })
            #expect(event.string("data", "reason") == reason)
            #expect(event.text.contains("layer") == false)
        }
        let layers = (0..<3).map { index in
            PublicationState.Layer(
                rid: nil,
                spatialLayer: UInt8(index),
                live: true,
                width: 320 << UInt16(index),
                height: 180 << UInt16(index),
                bitsPerSecond: 100_000,
                framesPerSecond: 30
            )
        }
        await harness.emit(
            .publication(
                PublicationState(publication: PublicationID(tid), room: room, codec: .vp9, layers: layers)
            )
        )
        let track = try #require(try bob.take().first { $0.type == "track.layers" })
        #expect(track.list("data", "layers").compactMap { $0["s"] as? Int } == [0, 1, 2])
        #expect(track.list("data", "layers").compactMap { $0["fps"] as? Int } == [30, 30, 30])
        #expect(track.list("data", "layers").compactMap { $0["width"] as? Int } == [320, 640, 1280])
    }

    @Test func tilesReachTheMediaPlaneWhole() async throws {
        let harness = await GatewayHarness()
        let (_, tid) = try await publisher(harness)
        let bob = try await harness.join("bob")
        _ = try await bob.offer("lk_offer")
        func tile(_ json: String) async throws -> Wishes.Tile? {
            _ = try await bob.request("view.update", #"{"tiles":[{"tid":"\#(tid)",\#(json)}]}"#)
            return harness.media.subscriptions.last?.wishes.tiles[PublicationID(tid)]
        }
        #expect(
            try await tile(#""w":319.6,"h":180,"visible":true,"priority":140,"maxFps":15"#)
                == Wishes.Tile(width: 320, height: 180, priority: 140, maxFrameRate: 15)
        )
        #expect(
            try await tile(#""w":320,"h":180,"visible":false,"priority":0"#)
                == Wishes.Tile(width: 320, height: 180, visible: false, priority: 0)
        )
        #expect(
            try await tile(#""w":-4,"h":1e9,"priority":999,"maxFps":1e300"#)
                == Wishes.Tile(width: 0, height: 16_384, priority: 255, maxFrameRate: 255)
        )
        // Nothing new is not said again.
        let count = harness.media.subscriptions.count
        _ = try await tile(#""w":-4,"h":1e9,"priority":999,"maxFps":1e300"#)
        #expect(harness.media.subscriptions.count == count)
    }

    // MARK: Codecs

    private func publishing(_ tracks: String, gen: Int = 1, to client: TestClient) async throws -> [CodecName]
    {
        let sdp = try SDPFixture.text("lk_offer")
        let section = try #require(sdp.range(of: "m=video"))
        let direction = try #require(sdp.range(of: "a=recvonly", range: section.lowerBound..<sdp.endIndex))
        _ = try await client.offer(
            sdp: sdp.replacingCharacters(in: direction, with: "a=sendonly"),
            tracks: tracks,
            gen: gen
        )
        let configured = client.harness.media.configurations.last {
            $0.session.rawValue.hasPrefix(client.sid)
        }
        let media = try #require(configured?.media.sections.first { $0.section.mid == "10" })
        var names: [CodecName] = []
        for codec in media.section.codecs where !names.contains(codec.name) { names.append(codec.name) }
        return names
    }

    @Test func theNamedCodecOutweighsTheServersPreference() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        func track(_ more: String) -> String { #"[{"mid":"10","cid":"cam","kind":"video"\#(more)}]"# }
        #expect(try await publishing(track(""), to: alice) == [.vp8, .vp9, .h264, .av1])
        #expect(try await publishing(track(#","codec":"AV1""#), to: alice) == [.av1, .vp8, .vp9, .h264])
        // It stays until another one is named, on a new connection, too.
        #expect(try await publishing(track(""), to: alice).first == .av1)
        #expect(try await publishing("[]", to: alice).first == .av1)
        #expect(try await publishing(track(""), gen: 2, to: alice).first == .av1)
        #expect(try await publishing(track(#","codec":"vp8""#), gen: 2, to: alice).first == .vp8)
        for unknown in ["h265", "opus", "red", ""] {
            let bob = try await harness.join("bob\(unknown)")
            let order = try await publishing(track(#","codec":"\#(unknown)""#), to: bob)
            #expect(order == [.vp8, .vp9, .h264, .av1], "\(unknown)")
        }
        let narrow = await GatewayHarness(GatewayConfiguration(videoCodecs: [.h264, .vp8]))
        let carol = try await narrow.join("carol")
        #expect(try await publishing(track(#","codec":"vp9""#), to: carol) == [.h264, .vp8])
    }

    @Test func redComesAfterOpusForListeners() async throws {
        let harness = await GatewayHarness()
        let bob = try await harness.join("bob")
        let answer = try #require(try await bob.offer("lk_offer").string("data", "answer"))
        let configured = try #require(harness.media.configurations.last)
        let slots = configured.media.sections.filter { $0.section.kind == .audio && $0.section.slot != nil }
        #expect(slots.map { $0.section.codecs.map(\.name) } == Array(repeating: [.opus, .red], count: 3))
        #expect(answer.contains("a=fmtp:63 111/111\r\n"))
        #expect(configured.media.sections.allSatisfy { $0.section.allowsMixedExtensions })
        let player = try SDPFixture.text("chromium_VP8.offer")
            .replacingOccurrences(of: "a=sendonly", with: "a=recvonly")
        let session = try await harness.gateway.openWhipSession(
            room: "standup",
            claims: Claims(room: "standup", user: UserID("player"), name: "P", grants: .development),
            offer: try Offer(parsing: player),
            kind: .whepRoom(me: nil),
            remoteAddress: "192.0.2.50"
        )
        #expect(session.answer.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n"))
    }
}
