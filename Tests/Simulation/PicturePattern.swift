// Which picture refers to which, for the usual structures of temporal and spatial layers, and what follows from that
// for a dependency descriptor. Knows no packet and no codec.
import RTP

/// The rhythm of temporal layers: which buffers each picture reads and writes.
struct PicturePattern: Sendable, Equatable {
    struct Step: Sendable, Equatable {
        var temporal: UInt8
        var readsLast = true
        var readsGolden = false
        var updatesLast = false
        var updatesGolden = false
    }

    let steps: [Step]

    /// One picture of each layer refers to the next lower one only.
    static func short(_ temporalLayers: Int) -> PicturePattern {
        let base = Step(temporal: 0, updatesLast: true)
        switch temporalLayers {
        case 1: return PicturePattern(steps: [base])
        case 2: return PicturePattern(steps: [base, Step(temporal: 1)])
        default:
            return PicturePattern(steps: [
                base, Step(temporal: 2), Step(temporal: 1, updatesGolden: true),
                Step(temporal: 2, readsLast: false, readsGolden: true),
            ])
        }
    }

    /// As libvpx codes VP8 for real-time: the upper layers refer to themselves, so that only every other cycle has
    /// points to step up.
    static func long(_ temporalLayers: Int) -> PicturePattern {
        let base = Step(temporal: 0, updatesLast: true)
        switch temporalLayers {
        case 1: return PicturePattern(steps: [base])
        case 2:
            return PicturePattern(steps: [
                base, Step(temporal: 1, updatesGolden: true),
                base, Step(temporal: 1, readsGolden: true, updatesGolden: true),
            ])
        default:
            let late = Step(temporal: 2, readsGolden: true)
            return PicturePattern(steps: [
                base, Step(temporal: 2), Step(temporal: 1, updatesGolden: true), late,
                base, late, Step(temporal: 1, readsGolden: true, updatesGolden: true), late,
            ])
        }
    }
}

/// What the pictures of a pattern and some spatial layers mean to each decode target (AV1 RTP specification, A.4).
struct DependencyLayout: Sendable {
    struct Template: Sendable, Equatable {
        var spatial: UInt8
        var temporal: UInt8
        var indications: [UInt8]
        var differences: [Int]
        var chains: [Int]
    }

    let spatialLayers: Int
    let temporalLayers: Int
    /// In the order of their layers, as the structure lists them.
    private(set) var templates: [Template] = []
    private var keyIndications: [[UInt8]] = []
    /// By step and spatial layer.
    private var indications: [[[UInt8]]] = []

    var targetCount: Int { spatialLayers * temporalLayers }
    var chainCount: Int { spatialLayers }

    func target(spatial: Int, temporal: Int) -> Int { spatial * temporalLayers + temporal }

    /// A mask with all targets below this spatial layer.
    func mask(spatialLayers count: Int) -> UInt32 { (1 << UInt32(count * temporalLayers)) - 1 }

    func indications(isKey: Bool, step: Int, spatial: Int) -> [UInt8] {
        isKey ? keyIndications[spatial] : indications[step][spatial]
    }

    private struct Frame {
        var picture: Int
        var spatial: Int
        var temporal: Int
        /// Bit i for frame i of the model.
        var references: UInt128 = 0
        var ancestors: UInt128 = 0
        var isKey: Bool { picture == 0 }
    }

    init(pattern: PicturePattern, spatialLayers: Int, temporalLayers: Int, isFull: Bool) {
        self.spatialLayers = spatialLayers
        self.temporalLayers = temporalLayers
        let period = pattern.steps.count
        let frames = DependencyLayout.model(pattern, spatialLayers, isFull)
        var belongs = [UInt128](repeating: 0, count: targetCount)
        for (i, frame) in frames.enumerated() {
            for s in frame.spatial..<spatialLayers where isFull || s == frame.spatial || frame.isKey {
                for t in frame.temporal..<temporalLayers {
                    belongs[s * temporalLayers + t] |= 1 << UInt128(i)
                }
            }
        }
        func indication(_ f: Int, _ target: Int) -> UInt8 {
            guard belongs[target] >> UInt128(f) & 1 == 1 else { return 0 }
            let known = frames[f].ancestors | 1 << UInt128(f)
            var isReferenced = false
            var isSwitch = true
            for g in (f + 1)..<frames.count where belongs[target] >> UInt128(g) & 1 == 1 {
                let references = frames[g].references
                if references >> UInt128(f) & 1 == 1 { isReferenced = true }
                let before = references & ((1 << UInt128(f)) - 1)
                if before & ~known != 0 { isSwitch = false }
            }
            return isReferenced ? (isSwitch ? 2 : 3) : 1
        }
        func all(_ picture: Int, _ spatial: Int) -> [UInt8] {
            (0..<targetCount).map { indication(picture * spatialLayers + spatial, $0) }
        }
        keyIndications = (0..<spatialLayers).map { all(0, $0) }
        indications = (0..<period).map { step in
            (0..<spatialLayers).map { all(period + step, $0) }
        }
        collect(frames, pictures: Array(0...0) + Array(period..<(2 * period)), isFull)
    }

    /// A key picture and three periods behind it.
    private static func model(_ pattern: PicturePattern, _ spatialLayers: Int, _ isFull: Bool) -> [Frame] {
        var frames: [Frame] = []
        var last = [Int](repeating: 0, count: spatialLayers)
        var golden = last
        for picture in 0..<(3 * pattern.steps.count + 1) {
            let step = pattern.steps[picture % pattern.steps.count]
            for s in 0..<spatialLayers {
                var frame = Frame(picture: picture, spatial: s, temporal: Int(step.temporal))
                if picture > 0 {
                    if step.readsLast { frame.references |= 1 << UInt128(last[s]) }
                    if step.readsGolden { frame.references |= 1 << UInt128(golden[s]) }
                }
                if s > 0 && (isFull || picture == 0) { frame.references |= 1 << UInt128(frames.count - 1) }
                frame.ancestors = frame.references
                for i in frames.indices where frame.references >> UInt128(i) & 1 == 1 {
                    frame.ancestors |= frames[i].ancestors
                }
                if step.updatesLast || picture == 0 { last[s] = frames.count }
                if step.updatesGolden || picture == 0 { golden[s] = frames.count }
                frames.append(frame)
            }
        }
        return frames
    }

    private mutating func collect(_ frames: [Frame], pictures: [Int], _ isFull: Bool) {
        var chains = [Int](repeating: 0, count: chainCount)
        let period = indications.count
        for (i, frame) in frames.enumerated() {
            let differences = frame.isKey && frame.spatial == 0 ? [0] : chains.map { i - $0 }
            let isFirst = frame.isKey && frame.spatial == 0
            if pictures.contains(frame.picture) {
                let template = Template(
                    spatial: UInt8(frame.spatial),
                    temporal: UInt8(frame.temporal),
                    indications: indications(
                        isKey: frame.isKey,
                        step: frame.picture % period,
                        spatial: frame.spatial
                    ),
                    differences: (0..<i).reversed().filter { frame.references >> UInt128($0) & 1 == 1 }.map {
                        i - $0
                    },
                    chains: isFirst ? [Int](repeating: 0, count: chainCount) : differences
                )
                if !templates.contains(template) { templates.append(template) }
            }
            for chain in 0..<chainCount
            where DependencyLayout.isInChain(
                chain,
                spatial: frame.spatial,
                temporal: frame.temporal,
                isKey: frame.isKey,
                isFull: isFull
            ) {
                chains[chain] = i
            }
        }
        templates.sort { ($0.spatial, $0.temporal) < ($1.spatial, $1.temporal) }
    }

    /// Chain i holds together the base temporal layer of everything that spatial layer i needs.
    static func isInChain(_ chain: Int, spatial: Int, temporal: Int, isKey: Bool, isFull: Bool) -> Bool {
        temporal == 0 && (spatial == chain || (spatial < chain && (isFull || isKey)))
    }
}
