// Which spatial and temporal layers of one encoding go to one subscriber. Decides by frame and remembers by place:
// what comes late is judged by what held where it belongs. Knows no sequence of ours and no bandwidth.
import RTP

struct LayerFilter {
    /// What is let through.
    struct Choice: Equatable {
        /// The highest layers.
        var spatial: UInt8 = 0
        var temporal: UInt8 = 0
        /// The decode target of the dependency descriptor; −1: layers are told by their ids.
        var target: Int8 = -1
        /// Decode targets that a receiver can still expect; 0: all that the sender has.
        var mask: UInt32 = 0
    }

    private struct Epoch {
        /// The first incoming number that it holds for.
        var start: Int64 = .min
        var choice = Choice()
    }

    /// What holds from `start` on.
    private(set) var choice = Choice()
    private var start = Int64.min
    private var wantedSpatial: UInt8 = 0
    private var wantedTemporal: UInt8 = 0
    /// Of the newest picture that was looked at.
    private var timestamp: UInt32 = 0
    /// The newest packet that was looked at: padding is not.
    private var looked = Int64.min
    /// A picture let everybody step up behind it (RFC 9628 §4.2, U bit).
    private var mayRiseNext = false
    /// Lower layers were left out that later pictures of theirs refer to: only a key frame leads down.
    private var hasSkippedLower = false
    /// Since the key picture, frames of lower layers were needed by higher ones: none is left out for its Z bit.
    private var usesLower = false
    /// By the descriptor, the lower target is not part of the one that is forwarded.
    private var isStuck = false
    /// The highest spatial layer that the source has.
    private var top: UInt8 = 0
    /// Something went out since `choice` changed.
    private var isChoiceTold = true
    /// Frames that went out, by number: bit i for the newest minus i.
    private var framesSent: UInt64 = 0
    private var newestFrame: UInt16 = 0
    /// What held before, newest last.
    private var former = InlineArray<8, Epoch>(repeating: Epoch())
    private var formerCount = 0

    /// The layers that are wanted from the next frames on that allow it.
    mutating func want(spatial: UInt8, temporal: UInt8) {
        if spatial != wantedSpatial { isStuck = false }
        wantedSpatial = spatial
        wantedTemporal = temporal
    }

    /// Nothing but a key frame leads to the wanted spatial layer.
    /// - Parameter top: the highest spatial layer that the source has.
    func needsKeyFrame(top: UInt8) -> Bool {
        let wanted = min(wantedSpatial, top)
        if wanted > choice.spatial { return true }
        guard wanted < choice.spatial else { return false }
        return choice.target >= 0 ? isStuck : hasSkippedLower
    }

    /// A source begins with this key frame.
    mutating func begin(
        with record: UnsafeMutablePointer<PacketRecord>,
        of source: UnsafeMutablePointer<ReceiveStream>
    ) {
        formerCount = 0
        start = .min
        looked = record.pointee.sequence - 1
        timestamp = record.pointee.timestamp
        mayRiseNext = false
        hasSkippedLower = false
        usesLower = false
        isStuck = false
        framesSent = 0
        top = source.pointee.layers.top
        choice = wanted(record, source)
    }

    /// Whether this packet goes out. Packets at the head may change what is let through, where a frame begins. Padding
    /// is not asked about: what it overtakes is the head all the same.
    @inline(__always)
    mutating func admits(
        _ record: UnsafeMutablePointer<PacketRecord>,
        of source: UnsafeMutablePointer<ReceiveStream>
    ) -> Bool {
        let isHead = record.pointee.sequence > looked
        if isHead && record.pointee.timestamp != timestamp {
            timestamp = record.pointee.timestamp
            // What is missing between may be a picture that this one refers to.
            if record.pointee.sequence != looked &+ 1 { mayRiseNext = false }
            if record.pointee.frame.startsFrame && record.pointee.frame.spatialLayer == 0 {
                startPicture(record, source)
            } else {
                mayRiseNext = false
            }
        } else if choice.target >= 0 && isHead && wantedTemporal > choice.temporal
            && record.pointee.frame.startsFrame
        {
            stepWithinPicture(record, source)
        }
        if isHead { looked = record.pointee.sequence }
        guard record.pointee.sequence >= start else {
            return takes(record, self.choice(at: record.pointee.sequence))
        }
        if isHead && record.pointee.frame.spatialLayer < choice.spatial { noteLower(record.pointee.frame) }
        let isIn = takes(record, choice)
        if isIn {
            isChoiceTold = true
            if record.pointee.flags.contains(.indications) && record.pointee.frame.startsFrame {
                noteFrame(record.pointee.frameNumber)
            }
        }
        if choice.spatial > 0 && !hasSkippedLower {
            // A picture of the layer that is shown that refers to pictures before, and not to the layer below, tells as
            // much: lower ones may be lost or late.
            let frame = record.pointee.frame
            hasSkippedLower =
                frame.spatialLayer < choice.spatial
                ? !isIn : isIn && frame.isInterPredicted && !frame.isInterLayerPredicted
        }
        return isIn
    }

    /// Whether a packet goes out that comes when another source is shown already.
    mutating func admitted(_ record: UnsafeMutablePointer<PacketRecord>) -> Bool {
        takes(record, choice(at: record.pointee.sequence))
    }

    @inline(__always)
    private mutating func noteLower(_ frame: FrameInfo) {
        if frame.isInterPredicted && !frame.isNotReferenceForUpperLayers { usesLower = true }
    }

    @inline(__always)
    private mutating func noteFrame(_ number: UInt16) {
        let step = Int16(bitPattern: number &- newestFrame)
        if framesSent == 0 || step > 0 {
            framesSent = framesSent == 0 || step >= 64 ? 1 : framesSent << UInt64(step) | 1
            newestFrame = number
        } else if step > -64 {
            framesSent |= 1 << UInt64(-Int(step))
        }
    }

    /// The frames before this one that went out: bit i for the one i + 1 before it.
    private mutating func framesSent(before number: UInt16) -> UInt64 {
        let step = Int(Int16(bitPattern: number &- newestFrame))
        guard step > 0, step <= 64 else { return 0 }
        return framesSent << UInt64(step - 1)
    }

    /// What held for a packet with this number.
    mutating func choice(at sequence: Int64) -> Choice {
        if sequence >= start { return choice }
        var index = formerCount - 1
        while index > 0 && former[index].start > sequence { index -= 1 }
        return index >= 0 ? former[index].choice : choice
    }

    /// The decode targets that the receiver of this packet may expect; 0: as the sender says.
    @inline(__always)
    mutating func mask(for record: UnsafeMutablePointer<PacketRecord>) -> UInt32 {
        let sequence = record.pointee.sequence
        let mask = sequence >= start ? choice.mask : choice(at: sequence).mask
        // Nobody makes the others.
        let made = mask & record.pointee.activeTargets
        return made != 0 ? made : mask
    }

    @inline(__always)
    private mutating func takes(_ record: UnsafeMutablePointer<PacketRecord>, _ choice: Choice) -> Bool {
        if choice.target >= 0 && record.pointee.flags.contains(.indications) {
            return record.pointee.indications >> UInt64(2 * Int(choice.target)) & 3 != 0
        }
        let frame = record.pointee.frame
        guard frame.temporalLayer <= choice.temporal, frame.spatialLayer <= choice.spatial else {
            return false
        }
        // The picture of the layer that is shown does without it (RFC 9628 §4.2, Z bit). Where the pictures before
        // did not, or this is a key picture, it is itself the highest that the sender still makes.
        return frame.spatialLayer == choice.spatial || !frame.isNotReferenceForUpperLayers
            || !frame.isInterPredicted || usesLower
    }

    /// The marker belongs to the last packet of the highest frame that goes out of a picture (RFC 9628 §4.2).
    @inline(__always)
    mutating func endsPicture(_ record: UnsafeMutablePointer<PacketRecord>) -> Bool {
        if record.pointee.flags.contains(.marker) { return true }
        guard record.pointee.frame.endsFrame else { return false }
        let choice = record.pointee.sequence >= start ? choice : self.choice(at: record.pointee.sequence)
        return record.pointee.frame.spatialLayer == choice.spatial
    }

    // MARK: Changes

    @inline(__always)
    private mutating func startPicture(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) {
        if record.pointee.frame.isKeyFrameStart {
            restart(record, source)
        } else if wantedSpatial != choice.spatial || wantedTemporal != choice.temporal {
            step(record, source)
        } else {
            mayRiseNext = false
        }
    }

    @inline(never)
    private mutating func restart(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) {
        mayRiseNext = false
        hasSkippedLower = false
        usesLower = false
        isStuck = false
        top = source.pointee.layers.top
        commit(wanted(record, source), at: record.pointee.sequence)
    }

    @inline(never)
    private mutating func step(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) {
        if choice.target >= 0 {
            stepByDescriptor(record, source)
            return
        }
        var next = choice
        if wantedTemporal < choice.temporal {
            next.temporal = wantedTemporal
        } else if wantedTemporal > choice.temporal {
            if mayRiseNext {
                next.temporal = wantedTemporal
            } else if record.pointee.frame.temporalLayer == choice.temporal + 1,
                record.pointee.frame.isLayerSync
            {
                next.temporal += 1
            }
        }
        mayRiseNext =
            record.pointee.frame.isSwitchingUpPoint
            && record.pointee.frame.temporalLayer <= next.temporal
        if wantedSpatial < choice.spatial && !hasSkippedLower { next.spatial = wantedSpatial }
        commit(next, at: record.pointee.sequence)
    }

    private mutating func stepByDescriptor(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) {
        // A mask that nobody was told cannot excuse what was left out under it.
        guard isChoiceTold, let structure = source.pointee.structure(of: record) else { return }
        let all = target(wantedSpatial, wantedTemporal, structure)
        if reaches(all, record, structure) {
            isStuck = false
            return commit(
                self.choice(all, min(wantedSpatial, top), wantedTemporal, structure),
                at: record.pointee.sequence
            )
        }
        isStuck = true
        let part = target(choice.spatial, wantedTemporal, structure)
        guard part != Int(choice.target), reaches(part, record, structure) else { return }
        commit(self.choice(part, choice.spatial, wantedTemporal, structure), at: record.pointee.sequence)
    }

    /// Where there are several spatial layers, the frame that lets more temporal layers follow is the highest of its
    /// picture.
    @inline(never)
    private mutating func stepWithinPicture(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) {
        guard isChoiceTold, let structure = source.pointee.structure(of: record) else { return }
        let part = target(choice.spatial, wantedTemporal, structure)
        guard part != Int(choice.target), reaches(part, record, structure) else { return }
        commit(self.choice(part, choice.spatial, wantedTemporal, structure), at: record.pointee.sequence)
    }

    /// Whether a receiver of the present target may go over to this one at this frame.
    private mutating func reaches(
        _ target: Int,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ structure: UnsafeMutablePointer<DependencyStructure>
    ) -> Bool {
        guard target >= 0 else { return false }
        if structure.pointee.contains(target, in: Int(choice.target)) { return true }
        let indication = record.pointee.indications >> UInt64(2 * target) & 3
        guard indication == UInt64(DecodeTargetIndication.switch.rawValue) else { return false }
        // What follows is decodable if this frame is, and if the chain goes on that protects the target.
        let sent = framesSent(before: record.pointee.frameNumber)
        guard record.pointee.references & ~sent == 0 else { return false }
        guard structure.pointee.chainCount > 0 else { return true }
        let chain = structure.pointee.chain(ofTarget: target)
        guard chain < 4 else { return false }
        let difference = record.pointee.chainDifferences >> UInt32(8 * chain) & 0xff
        return difference == 0 || difference <= 64 && sent >> UInt64(difference - 1) & 1 == 1
    }

    /// What is wanted, at a key frame.
    private mutating func wanted(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) -> Choice {
        guard let structure = source.pointee.structure(of: record) else {
            return Choice(spatial: min(wantedSpatial, top), temporal: wantedTemporal)
        }
        // The sender may give layers up with this very picture, before the room has noticed.
        var spatial = min(wantedSpatial, top)
        var target = self.target(spatial, wantedTemporal, structure)
        while spatial > 0, target >= 0, record.pointee.activeTargets != 0,
            record.pointee.activeTargets >> UInt32(target) & 1 == 0
        {
            spatial -= 1
            target = self.target(spatial, wantedTemporal, structure)
        }
        return choice(target, spatial, wantedTemporal, structure, isFresh: true)
    }

    private mutating func target(
        _ spatial: UInt8,
        _ temporal: UInt8,
        _ structure: UnsafeMutablePointer<DependencyStructure>
    ) -> Int {
        structure.pointee.target(
            spatialLayer: min(spatial, structure.pointee.maxSpatialLayer),
            temporalLayer: min(temporal, structure.pointee.maxTemporalLayer)
        )
    }

    private mutating func choice(
        _ target: Int,
        _ spatial: UInt8,
        _ temporal: UInt8,
        _ structure: UnsafeMutablePointer<DependencyStructure>,
        isFresh: Bool = false
    ) -> Choice {
        // A receiver keeps the last mask that it was told until the next structure.
        let isAll =
            isFresh && spatial >= structure.pointee.maxSpatialLayer
            && temporal >= structure.pointee.maxTemporalLayer
        let mask = structure.pointee.targets(upToSpatialLayer: spatial, temporalLayer: temporal)
        return Choice(
            spatial: spatial,
            temporal: temporal,
            target: Int8(truncatingIfNeeded: target),
            mask: isAll ? 0 : mask
        )
    }

    private mutating func commit(_ next: Choice, at sequence: Int64) {
        guard next != choice else { return }
        if formerCount == 8 {
            for i in 1..<8 { former[i - 1] = former[i] }
            formerCount = 7
        }
        former[formerCount] = Epoch(start: start, choice: choice)
        formerCount += 1
        choice = next
        start = sequence
        isChoiceTold = false
    }
}
