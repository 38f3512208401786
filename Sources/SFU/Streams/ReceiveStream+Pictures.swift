// What an encoding learns from its video packets beside their payload: layers, key frames, dependency descriptors and
// the structures that these need.
import RTP

extension ReceiveStream {
    /// Reads what a video packet says of its frame beside the payload.
    mutating func look(
        at record: inout PacketRecord,
        _ payload: UnsafePointer<UInt8>,
        _ descriptor: UnsafePointer<UInt8>?,
        _ descriptorLength: Int,
        _ now: Instant
    ) {
        if let descriptor, codec != .vp8 { describe(&record, descriptor, descriptorLength, now) }
        if codec == .h264 {
            // Parameter sets and SEI have no layer of their own: the first packet of a picture speaks for all.
            if record.timestamp == pictureTimestamp && !record.frame.isKeyFrameStart {
                record.frame.temporalLayer = pictureTemporalLayer
                record.frame.isLayerSync = record.frame.isLayerSync && pictureTemporalLayer > 0
            } else {
                pictureTimestamp = record.timestamp
                pictureTemporalLayer = record.frame.temporalLayer
            }
        }
        if record.frame.isKeyFrameStart { sawKeyFrame(record, payload, now) }
        if record.timestamp == keyPictureTimestamp { keyPictureBytes += Int(record.length) }
    }

    @inline(never)
    private mutating func sawKeyFrame(
        _ record: PacketRecord,
        _ payload: UnsafePointer<UInt8>,
        _ now: Instant
    ) {
        keyFrames.received()
        if record.timestamp != keyPictureTimestamp {
            let rate = layers.bitsPerSecond(upTo: LayerActivity.spatialLayers - 1, at: now)
            if keyPictureBytes > 0 { keyFrames.note(keyFrameBytes: keyPictureBytes, bitsPerSecond: rate) }
            keyPictureTimestamp = record.timestamp
            keyPictureBytes = 0
        }
        keyFrameStart = max(keyFrameStart, record.sequence)
        if codec == .vp9, let descriptor = VP9Descriptor.parse(payload, length: Int(record.length)),
            descriptor.hasScalabilityStructure
        {
            let count = min(Int(descriptor.spatialLayerCount), LayerActivity.spatialLayers)
            layers.restructure(top: UInt8(truncatingIfNeeded: max(count - 1, 0)))
            guard descriptor.hasResolutions else { return }
            for layer in 0..<count {
                layers.resize(layer, width: descriptor.widths[layer], height: descriptor.heights[layer])
            }
            begin(record, upTo: count, now)
        } else {
            layers.resize(0, width: record.frame.width, height: record.frame.height)
            if codec == .av1 { begin(record, upTo: Int(layers.top) + 1, now) }
        }
    }

    /// What a key picture says that it has is as good as here: a tile that waits for it starts with this picture.
    private mutating func begin(_ record: PacketRecord, upTo count: Int, _ now: Instant) {
        guard count > 1, record.sequence > highest, !record.flags.contains(.recovered) else { return }
        var announced = UInt8((1 << count) - 1)
        if record.flags.contains(.indications), let structure = structures.newest {
            announced &= structure.pointee.activeSpatialLayers
        }
        if layers.begin(announced, isScreen: isScreen, at: now) { hasNews = true }
    }

    /// The newest key frame, where it is young, and all that followed is here and little enough to be sent at once.
    func storedKeyFrame(payloadType: UInt8, at now: Instant) -> UnsafeMutablePointer<PacketRecord>? {
        guard keyFrameStart != .min, highest - keyFrameStart < Int64(Limits.Media.storedKeyFramePackets),
            let first = history.record(keyFrameStart), first.pointee.payloadType == payloadType,
            now - first.pointee.arrival <= Limits.Media.storedKeyFrameAge
        else { return nil }
        var bytes = 0
        for sequence in keyFrameStart...highest {
            guard let record = history.record(sequence), !record.pointee.flags.contains(.unread) else {
                return nil
            }
            bytes += Int(record.pointee.length)
        }
        return bytes <= Limits.Media.storedKeyFrameBytes ? first : nil
    }

    // MARK: Dependency descriptors

    /// Takes over what the descriptor says. AV1 keeps it, since it goes out again; for the other codecs it only
    /// helps to choose.
    private mutating func describe(
        _ record: inout PacketRecord,
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        _ now: Instant
    ) {
        let isNewest = record.sequence > highest
        guard
            let read = structures.read(bytes, length, sequence: record.sequence, isNewest: isNewest)
        else {
            if codec == .av1 {
                record.flags.insert(.unread)
                record.descriptor = DescriptorLayout(unread: length)
                structures.unread += 1
            }
            return
        }
        if codec == .av1 && read.hasStructure && record.sequence < structures.start {
            // The rest of its key frame cannot be read any more.
            record.flags.insert(.padding)
            return
        }
        take(read, length, into: &record)
        if read.hasStructure && structures.start == record.sequence {
            learn(at: now)
            structures.hasMore = structures.unread > 0
        } else if read.hasActiveDecodeTargets && isNewest {
            learn(at: now)
        }
    }

    private mutating func take(_ read: DependencyDescriptor, _ length: Int, into record: inout PacketRecord) {
        switch codec {
        case .av1:
            record.frame.apply(read)
            record.frame.pictureID = Int32(read.frameNumber)
            record.frame.pictureIDBits = 16
            record.descriptor = DescriptorLayout(read, length: length)
        case .h264:
            record.frame.temporalLayer = read.temporalLayer
            record.frame.isLayerSync = read.indication(forTarget: read.target) == .switch
            return
        default: break
        }
        record.structureNumber = structures.number(of: read, sequence: record.sequence)
        record.activeTargets = activeTargets(read, record.sequence)
        record.indications = read.indications
        record.frameNumber = read.frameNumber
        for i in 0..<read.differenceCount {
            let difference = read.differences[i]
            record.references |= difference <= 64 ? 1 << UInt64(difference - 1) : .max
        }
        for chain in 0..<min(read.chainCount, 4) {
            record.chainDifferences |= UInt32(read.chainDifferences[chain]) << UInt32(8 * chain)
        }
        record.flags.insert(.indications)
    }

    /// The mask of a packet without one is that of the packets before it.
    private func activeTargets(_ read: DependencyDescriptor, _ sequence: Int64) -> UInt32 {
        if read.hasStructure || read.hasActiveDecodeTargets { return read.activeDecodeTargets }
        if sequence <= highest {
            for distance in 1...16 {
                guard let before = history.record(sequence - Int64(distance)) else { continue }
                if before.pointee.activeTargets != 0 { return before.pointee.activeTargets }
            }
        }
        return structures.structure(at: sequence)?.pointee.activeDecodeTargets ?? 0
    }

    /// Layers and their sizes from the newest structure.
    @inline(never)
    private mutating func learn(at now: Instant) {
        guard codec != .h264, let structure = structures.newest else { return }
        let top = structure.pointee.maxSpatialLayer
        if top != layers.top { layers.restructure(top: top) }
        for layer in 0...min(top, 3) {
            layers.resize(
                Int(layer),
                width: structure.pointee.width(ofSpatialLayer: layer),
                height: structure.pointee.height(ofSpatialLayer: layer)
            )
        }
        if layers.announce(structure.pointee.activeSpatialLayers, at: now) { hasNews = true }
    }

    /// The first packet of a key frame came behind others: now these can be read, and go out as if they had come now.
    /// What is older than any structure that is known only gives its number up.
    @inline(never)
    mutating func readAgain() {
        structures.unread = 0
        structures.hasMore = false
        var next = highest - Int64(history.capacity / 2)
        while next <= highest {
            defer { next += 1 }
            guard let record = history.record(next), record.pointee.flags.contains(.unread) else { continue }
            structures.unread += 1
            guard !isBatchFull else {
                structures.hasMore = true
                return
            }
            let bytes = history.descriptor(record)
            let length = Int(record.pointee.descriptor.length)
            if let read = structures.read(bytes, length, sequence: next, isNewest: next >= structures.start) {
                take(read, length, into: &record.pointee)
            } else if next < structures.start {
                record.pointee.flags.insert(.padding)
            } else {
                continue
            }
            structures.unread -= 1
            record.pointee.flags.remove(.unread)
            queue(record)
        }
    }

    /// The structure that the descriptor of this packet was read with; nil: none, or too long ago.
    @inline(__always)
    func structure(
        of record: UnsafeMutablePointer<PacketRecord>
    ) -> UnsafeMutablePointer<DependencyStructure>? {
        guard record.pointee.flags.contains(.indications) else { return nil }
        return structures[record.pointee.structureNumber]
    }
}
