// The dependency descriptor on its way through: masks, structures and their age.
import RTP
import Seam
import Simulation
import Testing

@Suite struct DescriptorPitfallTests {
    private static let described = Formats.all.filter {
        $0.format.codec == .av1 && $0.format.temporalLayers * $0.format.spatialLayers > 1
    }.map(\.name)

    /// Reads a slot's descriptors in order.
    private func read(_ packets: [ReceivedPacket]) -> [(packet: ReceivedPacket, it: DependencyDescriptor)] {
        var structure = DependencyStructure()
        return packets.sorted { $0.sequence < $1.sequence }.compactMap { packet in
            guard let bytes = packet.descriptor else { return nil }
            let parsed = bytes.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.flatMap {
                    DependencyDescriptor.parse(
                        $0,
                        length: buffer.count,
                        structure: &structure,
                        isNewest: true
                    )
                }
            }
            return parsed.map { (packet, $0) }
        }
    }

    @Test(arguments: DescriptorPitfallTests.described)
    func theMaskIsOnEveryPacketWhereLayersAreLeftOut_mediasoup1610(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1000)
        scene.view(180, maxFrameRate: 8)
        scene.run(1500)
        let since = scene.call.now
        scene.run(1000)
        let late = read(scene.packets()).filter { $0.packet.at > since }
        #expect(late.count > 5, "\(format)")
        #expect(late.allSatisfy { $0.it.hasActiveDecodeTargets }, "\(format)")
        scene.finish()
        scene.check()
    }

    /// A retransmission says what held when the packet went out first.
    @Test(arguments: DescriptorPitfallTests.described)
    func aRepairKeepsTheMaskOfItsTime_mediasoup1536(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(500)
        scene.degrade(down: .lossy(0.08, jitter: .milliseconds(20), reorders: true))
        scene.viewer.asksTwice = true
        for turn in 0..<10 {
            scene.view(720, maxFrameRate: [0, 8, 15][turn % 3])
            scene.run(400)
        }
        scene.degrade()
        scene.finish()
        let repaired = scene.packets().filter(\.isRecovered)
        #expect(!repaired.isEmpty, "\(format)")
        scene.check()
    }

    @Test(arguments: DescriptorPitfallTests.described)
    func whatComesLateDoesNotBringItsStructureBack_livekit1808(format: String) throws {
        let scene = try LayerScene(format)
        // First packets of key frames come after the rest of them, and packets of before a key frame behind it.
        scene.publisher.fate = { packet in
            if packet.stamp.startsKeyFrame { return .delay(.milliseconds(25)) }
            return packet.sequence % 7 == 0 ? .delay(.milliseconds(45)) : .pass
        }
        for turn in 0..<12 {
            for layer in 0..<scene.camera.source.layerCount {
                scene.camera.source.requestKeyFrame(layer: layer)
            }
            scene.camera.source.activeSpatialLayers = 3 - turn % 2
            scene.run(500)
        }
        scene.publisher.fate = nil
        scene.run(500)
        #expect(scene.layerShown() != nil, "\(format)")
        scene.finish()
        scene.check()
    }

    @Test(arguments: DescriptorPitfallTests.described)
    func aNewSenderBringsItsOwnStructure_generationRestart(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1000)
        for _ in 0..<3 {
            scene.camera.changeStreams()
            scene.run(1200)
            #expect(scene.layerShown() == 2, "\(format)")
        }
        scene.finish()
        #expect(scene.check().switches >= 3, "\(format)")
    }
}
