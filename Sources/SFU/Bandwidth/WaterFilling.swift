// The choice of one option per track that is worth most within a budget, nearly: the least of each track first, by rank,
// then the step that is worth most per bit, then exchanges. Knows no time.
import RTP

struct WaterFilling {
    private let choices: [TrackChoices]
    private let ceiling: [Int]
    private let oversend: Int

    /// Exchanges of a step of one track for steps of another.
    private static let exchanges = 16
    private static let fewTracks = 4
    /// With more of them, exchanges are worth little and cost much.
    private static let exchangeTracks = 16

    /// - Parameter ceiling: the highest option of each track.
    init(_ choices: [TrackChoices], ceiling: [Int], oversend: Int) {
        self.choices = choices
        self.ceiling = ceiling
        self.oversend = oversend
    }

    func fill(_ room: Int) -> [Int] {
        var floor = [Int](repeating: 0, count: choices.count)
        var left = room
        giveLeast(&floor, &left)
        var best = improve(floor, left, floor)
        guard choices.count <= WaterFilling.fewTracks else { return best }
        // With few tracks one step is much: what follows from each choice for each of them is tried.
        var bestUtility = TrackChoices.utility(choices, best)
        for track in choices.indices where floor[track] > 0 && floor[track] < ceiling[track] {
            for option in (floor[track] + 1)...ceiling[track] {
                let more = cost(track, option) - cost(track, floor[track])
                guard more <= left else { break }
                var start = floor
                start[track] = option
                let found = improve(start, left - more, start)
                let utility = TrackChoices.utility(choices, found)
                guard utility > bestUtility else { continue }
                best = found
                bestUtility = utility
            }
        }
        return best
    }

    private func improve(_ start: [Int], _ room: Int, _ floor: [Int]) -> [Int] {
        var chosen = start
        var left = room
        pour(&chosen, &left)
        guard choices.count <= WaterFilling.exchangeTracks else { return chosen }
        for _ in 0..<WaterFilling.exchanges {
            guard exchange(&chosen, &left, floor) else { break }
            pour(&chosen, &left)
        }
        return chosen
    }

    private func cost(_ track: Int, _ option: Int) -> Int { choices[track].options[option].cost }
    private func utility(_ track: Int, _ option: Int) -> Double { choices[track].options[option].utility }

    /// Something for everybody, those of the first ranks first, the cheap ones before the dear ones.
    private func giveLeast(_ chosen: inout [Int], _ left: inout Int) {
        let order = choices.indices.filter { ceiling[$0] > 0 }
            .sorted { (choices[$0].rank, cost($0, 1), $0) < (choices[$1].rank, cost($1, 1), $1) }
        for (place, track) in order.enumerated() {
            // One picture too large is better than none.
            let allowance = place == 0 ? oversend : 0
            guard cost(track, 1) <= left + allowance else { continue }
            chosen[track] = 1
            left = max(0, left - cost(track, 1))
        }
    }

    /// Steps by their worth per bit, as long as one fits.
    private func pour(_ chosen: inout [Int], _ left: inout Int) {
        var steps = choices.indices.map { step($0, chosen[$0], left) }
        while true {
            var best = -1
            for track in steps.indices where steps[track].gain > 0 {
                if best < 0 || steps[track].gain > steps[best].gain { best = track }
            }
            guard best >= 0 else { return }
            let more = cost(best, steps[best].to) - cost(best, chosen[best])
            // It was found while more was left.
            if more <= left {
                left -= more
                chosen[best] = steps[best].to
            }
            steps[best] = step(best, chosen[best], left)
        }
    }

    /// The best step of a track that fits; without gain where there is none.
    private func step(_ track: Int, _ from: Int, _ left: Int) -> (to: Int, gain: Double) {
        // What was not given the least is paused.
        guard from > 0 else { return (from, 0) }
        var limit = ceiling[track]
        while limit > from && cost(track, limit) - cost(track, from) > left { limit -= 1 }
        return choices[track].bestStep(from: from, upTo: limit) ?? (from, 0)
    }

    /// Lowers one track and raises another where that is worth more. Returns whether it did.
    private func exchange(_ chosen: inout [Int], _ left: inout Int, _ floor: [Int]) -> Bool {
        var best: (from: Int, to: Int, other: Int, otherTo: Int, gain: Double)?
        for track in choices.indices where chosen[track] > floor[track] {
            for lower in floor[track]..<chosen[track] {
                let freed = cost(track, chosen[track]) - cost(track, lower)
                let loss = utility(track, chosen[track]) - utility(track, lower)
                for other in choices.indices where other != track && chosen[other] > 0 {
                    guard chosen[other] < ceiling[other] else { continue }
                    for higher in (chosen[other] + 1)...ceiling[other] {
                        guard cost(other, higher) - cost(other, chosen[other]) <= left + freed else { break }
                        let gain = utility(other, higher) - utility(other, chosen[other]) - loss
                        if gain > 1e-9, gain > best?.gain ?? 0 { best = (track, lower, other, higher, gain) }
                    }
                }
            }
        }
        guard let best else { return false }
        left += cost(best.from, chosen[best.from]) - cost(best.from, best.to)
        left -= cost(best.other, best.otherTo) - cost(best.other, chosen[best.other])
        chosen[best.from] = best.to
        chosen[best.other] = best.otherTo
        return true
    }
}
