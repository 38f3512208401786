// One encoding of a synthetic video: pictures in a pattern of temporal and spatial layers, with everything that an
// encoder counts. Makes no picture; says what each one would need. Knows no RTP.
import RTP

/// A synthetic video: codec, layers and how they hang together.
public struct VideoFormat: Sendable, Equatable {
    public struct Layer: Sendable, Equatable {
        public var width: UInt16
        public var height: UInt16
        public var bitsPerSecond: Int

        public init(width: UInt16, height: UInt16, bitsPerSecond: Int) {
            self.width = width
            self.height = height
            self.bitsPerSecond = bitsPerSecond
        }
    }

    public enum Structure: Sendable, Equatable {
        /// An encoding for each layer.
        case simulcast
        /// One encoding with spatial layers; every picture is predicted from the layer below (L3T3).
        case fullSVC
        /// The same, but only key pictures are (L3T3_KEY).
        case keySVC
    }

    public var codec: CodecName
    /// Lowest first.
    public var layers: [Layer]
    public var structure = Structure.simulcast
    /// 1–3
    public var temporalLayers = 1
    public var framesPerSecond = 30
    /// Upper temporal layers refer to themselves, and only some pictures are points to step up.
    public var hasLongReferences = false
    /// VP9: P_DIFFs instead of TL0PICIDX.
    public var isFlexible = false
    public var hasDescriptor = false
    /// VP8 and VP9: 15, 7 or 0.
    public var pictureIDBits = 15
    /// VP8: TL0PICIDX, TID and KEYIDX are there.
    public var hasLayerIndices = true
    /// H.264: SPS, PPS and slices in packets of their own instead of an aggregate.
    public var separatesParameterSets = false
    /// A key frame is as large as this many others.
    public var keyFrameShare = 4
    /// Pictures are up to this much larger or smaller than the mean, percent.
    public var variation = 0
    /// The most bytes of one packet's payload, about.
    public var packetBytes = 1100

    public init(_ codec: CodecName, _ layers: [Layer]) {
        self.codec = codec
        self.layers = layers
        hasDescriptor = codec == .av1
    }

    public var isSVC: Bool { structure != .simulcast }
    public var encodingCount: Int { isSVC ? 1 : layers.count }
    public var spatialLayers: Int { isSVC ? layers.count : 1 }

    var pattern: PicturePattern {
        hasLongReferences ? .long(temporalLayers) : .short(temporalLayers)
    }
}

/// A frame of one spatial layer, before it is cut into packets.
struct EncodedFrame: Sendable {
    var stamp: Stamp
    var size: VideoFormat.Layer
    var bytes: Int
    var isTop: Bool
    /// Refers to earlier pictures; to the layer below in the same one.
    var isInterPredicted: Bool
    var isInterLayerPredicted: Bool
    /// No upper layer of the picture refers to it.
    var isLeftByUpper: Bool
    var isNonReference: Bool
    /// Y of VP8, U of VP9.
    var isSync: Bool
    var pictureID: UInt16
    var tl0: UInt8
    var keyIndex: UInt8
    /// Pictures back, of this layer.
    var pictureDifferences: [Int]
    var dependencies: FrameDependencies?
    /// Of the encoding's active spatial layers.
    var spatialCount: Int
}

struct VideoEncoder: Sendable {
    let format: VideoFormat
    /// Place among the encodings.
    let index: Int
    let source: UInt32
    var wantsKey = true
    /// Spatial layers that are produced, from the lowest.
    private(set) var activeSpatialLayers: Int
    private(set) var writer: DescriptorWriter?
    private let pattern: PicturePattern
    private let layout: DependencyLayout
    private let syncSteps: [Bool]
    private var step = 0
    private var pictureID: UInt16
    private var tl0: UInt8
    private var keyIndex: UInt8
    private var frameNumber: Int64
    private var chains: [Int64]
    /// What each buffer holds, by spatial layer: the picture and, for the descriptor, the frame's number.
    private var last: [Held?]
    private var golden: [Held?]
    private var key: [Held?]
    /// Base pictures that still carry the mask, and all pictures up to them.
    private var maskPictures = 0
    private var announcesMask = false

    private struct Held: Sendable {
        var picture: UInt32
        var count: Int64
        var number: Int64
        var spatial: UInt8
    }
    private var pictures: Int64 = 0

    init(format: VideoFormat, index: Int, source: UInt32) {
        self.format = format
        self.index = index
        self.source = source
        activeSpatialLayers = format.spatialLayers
        pattern = format.pattern
        layout = DependencyLayout(
            pattern: pattern,
            spatialLayers: format.spatialLayers,
            temporalLayers: format.temporalLayers,
            isFull: format.structure != .keySVC
        )
        syncSteps = VideoEncoder.syncSteps(pattern, isVP9: format.codec == .vp9)
        // Each encoder counts on its own, near its wrap so that short tests see it.
        let bits = format.pictureIDBits == 7 ? 0x7f : 0x7fff
        pictureID = UInt16((bits - 15 - (bits > 0x7f ? 700 : 30) * index) & bits)
        tl0 = UInt8(truncatingIfNeeded: 250 - 90 * index)
        keyIndex = UInt8(29 - 7 * index)
        frameNumber = 65_500 - 20 * Int64(index)
        chains = Array(repeating: frameNumber, count: format.spatialLayers)
        last = Array(repeating: nil, count: format.spatialLayers)
        golden = last
        key = last
        if format.hasDescriptor {
            let sizes = format.isSVC ? format.layers : [format.layers[index]]
            writer = DescriptorWriter(
                layout: layout,
                offset: UInt8(7 * index),
                resolutions: sizes.map { ($0.width, $0.height) }
            )
        }
    }

    /// Switches upper spatial layers off at once, and on with a key picture.
    mutating func setActiveSpatialLayers(_ wanted: Int) {
        let count = min(max(wanted, 1), format.spatialLayers)
        guard count != activeSpatialLayers else { return }
        if count > activeSpatialLayers { wantsKey = true }
        activeSpatialLayers = count
        maskPictures = 2
    }

    /// Steps of the pattern that one may step up at. VP8: the picture refers to the base layer only (RFC 7741 §4.2,
    /// Y). VP9: nor does what follows reach behind it to upper layers (RFC 9628 §4.2, U).
    private static func syncSteps(_ pattern: PicturePattern, isVP9: Bool) -> [Bool] {
        let steps = pattern.steps
        let twice = (0..<(3 * steps.count)).map { steps[$0 % steps.count] }
        var references: [[Int]] = []
        var last = 0
        var golden = 0
        for (i, step) in twice.enumerated() {
            references.append(
                i == 0 ? [] : (step.readsLast ? [last] : []) + (step.readsGolden ? [golden] : [])
            )
            if step.updatesLast { last = i }
            if step.updatesGolden { golden = i }
        }
        return steps.indices.map { index in
            let i = index + steps.count
            let own = steps[index].temporal
            guard isVP9 else { return own > 0 && references[i].allSatisfy { twice[$0].temporal == 0 } }
            let isClean = own == 0 || references[i].allSatisfy { twice[$0].temporal < own }
            return isClean
                && ((i + 1)..<twice.count).allSatisfy { later in
                    twice[later].temporal <= own
                        || references[later].allSatisfy { $0 >= i || twice[$0].temporal <= own }
                }
        }
    }

    /// Percent, from the source and the picture alone.
    private func variation(of picture: UInt32) -> Int {
        guard format.variation > 0 else { return 0 }
        var mixed = UInt64(source) << 32 | UInt64(picture)
        mixed = (mixed ^ mixed >> 31) &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ mixed >> 29) &* 0xbf58_476d_1ce4_e5b9
        return Int(mixed >> 33) % (2 * format.variation + 1) - format.variation
    }

    /// The frames of the next picture, lowest spatial layer first.
    mutating func encode(picture: UInt32, at time: Interval, framesPerSecond: Int) -> [EncodedFrame] {
        let isKey = wantsKey
        wantsKey = false
        step = isKey ? 0 : (step + 1) % pattern.steps.count
        announcesMask = maskPictures > 0
        let now = pattern.steps[step]
        pictures += 1
        pictureID = (pictureID + 1) & (format.pictureIDBits == 7 ? 0x7f : 0x7fff)
        if now.temporal == 0 {
            tl0 &+= 1
            maskPictures = max(0, maskPictures - 1)
        }
        if isKey {
            keyIndex = (keyIndex + 1) & 0x1f
            // New ids, so that packets of before the key picture cannot be read with its structure.
            let offset = (writer?.offset ?? 0) + UInt8(layout.templates.count)
            writer?.offset = offset & 63
        }
        var frames: [EncodedFrame] = []
        for s in 0..<activeSpatialLayers {
            frames.append(encode(s, now, isKey: isKey, picture, time, framesPerSecond))
        }
        return frames
    }

    private mutating func encode(
        _ s: Int,
        _ now: PicturePattern.Step,
        isKey: Bool,
        _ picture: UInt32,
        _ time: Interval,
        _ framesPerSecond: Int
    ) -> EncodedFrame {
        var temporalReferences: [Held] = []
        if !isKey {
            if now.readsLast, let held = last[s] { temporalReferences.append(held) }
            if now.readsGolden, let held = golden[s], held.picture != temporalReferences.first?.picture {
                temporalReferences.append(held)
            }
        }
        let number = frameNumber
        frameNumber += 1
        let isInterLayer = s > 0 && (isKey || format.structure == .fullSVC)
        var needed = temporalReferences
        // VP8 real-time coding also looks at the last key frame.
        if format.codec == .vp8, !isKey, let held = key[s],
            !needed.contains(where: { $0.picture == held.picture }),
            picture &- held.picture < 1 << 20
        {
            needed.append(held)
        }
        var references = needed.map { Stamp.Reference(frame: $0.picture, spatial: $0.spatial) }
        if isInterLayer { references.append(Stamp.Reference(frame: picture, spatial: UInt8(s - 1))) }
        let layer = format.isSVC ? format.layers[s] : format.layers[index]
        let stamp = Stamp(
            source: source,
            layer: UInt8(index),
            spatial: UInt8(s),
            temporal: now.temporal,
            frame: picture,
            part: 0,
            isKey: isKey,
            time: .microseconds(time.microseconds / 10 * 10),
            references: references
        )
        var differences = temporalReferences.map { Int(number - $0.number) }
        if isInterLayer { differences.append(1) }
        let dependencies = format.hasDescriptor ? describe(number, differences.sorted(), isKey, now, s) : nil
        let share = now.temporal == 0 && format.temporalLayers > 1 ? 3 : 2
        let mean =
            layer.bitsPerSecond / 8 / max(framesPerSecond, 1) * share / 2 * (isKey ? format.keyFrameShare : 1)
        let bytes = mean * (100 + variation(of: picture)) / 100
        let held = Held(picture: picture, count: pictures, number: number, spatial: UInt8(s))
        if now.updatesLast || isKey { last[s] = held }
        if now.updatesGolden || isKey { golden[s] = held }
        if isKey { key[s] = held }
        return EncodedFrame(
            stamp: stamp,
            size: layer,
            bytes: bytes,
            isTop: s == activeSpatialLayers - 1,
            isInterPredicted: !isKey,
            isInterLayerPredicted: isInterLayer,
            isLeftByUpper: s == format.spatialLayers - 1 || !(isKey || format.structure == .fullSVC),
            isNonReference: !now.updatesLast && !now.updatesGolden && !isKey,
            isSync: !isKey && syncSteps[step] || isKey && format.codec == .vp9,
            pictureID: pictureID,
            tl0: tl0,
            keyIndex: keyIndex,
            pictureDifferences: temporalReferences.map { Int(pictures - $0.count) },
            dependencies: dependencies,
            spatialCount: activeSpatialLayers
        )
    }

    private mutating func describe(
        _ number: Int64,
        _ differences: [Int],
        _ isKey: Bool,
        _ now: PicturePattern.Step,
        _ s: Int
    ) -> FrameDependencies {
        let isFirst = isKey && s == 0
        let chainDifferences = (0..<chains.count).map { chain in
            isFirst || chain >= activeSpatialLayers ? 0 : Int(number - chains[chain])
        }
        for chain in chains.indices
        where DependencyLayout.isInChain(
            chain,
            spatial: s,
            temporal: Int(now.temporal),
            isKey: isKey,
            isFull: format.structure != .keySVC
        ) {
            chains[chain] = number
        }
        return FrameDependencies(
            number: number,
            indications: layout.indications(isKey: isKey, step: step, spatial: s),
            differences: differences,
            chains: chainDifferences,
            activeTargets: layout.mask(spatialLayers: activeSpatialLayers)
        )
    }

    /// The descriptor of one packet of a frame.
    func descriptor(of frame: EncodedFrame, startsFrame: Bool, endsFrame: Bool) -> [UInt8]? {
        guard let writer, let dependencies = frame.dependencies else { return nil }
        let withStructure = frame.stamp.isKey && frame.stamp.spatial == 0 && startsFrame
        let isFull = activeSpatialLayers == format.spatialLayers
        let hasMask = startsFrame && (announcesMask || withStructure && !isFull)
        return writer.write(
            dependencies,
            spatial: frame.stamp.spatial,
            temporal: frame.stamp.temporal,
            startsFrame: startsFrame,
            endsFrame: endsFrame,
            withStructure: withStructure,
            mask: hasMask ? dependencies.activeTargets : nil
        )
    }
}
