// Which layer of a publication fills a tile. Knows no subscriber, no packet and no bandwidth.
import RTP
import Seam

/// Layers of one publication: those up to these are wanted.
struct LayerTarget: Equatable {
    /// −1: none.
    var encoding: Int8 = -1
    var spatial: UInt8 = 0
    var temporal: UInt8 = LayerTarget.allTemporal

    static let none = LayerTarget()

    /// The same, whatever the temporal layers.
    func isPlace(of other: LayerTarget) -> Bool { encoding == other.encoding && spatial == other.spatial }

    /// More than any codec has.
    static let allTemporal: UInt8 = 7
}

struct LayerChoice {
    var target: LayerTarget
    /// What would be chosen if everything were sent: the publisher is asked for that.
    var ideal: LayerTarget
    /// Why it is not the best layer that there is.
    var reason = SlotState.Reason.none
}

/// The smallest layer that fills the tile, else the largest; a camera that is to show fewer pictures leaves temporal
/// layers out, and a screen does so before it gives up resolution.
struct LayerSelector {
    /// One spatial layer of one encoding.
    struct Candidate: Equatable {
        var encoding: Int8 = 0
        var spatial: UInt8 = 0
        var width: UInt16 = 0
        var height: UInt16 = 0
        var isLive = false

        var area: Int { Int(width) * Int(height) }

        /// Whether nothing of the tile's resolution is lost.
        func fills(_ tile: Wishes.Tile) -> Bool {
            width > 0 && tile.width > 0 && tile.height > 0 && (height >= tile.height || width >= tile.width)
        }
    }

    /// Smallest first.
    private let candidates: [Candidate]
    private let isScreen: Bool

    init(_ candidates: [Candidate], isScreen: Bool) {
        // The order of the offer counts until all sizes are known.
        let isMeasured = candidates.allSatisfy { $0.area > 0 }
        self.candidates =
            isMeasured
            ? candidates.sorted { ($0.area, $0.encoding, $0.spatial) < ($1.area, $1.encoding, $1.spatial) }
            : candidates
        self.isScreen = isScreen
    }

    /// - Parameters:
    ///   - present: what is aimed at now; it stays where nothing is alive.
    ///   - picturesPerSecond: of an encoding with temporal layers up to this one.
    func choose(
        for tile: Wishes.Tile?,
        present: LayerTarget,
        picturesPerSecond: (_ encoding: Int, _ temporal: Int) -> UInt32
    ) -> LayerChoice {
        guard let ideal = pick(candidates, tile), let top = candidates.last else {
            return LayerChoice(target: present, ideal: present)
        }
        let alive = candidates.filter(\.isLive)
        guard let chosen = pick(alive, tile) else {
            return LayerChoice(
                target: present.encoding < 0 ? target(ideal, tile, picturesPerSecond) : present,
                ideal: target(ideal, tile, picturesPerSecond),
                reason: .publisher
            )
        }
        var reason = SlotState.Reason.none
        if chosen != ideal && chosen.area <= ideal.area {
            reason = .publisher
        } else if ideal != top {
            reason = .viewport
        }
        return LayerChoice(
            target: target(chosen, tile, picturesPerSecond),
            ideal: target(ideal, tile, picturesPerSecond),
            reason: reason
        )
    }

    private func pick(_ candidates: [Candidate], _ tile: Wishes.Tile?) -> Candidate? {
        guard let tile, !isScreen else { return candidates.last }
        return candidates.first { $0.fills(tile) } ?? candidates.last
    }

    private func target(
        _ chosen: Candidate,
        _ tile: Wishes.Tile?,
        _ picturesPerSecond: (Int, Int) -> UInt32
    ) -> LayerTarget {
        var target = LayerTarget(encoding: chosen.encoding, spatial: chosen.spatial)
        guard let tile else { return target }
        if isScreen && tile.width > 0 && chosen.area > 4 * Int(tile.width) * Int(tile.height) {
            target.temporal = 0
        } else if tile.maxFrameRate > 0 {
            // A rate that is measured over a second is not exact.
            let most = UInt32(tile.maxFrameRate) + UInt32(tile.maxFrameRate) / 10 + 1
            var temporal = 0
            for layer in 1..<LayerActivity.temporalLayers
            where picturesPerSecond(Int(chosen.encoding), layer) <= most { temporal = layer }
            let isAll = temporal == LayerActivity.temporalLayers - 1
            target.temporal = isAll ? LayerTarget.allTemporal : UInt8(temporal)
        }
        return target
    }
}
