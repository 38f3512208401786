import RTP
import Simulation
import Testing
@testable import SFU
@Suite struct Calib {
    @Test func rates() throws {
        for rates in [BandwidthScene.layers] {
            let scene = try BandwidthScene(seed: 1, cameras: [BandwidthScene.camera(rates)])
            try scene.join(BandwidthScene.link(20_000_000))
            scene.run(seconds: 5)
            let shard = scene.call.home(of: scene.publisher)
            let p = shard.session(scene.publisher.session)!.uplink.publications.first { $0.kind == .video }!
            let rate = scene.rate(from: 2, to: 5) { $0.video }
            print(rates, p.trackLayers(upTo: LayerTarget(encoding: 2), at: scene.call.now).map { "\($0.encoding).\($0.temporal) \($0.measured) \($0.planned) \($0.picturesPerSecond)" }, "top really", rate)
        }
    }
}
