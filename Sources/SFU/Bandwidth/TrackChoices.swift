// What can be sent of one track, from nothing upwards: what each choice costs and what it is worth to who looks at it.
// Knows no other track.
import RTP

struct TrackChoices {
    struct Place: Equatable {
        var encoding: Int8 = -1
        var spatial: UInt8 = 0
    }

    struct Option: Equatable {
        /// Place in the track's layers; nil: nothing is sent.
        var layer: Int?
        /// Bits per second.
        var cost = 0
        var utility = 0.0
        var place = Place()
        /// It comes now, or would come if it were asked for.
        var mayCome = true
    }

    /// By cost, each worth more than the one before; the first is nothing.
    let options: [Option]
    /// The same with what does not come now.
    let prospects: [Option]
    /// What is sent now, by its place in `options`.
    let current: Int
    let rank: Allocator.Rank
    /// Better layers exist than the tile shows.
    let isBoundedByTile: Bool
    /// Better layers that the tile would show are not alive.
    let lacksLayers: Bool

    var top: Int { options.count - 1 }

    /// A tile up to this many lines shows motion rather than detail.
    private static let smallTile = 360
    /// Pixels that count as one.
    private static let unitArea = 14_400.0

    init(_ track: Allocator.Track) {
        rank = track.rank
        guard track.rank != .hidden else {
            options = [Option()]
            prospects = options
            current = 0
            isBoundedByTile = false
            lacksLayers = false
            return
        }
        let bound = TrackChoices.largestArea(track, of: track.layers)
        let wanted = track.layers.indices.filter { track.layers[$0].area <= bound }
        let largest = track.layers.map(\.area).max() ?? 0
        isBoundedByTile = wanted.allSatisfy { track.layers[$0].area < largest }
        let live = wanted.filter { track.layers[$0].isLive }
        // Where nothing comes, what will come first is not known: anything may be aimed at.
        let alive = live.isEmpty ? wanted : live
        let best = wanted.map { track.layers[$0].area }.max() ?? 0
        lacksLayers = !alive.contains { track.layers[$0].area == best }
        options = TrackChoices.frontier(track, alive)
        prospects = alive.count == wanted.count ? options : TrackChoices.frontier(track, wanted)
        let present = options.lastIndex { option in
            option.layer == track.current && track.current != nil
        }
        current = present ?? TrackChoices.nearest(track, options)
    }

    private init(_ options: [Option], like other: TrackChoices) {
        self.options = options
        prospects = options
        current = 0
        rank = other.rank
        isBoundedByTile = other.isBoundedByTile
        lacksLayers = other.lacksLayers
    }

    /// As if everything came.
    var hoped: TrackChoices { TrackChoices(prospects, like: self) }

    /// The smallest size that fills the tile, else all.
    private static func largestArea(_ track: Allocator.Track, of layers: [TrackLayer]) -> Int {
        guard !track.isScreen, track.tileWidth > 0, track.tileHeight > 0 else { return .max }
        let filling = layers.filter {
            $0.width > 0 && ($0.height >= track.tileHeight || $0.width >= track.tileWidth)
        }
        let live = filling.filter(\.isLive)
        return (live.isEmpty ? filling : live).map(\.area).min() ?? .max
    }

    private static func frontier(_ track: Allocator.Track, _ alive: [Int]) -> [Option] {
        let present = track.current.map { track.layers[$0].measured } ?? 0
        let all = alive.map { index -> Option in
            let layer = track.layers[index]
            // What is raised may need more than it shows, what is lowered no more than it shows.
            let isMore = index != track.current && layer.planned > present
            let cost = isMore ? max(layer.planned, layer.measured) : layer.measured
            return Option(
                layer: index,
                cost: max(1, cost),
                utility: utility(layer, track),
                place: Place(encoding: layer.encoding, spatial: layer.spatial),
                mayCome: layer.isLive || layer.mayCome
            )
        }
        .sorted { ($0.cost, -$0.utility) < ($1.cost, -$1.utility) }
        var kept = [Option()]
        for option in all where option.utility > (kept.last?.utility ?? 0) * 1.001 { kept.append(option) }
        return kept
    }

    /// The present layer is on no frontier, or gone: what costs as much.
    private static func nearest(_ track: Allocator.Track, _ options: [Option]) -> Int {
        guard let current = track.current, track.layers.indices.contains(current) else { return 0 }
        let cost = track.layers[current].measured
        return options.lastIndex { $0.cost <= max(cost, 1) } ?? 0
    }

    private static func utility(_ layer: TrackLayer, _ track: Allocator.Track) -> Double {
        // Unknown sizes: the cost is all that is known.
        let area = layer.area > 0 ? Double(layer.area) : Double(max(layer.planned, layer.measured)) / 3
        let tile = Double(track.tileWidth) * Double(track.tileHeight)
        let seen = tile > 0 && !track.isScreen ? min(area, tile) : area
        let detail = Decibels.ln(1 + seen / unitArea)
        let motion = min(1, Double(max(1, layer.picturesPerSecond)) / 30)
        let root = motion.squareRoot()
        let factor: Double
        if track.isScreen {
            factor = root.squareRoot().squareRoot()
        } else if track.tileHeight > 0 && Int(track.tileHeight) <= smallTile {
            factor = root
        } else {
            factor = root.squareRoot() * root.squareRoot().squareRoot()
        }
        return track.rank.weight * detail * factor
    }

    /// Whether two options differ in pictures per second alone.
    func areAlike(_ a: Int, _ b: Int) -> Bool { options[a].place == options[b].place }

    /// The step upwards that is worth most per bit.
    func bestStep(from: Int, upTo most: Int? = nil) -> (to: Int, gain: Double)? {
        var best: (to: Int, gain: Double)?
        let end = min(most ?? top, top)
        guard from < end else { return nil }
        for to in (from + 1)...end {
            let step = step(from: from, to: to)
            if step.gain > best?.gain ?? 0 { best = step }
        }
        return best
    }

    /// Better choices than one of `options`, those that do not come now among them; cheapest first.
    func better(than chosen: Int) -> ArraySlice<Option> {
        let utility = options[chosen].utility * 1.001
        let first = prospects.firstIndex { $0.cost > options[chosen].cost && $0.utility > utility }
        return prospects[(first ?? prospects.count)...]
    }

    /// What a step from one of `options` to another choice is worth per bit.
    func gain(from: Int, to option: Option) -> Double {
        (option.utility - options[from].utility) / Double(max(1, option.cost - options[from].cost))
    }

    /// What a step upwards is worth per bit.
    func step(from: Int, to: Int) -> (to: Int, gain: Double) {
        let cost = options[to].cost - options[from].cost
        return (to, (options[to].utility - options[from].utility) / Double(max(1, cost)))
    }

    static func cost(_ choices: [TrackChoices], _ chosen: [Int]) -> Int {
        var sum = 0
        for index in choices.indices { sum += choices[index].options[chosen[index]].cost }
        return sum
    }

    static func utility(_ choices: [TrackChoices], _ chosen: [Int]) -> Double {
        var sum = 0.0
        for index in choices.indices { sum += choices[index].options[chosen[index]].utility }
        return sum
    }
}
