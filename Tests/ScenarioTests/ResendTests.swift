import RTP
import Simulation
import Testing

@Suite struct ResendTests {
    @Test(arguments: UInt64(1)...4)
    func withoutRTXAResendIsTheSameToTheBit_nonceReuse(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let link = LinkConditions.lossy(0.08)
        let (publisher, viewer) = try call.publisherAndViewer(down: link) { peer in
            peer.addSlot(.audio)
            peer.addSlot(.video, rtx: false)
            peer.keepsDatagrams = true
        }
        viewer.asksTwice = true
        var random = SimulatedICEClient.Generator(seed: seed)
        for _ in 0..<6 {
            call.view(
                publisher.camera,
                height: UInt16(180) << UInt16.random(in: 0...2, using: &random),
                by: viewer
            )
            call.run(for: .milliseconds(700))
        }
        publisher.stopSending()
        call.run(for: .seconds(2))
        var seen: [UInt64: [UInt8]] = [:]
        var again = 0
        var different = 0
        for datagram in viewer.datagrams {
            // SSRC and number; the test is shorter than one rollover.
            let key =
                (0..<4).reduce(UInt64(0)) { $0 << 8 | UInt64(datagram[8 + $1]) } << 16
                | UInt64(datagram[2]) << 8 | UInt64(datagram[3])
            if let first = seen[key] {
                again += 1
                if first != datagram { different += 1 }
            } else {
                seen[key] = datagram
            }
        }
        #expect(again > 20, "seed \(seed)")
        #expect(different == 0, "seed \(seed)")
        let video = call.check(viewer, slot: 1, of: [publisher])
        #expect(video.gaps <= video.switches, "seed \(seed)")
    }
}
