import RTP
import Seam
import Simulation
import Testing

@Suite struct LayerSwitchTests {
    @Test(arguments: UInt64(1)...6)
    func switchesAreContinuousInEveryNumber(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let loss = Double(seed % 3) * 0.05
        let link = LinkConditions.lossy(
            loss,
            jitter: .milliseconds(Int64(seed % 2) * 30),
            reorders: seed % 2 == 1
        )
        let (publisher, viewer) = try call.publisherAndViewer(up: link, down: link)
        viewer.reorderGuard = .milliseconds(80)
        var random = SimulatedICEClient.Generator(seed: seed)
        for _ in 0..<14 {
            let height = UInt16(180) << UInt16.random(in: 0...2, using: &random)
            call.view(publisher.camera, height: height, by: viewer)
            call.run(for: .milliseconds(Int64.random(in: 300...800, using: &random)))
        }
        publisher.stopSending()
        call.run(for: .seconds(2))
        let checker = call.check(viewer, slot: 1, of: [publisher])
        #expect(checker.switches >= 3, "seed \(seed)")
        #expect(checker.layersSeen.count >= 2, "seed \(seed)")
        // One number for each frame that a switch broke off.
        #expect(checker.gaps <= checker.switches, "seed \(seed)")
    }

    @Test(arguments: UInt64(1)...3)
    func theTileDecidesTheLayer(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try call.publisherAndViewer()
        for (height, layer) in [(UInt16(180), UInt8(0)), (360, 1), (720, 2), (100, 0), (500, 2)] {
            call.view(publisher.camera, height: height, by: viewer)
            call.run(for: .milliseconds(1200))
            #expect(viewer.packets(on: 1).last?.stamp?.layer == layer, "seed \(seed), height \(height)")
            #expect(call.slots(of: viewer)["s1"]?.spatialLayer == layer, "seed \(seed), height \(height)")
        }
        call.check(viewer, slot: 1, of: [publisher])
    }
}
