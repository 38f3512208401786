// Sound and picture stay together: our sender reports say when things were captured, whatever the way did to them.
import RTP
import Seam
import Simulation
import Testing

@Suite struct ClockPitfallTests {
    /// When, on the clock of a report, the publisher's media time 0 was, seconds; by the packet nearest to it.
    private func origin(_ report: SenderReport, _ packets: [ReceivedPacket], rate: Double) -> Double? {
        let nearest = packets.min {
            abs(Int32(bitPattern: $0.timestamp &- report.rtpTimestamp))
                < abs(Int32(bitPattern: $1.timestamp &- report.rtpTimestamp))
        }
        guard let nearest, let stamp = nearest.stamp else { return nil }
        let distance = Double(Int32(bitPattern: nearest.timestamp &- report.rtpTimestamp)) / rate
        return Double(report.ntpTime.rawValue) / 4_294_967_296 + distance - Double(stamp.time.microseconds)
            / 1_000_000
    }

    @Test(arguments: UInt64(1)...4)
    func senderReportsCarryTheClockOfCapture_mediasoup1881(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T3", seed: seed, withAudio: true)
        var random = SimulatedICEClient.Generator(seed: seed)
        // The way to the server gets longer and shorter; nothing of that is in the media's own clocks.
        var link = LinkConditions.lossy(0.01, jitter: .milliseconds(50), reorders: seed % 2 == 0)
        for turn in 0..<20 {
            link.delay = .milliseconds(turn % 3 == 0 ? 10 : Int64.random(in: 10...150, using: &random))
            scene.degrade(up: link)
            scene.view([180, 360, 720].randomElement(using: &random) ?? 360)
            scene.run(Int64.random(in: 300...900, using: &random))
        }
        scene.degrade()
        scene.finish()
        let checker = scene.check()
        #expect(checker.switches >= 8, "seed \(seed)")
        // A key frame that came behind what was shown already is put right after it.
        #expect(checker.worstAlignment <= 80_000, "seed \(seed): \(checker.worstAlignment) µs at a switch")
        var origins: [(at: Instant, slot: Int, value: Double)] = []
        for (at, report) in scene.viewer.senderReports {
            guard let slot = scene.viewer.slots.firstIndex(where: { $0.ssrc == report.ssrc }) else {
                continue
            }
            let rate = slot == 0 ? 90_000.0 : 48_000.0
            if let value = origin(report, scene.viewer.packets(on: slot), rate: rate) {
                origins.append((at, slot, value))
            }
        }
        let audio = origins.filter { $0.slot == 1 }
        let video = origins.filter { $0.slot == 0 }
        #expect(audio.count > 5 && video.count > 5, "seed \(seed)")
        for it in video {
            guard let other = audio.last(where: { $0.at <= it.at }) else { continue }
            let skew = it.value - other.value
            #expect(abs(skew) <= 0.010, "seed \(seed): \(skew * 1000) ms at \(it.at)")
        }
    }

    @Test func theTimeOfAReportNeverGoesBack() throws {
        let scene = try LayerScene("VP8 L1T1")
        for turn in 0..<12 {
            scene.view([180, 720, 360][turn % 3])
            scene.run(500)
        }
        let reports = scene.viewer.senderReports.map(\.report).filter {
            $0.ssrc == scene.viewer.slots[0].ssrc
        }
        #expect(reports.count >= 5)
        for (a, b) in zip(reports, reports.dropFirst()) {
            #expect(Int32(bitPattern: b.rtpTimestamp &- a.rtpTimestamp) >= 0)
            #expect(b.ntpTime.rawValue > a.ntpTime.rawValue)
        }
    }
}
