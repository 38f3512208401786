// A source that sends more than it may is told, and what stays far above for long reaches nobody's downlink.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct MaximumBitrateTests {
    private static func single(_ bitsPerSecond: Int) -> MediaSource.Format {
        .vp8(
            [MediaSource.VP8Layer(width: 1280, height: 720, bitsPerSecond: bitsPerSecond)],
            framesPerSecond: 30
        )
    }

    private struct Scene {
        let call: Call
        let publisher: SimulatedPeer
        let viewer: SimulatedPeer
        /// What the publisher was told, bits per second.
        let told: Told

        final class Told {
            var notices: [(at: Instant, bitrate: UInt64, sources: Int)] = []
        }

        init(_ format: MediaSource.Format, maximum: UInt32, mic: UInt32 = 100_000) throws {
            call = try Call(seed: 11, shards: 1)
            publisher = try call.join("publisher") { peer in
                peer.publish(.opus(bytes: 80)).maxBitsPerSecond = mic
                peer.publish(format).maxBitsPerSecond = maximum
            }
            viewer = try call.join("viewer") { $0.addSlots(audio: 1, video: 1) }
            let all = [publisher, viewer]
            #expect(call.run(atMost: .seconds(3)) { all.allSatisfy(\.isConnected) })
            let told = Told()
            self.told = told
            publisher.onRTCP = { [unowned call] block in
                guard let notice = ReceiverEstimatedBitrate(block) else { return }
                told.notices.append((call.now, notice.bitrate, notice.sourceCount))
            }
        }

        func run(_ seconds: Int64) { call.run(for: .seconds(seconds)) }

        var dropped: UInt64 { call.shard.counters.drops["aboveMaximumBitrate"] ?? 0 }

        /// Payload bits per second that the viewer got in this slot since then.
        func rate(slot: Int, since: Instant) -> Int {
            let bytes = viewer.packets(on: slot).filter { $0.at > since }.reduce(0) { $0 + $1.payload.count }
            return bytes * 8 / max(1, Int((call.now - since).milliseconds / 1000))
        }
    }

    @Test func whoObeysIsToldNothing() throws {
        let scene = try Scene(MediaSource.threeLayers, maximum: 2_500_000)
        scene.run(10)
        #expect(scene.told.notices.isEmpty)
        #expect(scene.dropped == 0)
    }

    @Test func whoExceedsIsToldTheSumEverySecondUntilItIsLess() throws {
        let scene = try Scene(MediaSource.threeLayers, maximum: 2_000_000)
        scene.run(10)
        #expect(scene.told.notices.count >= 8 && scene.told.notices.count <= 10)
        #expect(scene.told.notices.allSatisfy { $0.bitrate <= 2_100_000 && $0.bitrate > 2_099_000 })
        // Below one and a half times the maximum nothing is dropped.
        #expect(scene.dropped == 0)
        scene.publisher.camera.source.activeLayers = [0, 1]
        scene.run(4)
        let before = scene.told.notices.count
        scene.run(10)
        #expect(scene.told.notices.count == before)
    }

    @Test func theTopEncodingsOfWhoDoesNotObeyAreLeftOut() throws {
        let scene = try Scene(MediaSource.threeLayers, maximum: 800_000)
        scene.run(2)
        #expect(scene.dropped == 0)
        #expect(scene.viewer.packets(on: 1).last?.stamp?.layer == 2)
        scene.run(4)
        #expect(scene.dropped > 0)
        let since = scene.call.now
        scene.run(6)
        let packets = scene.viewer.packets(on: 1).filter { $0.at > since }
        #expect(!packets.isEmpty && packets.allSatisfy { $0.stamp?.layer == 1 })
        #expect(scene.call.slots(of: scene.viewer)["s1"]?.reason == .publisher)
        // Its voice is not touched, and nobody asks for what was dropped.
        let voice = scene.viewer.packets(on: 0).filter { $0.at > since }
        #expect(voice.count >= 298)
        #expect(scene.publisher.asked.isEmpty)
        scene.call.check(scene.viewer, slot: 0, of: [scene.publisher])
        scene.call.checkAccounts()
    }

    @Test func ofASingleStreamAsMuchAsItMaySendIsForwarded() throws {
        let scene = try Scene(Self.single(6_000_000), maximum: 1_000_000)
        scene.run(8)
        let since = scene.call.now
        scene.run(10)
        let rate = scene.rate(slot: 1, since: since)
        #expect(rate > 300_000 && rate < 1_150_000, "\(rate) bit/s")
        #expect(scene.viewer.packets(on: 0).filter { $0.at > since }.count >= 498)
        #expect(scene.publisher.asked.isEmpty)
        scene.call.checkAccounts()
    }

    @Test func whoBehavesAgainIsLetInWhole() throws {
        let scene = try Scene(MediaSource.threeLayers, maximum: 800_000)
        scene.run(8)
        scene.publisher.camera.source.activeLayers = [0, 1]
        scene.run(5)
        let dropped = scene.dropped
        #expect(dropped > 0)
        let since = scene.call.now
        scene.run(4)
        #expect(scene.dropped == dropped)
        #expect(scene.viewer.packets(on: 1).contains { $0.at > since && $0.stamp?.layer == 1 })
    }

    @Test func aVoiceThatFloodsIsBoundedToo() throws {
        let scene = try Scene(MediaSource.threeLayers, maximum: 2_500_000, mic: 16_000)
        scene.run(8)
        let since = scene.call.now
        scene.run(10)
        let rate = scene.rate(slot: 0, since: since)
        #expect(rate > 10_000 && rate < 18_000, "\(rate) bit/s")
        let picture = scene.viewer.packets(on: 1).filter { $0.at > since }
        #expect(picture.allSatisfy { $0.stamp?.layer == 2 } && picture.count > 300)
    }
}
