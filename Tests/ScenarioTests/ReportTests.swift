import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct ReportTests {
    @Test(arguments: UInt64(1)...3)
    func senderReportsMapTheTimeOfCapture(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let link = LinkConditions.lossy(0.01, jitter: .milliseconds(40))
        let (publisher, viewer) = try call.publisherAndViewer(up: link, down: link)
        var random = SimulatedICEClient.Generator(seed: seed)
        for _ in 0..<8 {
            call.view(
                publisher.camera,
                height: UInt16(180) << UInt16.random(in: 0...2, using: &random),
                by: viewer
            )
            call.run(for: .milliseconds(Int64.random(in: 600...1200, using: &random)))
        }
        call.run(for: .seconds(2))
        // Capture times, in seconds of the reports' clock, of what was captured at the same moment.
        let audio = try #require(captureTime(of: .audio, viewer, publisher))
        let video = try #require(captureTime(of: .video, viewer, publisher))
        #expect(abs(audio - video) < 0.010, "seed \(seed): \(audio - video) s")
    }

    /// When, on the clock of the newest report, the publisher's media time 0 was.
    private func captureTime(
        of kind: MediaKind,
        _ viewer: SimulatedPeer,
        _ publisher: SimulatedPeer
    ) -> Double? {
        guard let slot = viewer.slots.firstIndex(where: { $0.kind == kind }),
            let report = viewer.senderReports.last(where: { $0.report.ssrc == viewer.slots[slot].ssrc })?
                .report,
            let packet = viewer.packets(on: slot).last, let stamp = packet.stamp
        else { return nil }
        let rate = kind == .audio ? 48_000.0 : 90_000.0
        let ntp = Double(report.ntpTime.rawValue) / 4_294_967_296
        let captured = ntp + Double(Int32(bitPattern: packet.timestamp &- report.rtpTimestamp)) / rate
        let mediaTime = kind == .audio ? Double(stamp.frame) * 0.02 : Double(stamp.frame) / 30
        return captured - mediaTime
    }

    @Test func thePublisherIsToldWhatArrives() throws {
        let call = try Call(seed: 4)
        let (publisher, viewer) = try call.publisherAndViewer(up: .lossy(0.1))
        call.run(for: .seconds(5))
        // What comes again by RTX stays lost on the stream itself.
        let ssrc = publisher.camera.ssrc(2)
        let blocks = publisher.receiverReports.filter { $0.block.ssrc == ssrc }
        #expect(blocks.count >= 4)
        #expect(blocks.contains { $0.block.fractionLost > 5 })
        #expect(publisher.feedbackCount > 30)
        let octets = viewer.senderReports.last { $0.report.ssrc == viewer.slots[0].ssrc }?.report
        let packets = Int(octets?.packetCount ?? 0)
        // What padding was added is not counted (RFC 3550 §6.4.1).
        #expect(packets > 200 && Int(octets?.octetCount ?? 0) == packets * 80)
    }
}
