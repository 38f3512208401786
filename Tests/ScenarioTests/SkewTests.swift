// Sound and picture of whoever is shown stay together, by our sender reports, when slots change from one participant to
// another: clocks that are hours apart, ways of different lengths, any number of switches.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SkewTests {
    /// When, on the clock of a report, the publisher's media time 0 was, seconds.
    private func origin(_ report: SenderReport, _ packets: [ReceivedPacket], rate: Double) -> Double? {
        func distance(_ packet: ReceivedPacket) -> Int32 {
            Int32(bitPattern: packet.timestamp &- report.rtpTimestamp)
        }
        guard let nearest = packets.min(by: { abs(distance($0)) < abs(distance($1)) }),
            let stamp = nearest.stamp
        else { return nil }
        return Double(report.ntpTime.rawValue) / 4_294_967_296 + Double(distance(nearest)) / rate
            - Double(stamp.time.microseconds) / 1_000_000
    }

    @Test(arguments: ["VP8 L1T3", "VP9 L3T3", "AV1 L1T3"], UInt64(1)...2)
    func slotsThatChangeTheirSourceStayTogether_janus2007(format: String, seed: UInt64) throws {
        let call = try Call(seed: seed)
        let video = try Formats.named(format)
        var people: [SimulatedPeer] = []
        for (name, offset) in [("ann", 0), ("ben", -40_000), ("cleo", 3600)] as [(String, Int64)] {
            let peer = try call.join(name) { peer in
                _ = peer.publish(.video(video), nearWraps: true)
                _ = peer.publish(.opus(bytes: 80), nearWraps: true)
                for publisher in peer.publishers { publisher.clockOffset = .seconds(offset) }
            }
            people.append(peer)
        }
        let viewer = try call.join("viewer") { peer in
            peer.addSlot(.video)
            peer.addSlot(.audio)
        }
        #expect(call.run(atMost: .seconds(3)) { (people + [viewer]).allSatisfy(\.isConnected) })
        for (number, peer) in people.enumerated() {
            peer.up.conditions = .lossy(0.01, jitter: .milliseconds(30), reorders: seed == 2)
            peer.up.conditions.delay = .milliseconds(Int64(10 + 60 * number))
            viewer.reorderGuard = .milliseconds(60)
        }
        call.run(for: .seconds(2))
        var worst = 0.0
        var compared = 0
        for turn in 0..<9 {
            let shown = people[turn * 2 % 3]
            call.apply(.subscribe(viewer.session, Wishes(scope: .participant(shown.participant))))
            let since = call.now + .milliseconds(400)
            call.run(for: .milliseconds(2000))
            let sources = Set(shown.publishers.map(\.source.id))
            let mine = (0...1).map { slot in
                viewer.packets(on: slot).filter {
                    $0.at > since && $0.stamp.map { sources.contains($0.source) } == true
                }
            }
            let reports = viewer.senderReports.filter { $0.at > since }.map(\.report)
            func origins(_ slot: Int, _ rate: Double) -> [Double] {
                reports.filter { $0.ssrc == viewer.slots[slot].ssrc }
                    .compactMap { origin($0, mine[slot], rate: rate) }
            }
            for picture in origins(0, 90_000) {
                for sound in origins(1, 48_000) {
                    worst = max(worst, abs(picture - sound))
                    compared += 1
                }
            }
        }
        #expect(compared >= 9, "\(format), seed \(seed)")
        #expect(worst <= 0.010, "\(format), seed \(seed): \(worst * 1000) ms")
        for slot in [0, 1] { call.check(viewer, slot: slot, of: people) }
    }

    /// What is reordered on its way says nothing of the clock: reports agree with each other, but for what is still
    /// learned of the way, and that is the same for sound and picture.
    @Test(arguments: UInt64(1)...3)
    func reorderingDoesNotMoveTheReports_interceptor197(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T1", seed: seed, withAudio: true)
        scene.degrade(up: .lossy(0.02, jitter: .milliseconds(90), reorders: true))
        scene.run(9000)
        scene.degrade()
        func origins(_ slot: Int, _ rate: Double) -> [(at: Instant, value: Double)] {
            let packets = scene.viewer.packets(on: slot)
            return scene.viewer.senderReports.dropFirst(4).compactMap { at, report in
                guard report.ssrc == scene.viewer.slots[slot].ssrc else { return nil }
                return origin(report, packets, rate: rate).map { (at, $0) }
            }
        }
        let (picture, sound) = (origins(0, 90_000), origins(1, 48_000))
        #expect(picture.count >= 4 && sound.count >= 4, "seed \(seed)")
        let spread = (picture.map(\.value).max() ?? 1) - (picture.map(\.value).min() ?? 0)
        #expect(spread <= 0.040, "seed \(seed): \(spread * 1000) ms")
        for it in picture {
            guard let other = sound.last(where: { $0.at <= it.at }) else { continue }
            #expect(
                abs(it.value - other.value) <= 0.010,
                "seed \(seed): \((it.value - other.value) * 1000) ms"
            )
        }
    }

    /// Timestamps are the publisher's, moved: when a packet came to us is not in them, not even at a switch.
    @Test(arguments: ["VP8 L1T1", "H264", "AV1 L1T3"])
    func timestampsAreNotTheTimeOfArrival_mediasoup301_mediasoup626(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(2500)
        var link = LinkConditions.perfect
        for turn in 0..<12 {
            // Each switch comes while the way gets longer or shorter.
            link.delay = .milliseconds([10, 60, 120, 30][turn % 4])
            scene.degrade(up: link)
            scene.view([180, 720, 360][turn % 3])
            scene.run(700)
        }
        scene.degrade()
        scene.finish()
        let checker = scene.check()
        #expect(checker.switches >= 8, "\(format)")
        // Where the way gets shorter two pictures come at once, and the switch may lie between them.
        #expect(checker.worstAlignment <= 34_000, "\(format): \(checker.worstAlignment) µs")
    }
}
