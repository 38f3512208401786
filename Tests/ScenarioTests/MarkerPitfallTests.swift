// The marker bit ends a picture for each subscriber where its own picture ends.
import RTP
import Seam
import Simulation
import Testing

@Suite struct MarkerPitfallTests {
    private static let svc = Formats.all.filter(\.format.isSVC).map(\.name)

    @Test(arguments: MarkerPitfallTests.svc)
    func markerIsNotSharedBetweenConsumers_mediasoup811(format: String) throws {
        let scene = try LayerScene(format, viewers: 3)
        for number in 0..<3 { scene.view([180, 360, 720][number], by: number) }
        scene.run(3000)
        for number in 0..<3 { #expect(scene.layerShown(number) == number, "\(format)") }
        scene.finish()
        for number in 0..<3 { scene.check(number) }
    }

    @Test(arguments: MarkerPitfallTests.svc)
    func markerIsOnTheHighestFrameThatGoesOutAlone_mediasoup1616_mediasoup1620(format: String) throws {
        let scene = try LayerScene(format)
        for height in [180, 720, 360, 180, 720] {
            scene.view(height)
            scene.run(1200)
        }
        scene.finish()
        scene.check()
        let pictures = Dictionary(grouping: scene.packets(), by: \.timestamp)
        #expect(pictures.values.allSatisfy { $0.filter(\.marker).count == 1 }, "\(format)")
    }

    @Test(arguments: MarkerPitfallTests.svc)
    func aPictureWithoutItsTopLayerEndsWhereItEnds_mediasoup1622(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1500)
        for count in [2, 1, 3, 1, 2, 3] {
            scene.camera.source.activeSpatialLayers = count
            scene.run(700)
        }
        scene.finish()
        scene.check()
        #expect(scene.decoder().freezes(longerThan: .milliseconds(400)).isEmpty, "\(format)")
    }
}
