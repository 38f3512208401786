// What the gateway is told of a slot.
import RTP
import Seam

/// What of a slot's state is told, small enough to be compared often.
struct SlotDigest: Equatable {
    var publication: UInt64 = 0
    var layer: Int8 = -1
    var spatialLayer: UInt8 = 0
    var temporalLayer: UInt8 = 0
    var isWaiting = false
    var reason = SlotState.Reason.none
    var width: UInt16 = 0
    var height: UInt16 = 0
    /// In steps of an eighth: what is told follows what matters, not each word about the rate.
    var needed: UInt8 = 0
    var available: UInt8 = 0

    static func step(_ bitsPerSecond: Int) -> UInt8 {
        guard bitsPerSecond > 0 else { return 0 }
        let exponent = Int.bitWidth - 1 - bitsPerSecond.leadingZeroBitCount
        let eighths = exponent >= 3 ? bitsPerSecond >> (exponent - 3) & 7 : 0
        return UInt8(clamping: exponent * 8 + eighths)
    }
}

extension SendStream {
    var digest: SlotDigest {
        guard let publication else { return SlotDigest() }
        let size = sizeShown
        return SlotDigest(
            publication: publication.ordinal,
            layer: Int8(truncatingIfNeeded: currentLayer),
            spatialLayer: filter.choice.spatial,
            temporalLayer: filter.choice.temporal,
            isWaiting: publication.codec == nil,
            reason: pause == .none ? limit : pause,
            width: size.width,
            height: size.height,
            needed: SlotDigest.step(needed),
            available: SlotDigest.step(available)
        )
    }

    /// Pixels of the layer that is forwarded, 0: unknown.
    var sizeShown: (width: UInt16, height: UInt16) {
        guard let publication, currentLayer >= 0 else { return (0, 0) }
        let layers = publication.layers[currentLayer].layers
        let spatial = Int(min(filter.choice.spatial, layers.top))
        return (layers.widths[spatial], layers.heights[spatial])
    }

    /// What the gateway is told about this slot.
    var state: SlotState {
        guard let publication else { return SlotState(mid: mid, kind: kind) }
        let size = sizeShown
        var state = SlotState(
            mid: mid,
            kind: kind,
            publication: publication.id,
            participant: publication.participant,
            width: size.width,
            height: size.height,
            paused: pause != .none,
            reason: pause == .none ? limit : pause
        )
        if state.reason == .bandwidth {
            state.neededBitsPerSecond = UInt32(clamping: needed)
            state.availableBitsPerSecond = UInt32(clamping: available)
        }
        if currentLayer >= 0 {
            // Simulcast layers are encodings, SVC layers are within one.
            state.spatialLayer = publication.layerCount > 1 ? UInt8(currentLayer) : filter.choice.spatial
            if kind == .video {
                let top = publication.layers[currentLayer].layers.topTemporal
                state.temporalLayer = min(filter.choice.temporal, top)
            }
        } else if pause == .none {
            state.reason = publication.codec == nil ? .publisher : .keyframe
        }
        return state
    }
}
