// Real bitstreams through the whole server: whatever is switched, a decoder finds no fault and shows what was sent.
import RTP
import Seam
import Simulation
import Testing

@Suite struct SwitchTests {
    static let simulcast: [ClipFormat] = [
        ClipFormat(ClipFormat.vp8),
        ClipFormat(ClipFormat.vp8, dialect: .other),
        ClipFormat(ClipFormat.vp8, temporalLayers: 1, dialect: .bare),
        ClipFormat(ClipFormat.x264, temporalLayers: 1),
        ClipFormat(ClipFormat.x264, temporalLayers: 1, dialect: .other),
        ClipFormat(ClipFormat.openH264, temporalLayers: 2),
        ClipFormat(ClipFormat.vp9),
        ClipFormat(ClipFormat.vp9, dialect: .other),
        ClipFormat(ClipFormat.av1),
    ]
    static let svc: [ClipFormat] = [
        ClipFormat(ClipFormat.vp9, .svc),
        ClipFormat(ClipFormat.vp9, .svc, dialect: .other),
        ClipFormat(ClipFormat.vp9, .keySVC),
        ClipFormat(ClipFormat.vp9, .keySVC, dialect: .other),
        ClipFormat(ClipFormat.av1, .svc),
        ClipFormat(ClipFormat.av1, .keySVC),
    ]
    /// One of each codec and structure.
    static let each: [ClipFormat] = [
        ClipFormat(ClipFormat.vp8), ClipFormat(ClipFormat.openH264, temporalLayers: 2),
        ClipFormat(ClipFormat.vp9),
        ClipFormat(ClipFormat.av1), ClipFormat(ClipFormat.vp9, .svc),
        ClipFormat(ClipFormat.vp9, .keySVC, dialect: .other), ClipFormat(ClipFormat.av1, .svc),
        ClipFormat(ClipFormat.av1, .keySVC),
    ]

    static let few = [each[0], each[1], each[3], each[5]]

    @Test(arguments: simulcast + svc)
    func tilesOfAllSizesDecode(_ format: ClipFormat) throws {
        let scene = try Scene([format], seed: 1)
        try scene.switchAtRandom(10)
        scene.settle()
        let result = try scene.check()
        #expect(result.layersShown.count == 3, "seed \(scene.seed)")
        #expect(result.switches >= 4, "seed \(scene.seed)")
        #expect(result.pictures.count >= scene.frame / 4, "seed \(scene.seed)")
    }

    /// A twentieth of everything is lost on every link, or less and datagrams overtake each other.
    @Test(arguments: zip(each, [0, 20, 20, 0, 0, 20, 20, 0] as [Int64]))
    func badLinksAreRepairedBeforeTheDecoder(_ format: ClipFormat, jitter: Int64) throws {
        let link = Scene.Link(loss: jitter > 0 ? 0.02 : 0.05, jitter: .milliseconds(jitter))
        var switches = 0
        for seed in [2, 6] as [UInt64] {
            let scene = try Scene([format], seed: seed, link: link)
            try scene.switchAtRandom(10)
            scene.settle()
            let result = try scene.check()
            switches += result.switches
            #expect(result.skipped <= 3, "seed \(scene.seed)")
            #expect(result.pictures.count >= scene.frame / 5, "seed \(scene.seed)")
        }
        // VP9 goes to another layer where a key picture's first packet comes first; else at the next key picture.
        #expect(switches >= (format.structure == .keySVC ? 1 : 2))
    }

    /// What one asks for does not harm the other; one comes in the middle.
    @Test(arguments: few)
    func twoWatchTheSameInDifferentSizes(_ format: ClipFormat) throws {
        let scene = try Scene([format], seed: 3, link: Scene.Link(loss: 0.01))
        scene.view([144])
        try scene.run(milliseconds: 700)
        try scene.addViewer()
        try scene.switchAtRandom(7)
        scene.settle()
        for viewer in 0...1 {
            let result = try scene.check(viewer: viewer)
            #expect(result.pictures.count >= scene.frame / 5, "seed \(scene.seed)")
        }
    }

    /// A tile of a size is filled with its layer within a second, whatever was shown before.
    @Test(arguments: each)
    func everySizeIsReached(_ format: ClipFormat) throws {
        let scene = try Scene([format], seed: 4)
        var ends: [(frame: Int, layer: Int)] = []
        for layer in [0, 2, 1, 2, 0, 1] {
            scene.view([Scene.heights[layer]])
            try scene.run(pictures: 30)
            ends.append((scene.frame - 1, layer))
        }
        scene.settle()
        let result = try scene.check()
        for end in ends {
            let last = result.pictures.last { $0.shown.frame <= end.frame }
            #expect(last?.shown.layer == end.layer, "picture \(end.frame), seed \(scene.seed)")
            #expect(last?.shown.width == RealPublisher.width >> (2 - end.layer), "seed \(scene.seed)")
        }
        #expect(result.longestPause(from: 12, to: scene.frame - 3) <= 8, "seed \(scene.seed)")
    }

    /// A low frame rate leaves the upper temporal layers out, and they come back without a key picture.
    @Test(arguments: (simulcast + svc).filter { $0.temporalLayers > 1 })
    func frameRatesFollowTheTile(_ format: ClipFormat) throws {
        let scene = try Scene([format], seed: 5)
        let layers = format.temporalLayers
        scene.view([144])
        try scene.run(pictures: 30)
        let keyFrames = scene.publishers[0].keyFrames
        let low = scene.frame
        scene.view([144], frameRate: layers == 3 ? 8 : 15)
        try scene.run(pictures: 30)
        let middle = scene.frame
        scene.view([144], frameRate: 15)
        try scene.run(pictures: 30)
        let high = scene.frame
        scene.view([144])
        try scene.run(pictures: 30)
        scene.settle()
        let result = try scene.check()
        func temporal(_ from: Int, _ to: Int) -> Set<Int> {
            Set(result.pictures.filter { (from..<to).contains($0.shown.frame) }.map(\.shown.temporal))
        }
        #expect(temporal(low + 8, middle) == [0], "seed \(scene.seed)")
        #expect(temporal(middle + 16, high) == (layers == 3 ? [0, 1] : [0]), "seed \(scene.seed)")
        #expect(temporal(high + 16, scene.frame) == Set(0..<layers), "seed \(scene.seed)")
        #expect(scene.publishers[0].keyFrames == keyFrames, "seed \(scene.seed)")
    }

    @Test(arguments: few)
    func hiddenTilesComeBack(_ format: ClipFormat) throws {
        let scene = try Scene([format], seed: 6, link: Scene.Link(loss: 0.02))
        for index in 0..<8 {
            scene.view([index % 2 == 0 ? Scene.heights[index / 2 % 3] : nil])
            try scene.run(milliseconds: Int.random(in: 250...700, using: &scene.random))
        }
        scene.settle()
        let result = try scene.check()
        #expect(result.pictures.count >= scene.frame / 5, "seed \(scene.seed)")
    }

    /// Two publishers share one slot of the viewer.
    @Test(arguments: each)
    func anotherSourceInTheSlotDecodes(_ format: ClipFormat) throws {
        let scene = try Scene([format, format], seed: 7, link: Scene.Link(loss: 0.02))
        try changeSources(of: scene)
    }

    /// The same codec in another profile.
    @Test func anotherProfileInTheSlotDecodes() throws {
        let baseline = ClipFormat(ClipFormat.x264, temporalLayers: 1)
        var main = baseline
        main.profile = 77
        let scene = try Scene([baseline, main], seed: 8, decodes: [baseline.parameters, main.parameters])
        try changeSources(of: scene)
    }

    private func changeSources(of scene: Scene) throws {
        for index in 0..<8 {
            let height = Scene.heights[Int.random(in: 0...2, using: &scene.random)]
            scene.view(index % 2 == 0 ? [height, nil] : [nil, height])
            try scene.run(milliseconds: Int.random(in: 250...700, using: &scene.random))
        }
        scene.settle()
        let result = try scene.check()
        #expect(Set(result.pictures.map(\.shown.source)) == [0, 1], "seed \(scene.seed)")
        #expect(result.switches >= 6, "seed \(scene.seed)")
    }

    /// The publisher stops its highest layers and starts them again.
    @Test(arguments: each)
    func layersThatVanishAreReplaced(_ format: ClipFormat) throws {
        let scene = try Scene([format], seed: 9)
        scene.view([144])
        try scene.run(pictures: 30)
        var ends: [(frame: Int, layer: Int)] = []
        for active in [1, 3, 2, 3] {
            scene.publishers[0].activeLayers = active
            try scene.run(pictures: 45)
            ends.append((scene.frame - 1, active - 1))
        }
        scene.settle()
        let result = try scene.check()
        for end in ends {
            let last = result.pictures.last { $0.shown.frame <= end.frame }
            #expect(last?.shown.layer == end.layer, "picture \(end.frame), seed \(scene.seed)")
        }
        // A layer is missed within half a second, and a key picture of another one asked for.
        #expect(result.longestPause(from: 5, to: scene.frame - 3) <= 25, "seed \(scene.seed)")
    }
}
