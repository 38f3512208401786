// Shares what one subscriber may be sent among what it wants to see: which layer of each track, why it is no better, and
// what the next useful step would need. Knows no packets, no estimator and no clock but the caller's.
import RTP

/// One layer of a track, up to which all is sent.
struct TrackLayer: Equatable {
    var encoding: Int8 = 0
    var spatial: UInt8 = 0
    var temporal: UInt8 = 0
    /// Bits per second on the wire, with everything below it, as measured.
    var measured = 0
    /// What it may need once it is sent; a layer that has just begun shows too little.
    var planned = 0
    /// Pixels, 0: unknown.
    var width: UInt16 = 0
    var height: UInt16 = 0
    var picturesPerSecond = 30
    var isLive = true
    /// It does not come, and would if it were asked for: nobody needed it so far.
    var mayCome = false

    var area: Int { Int(width) * Int(height) }
}

struct Allocator {
    /// Who is served first.
    enum Rank: UInt8, Comparable {
        /// A screen that is looked at.
        case screen
        case speaker
        case visible
        /// Gets nothing.
        case hidden

        static func < (a: Rank, b: Rank) -> Bool { a.rawValue < b.rawValue }

        var weight: Double {
            switch self {
            case .screen: 8
            case .speaker: 4
            case .visible: 1
            case .hidden: 0
            }
        }
    }

    struct Track: Equatable {
        var id: UInt64
        var rank = Rank.visible
        var isScreen = false
        /// Of the tile, pixels; 0: not known, as good as it can be.
        var tileWidth: UInt16 = 0
        var tileHeight: UInt16 = 0
        /// Any order.
        var layers: [TrackLayer]
        /// What it has now, by its place in `layers`; nil: nothing.
        var current: Int?
    }

    struct Budget: Equatable {
        /// Bits per second in all.
        var target: Int
        /// Of it for audio, reports and resends.
        var reserve = 0
        /// So much was shown to pass: up to it a layer is raised without a margin.
        var proven = 0
        /// So much may soon be shown to pass, where it is more than the target: what takes no more than this is asked for.
        var prospect = 0
        /// Nothing is heard of the path: what has to be lowered now did not fail, and comes back with the next word.
        var isGuess = false
    }

    enum Reason: Equatable {
        case none
        /// It would need so much in all, and there is so much, bits per second.
        case bandwidth(needed: Int, available: Int)
        /// The tile shows no more.
        case viewport
        /// The publisher sends no more now.
        case publisher
        /// There is room, and what was not needed so far is on its way.
        case awaited
        case hidden
    }

    struct Decision: Equatable {
        var id: UInt64
        /// Place in `layers`; nil: paused.
        var layer: Int?
        var reason = Reason.none
        /// The best that there is room for, or soon may be, by its place in `layers`, whether it comes now or not; nil: for
        /// nothing.
        var prospect: Int?
    }

    struct Allocation: Equatable {
        /// In the order of the tracks.
        var decisions: [Decision] = []
        /// Bits per second, the reserve included.
        var used = 0
        /// What the next useful step needs in all; nil: nothing is missing.
        var nextStep: Int?
        /// What everything at its best needs in all.
        var desired = 0
    }

    private struct Memory {
        var id: UInt64
        var changedAt = Instant.distantPast
        var raisedAt: Instant?
        var interval = Limits.Bandwidth.raiseInterval
        /// What the choice cost that had to be taken back; 0: none.
        var failedCost = 0
        var failedAt = Instant.distantPast
        /// What its layer was.
        var failedPlace = TrackChoices.Place()

        /// - Parameter most: how long it may be until the next try.
        mutating func fail(_ option: TrackChoices.Option, most: Interval, at now: Instant) {
            let isAgain = option.place == failedPlace && failedCost > 0
            failedCost = isAgain ? max(failedCost, option.cost) : option.cost
            failedPlace = option.place
            failedAt = now
            interval = min((isAgain ? interval : Limits.Bandwidth.raiseInterval) * 2, most)
        }

        /// What costs this much has proven itself. That of a cheaper one says nothing of what failed, but time does.
        mutating func settle(_ cost: Int, at now: Instant) {
            guard Allocator.isFar(failedCost, above: cost), now - failedAt < Limits.Bandwidth.raiseMemory
            else {
                interval = Limits.Bandwidth.raiseInterval
                failedCost = 0
                return
            }
        }

        /// Whether an option lies well below what failed: cheaper, and of another size.
        func isBelowFailure(_ option: TrackChoices.Option) -> Bool {
            option.place != failedPlace && Allocator.isFar(failedCost, above: option.cost)
        }
    }

    /// What a raise needs above its cost where nothing was proven, percent.
    private static let margin = 105
    /// A change that is worth less is not made.
    private static let worth = 1.01
    /// What is sent stays up to this share of the room, percent: the estimate is a little below what the path carries, and
    /// a key frame makes a layer look larger than it is for a second.
    private static let keepMargin = 104
    /// The only one that is looked at may be sent so much above the target, rather than nothing.
    private static let oversend = 150_000

    private var memories: [Memory] = []

    init() {}

    /// - Parameter tracks: at most `Limits.Bandwidth.tracks`; more get nothing.
    mutating func allocate(_ tracks: [Track], _ budget: Budget, at now: Instant) -> Allocation {
        let tracks = Array(tracks.prefix(Limits.Bandwidth.tracks))
        remember(tracks)
        guard !tracks.isEmpty else { return Allocation(used: budget.reserve, desired: budget.reserve) }
        let choices = tracks.map { TrackChoices($0) }
        let room = max(0, budget.target - budget.reserve)
        let kept = keep(choices, room)
        let chosen = raise(choices, from: kept, budget, at: now)
        note(choices, chosen, isGuess: budget.isGuess, at: now)
        var result = describe(tracks, choices, chosen, budget, at: now)
        lookAhead(choices, chosen, max(budget.target, budget.prospect) - budget.reserve, &result)
        return result
    }

    // MARK: Deciding

    /// What can stay as it is; lower where it does not fit, and at once.
    private func keep(_ choices: [TrackChoices], _ room: Int) -> [Int] {
        let ceiling = choices.map(\.current)
        guard TrackChoices.cost(choices, ceiling) * 100 > room * Allocator.keepMargin else { return ceiling }
        return WaterFilling(choices, ceiling: ceiling, oversend: Allocator.oversend).fill(room)
    }

    /// More where it was proven to pass or passes with a margin, and not too often.
    private func raise(
        _ choices: [TrackChoices],
        from kept: [Int],
        _ budget: Budget,
        at now: Instant
    ) -> [Int] {
        let careful = budget.target * 100 / Allocator.margin
        let proven = min(budget.proven, budget.target)
        var best = kept
        var present = TrackChoices.utility(choices, kept)
        // With patience up to the margin; at once what was proven.
        for (room, isProven) in [(max(careful, proven), false), (proven, true)] where room > budget.reserve {
            let ceiling = choices.indices.map { index in
                highest(memories[index], choices[index], kept[index], isProven, room - budget.reserve, now)
            }
            guard ceiling != kept else { continue }
            let filled = WaterFilling(choices, ceiling: ceiling, oversend: isProven ? 0 : Allocator.oversend)
                .fill(room - budget.reserve)
            let possible = TrackChoices.utility(choices, filled)
            guard possible > present * Allocator.worth else { continue }
            best = filled
            present = possible
        }
        return best
    }

    /// The highest option that a track may be raised to.
    private func highest(
        _ memory: Memory,
        _ choices: TrackChoices,
        _ kept: Int,
        _ isProven: Bool,
        _ room: Int,
        _ now: Instant
    ) -> Int {
        guard kept >= choices.current else { return kept }
        // Where a raise failed lately, one step at a time.
        let next = min(kept + 1, choices.top)
        if memory.changedAt + memory.interval <= now { return memory.failedCost > 0 ? next : choices.top }
        guard memory.failedCost > 0 else { return isProven || kept == 0 ? choices.top : kept }
        // What failed is not tried again so soon; what lies well above or below it may be.
        if room >= memory.failedCost * 2 { return next }
        guard isProven || memory.changedAt + Limits.Bandwidth.raiseInterval <= now else { return kept }
        return memory.isBelowFailure(choices.options[next]) ? next : kept
    }

    private static func isFar(_ cost: Int, above failed: Int) -> Bool { cost * 4 > failed * 5 }

    /// What would be chosen with as much as may soon be there, if everything came.
    private func lookAhead(
        _ choices: [TrackChoices],
        _ chosen: [Int],
        _ room: Int,
        _ result: inout Allocation
    ) {
        for index in choices.indices {
            result.decisions[index].prospect = choices[index].options[chosen[index]].layer
        }
        guard choices.indices.contains(where: { !choices[$0].better(than: chosen[$0]).isEmpty }) else {
            return
        }
        let hoped = choices.map(\.hoped)
        let filled = WaterFilling(hoped, ceiling: hoped.map(\.top), oversend: 0).fill(max(0, room))
        for index in hoped.indices {
            let option = hoped[index].options[filled[index]]
            guard option.utility > choices[index].options[chosen[index]].utility else { continue }
            result.decisions[index].prospect = option.layer
        }
    }

    // MARK: Remembering

    private mutating func remember(_ tracks: [Track]) {
        memories = tracks.map { track in
            memories.first { $0.id == track.id } ?? Memory(id: track.id)
        }
    }

    private mutating func note(
        _ choices: [TrackChoices],
        _ chosen: [Int],
        isGuess: Bool,
        at now: Instant
    ) {
        for index in choices.indices {
            let before = choices[index].current
            if let raised = memories[index].raisedAt, now - raised >= Limits.Bandwidth.raiseProof {
                memories[index].raisedAt = nil
                memories[index].settle(choices[index].options[before].cost, at: now)
            }
            guard chosen[index] != before else { continue }
            guard !isGuess || chosen[index] > before else {
                memories[index].raisedAt = nil
                continue
            }
            memories[index].changedAt = now
            if chosen[index] > before {
                memories[index].raisedAt = now
            } else if memories[index].raisedAt != nil {
                memories[index].raisedAt = nil
                // Fewer pictures are a smaller loss than a key frame in vain.
                let most =
                    choices[index].areAlike(before, chosen[index])
                    ? Limits.Bandwidth.raiseInterval * 2 : Limits.Bandwidth.raiseIntervalLongest
                memories[index].fail(choices[index].options[before], most: most, at: now)
            }
        }
    }

    // MARK: Telling

    private func describe(
        _ tracks: [Track],
        _ choices: [TrackChoices],
        _ chosen: [Int],
        _ budget: Budget,
        at now: Instant
    ) -> Allocation {
        var result = Allocation()
        let used = TrackChoices.cost(choices, chosen)
        result.used = used + budget.reserve
        result.desired = budget.reserve
        var bestGain = 0.0
        for index in choices.indices {
            let choice = choices[index]
            result.desired += choice.prospects.last(where: \.mayCome)?.cost ?? 0
            result.decisions.append(
                Decision(
                    id: tracks[index].id,
                    layer: choice.options[chosen[index]].layer,
                    reason: reason(
                        tracks[index],
                        choice,
                        chosen[index],
                        memories[index],
                        budget,
                        others: used
                    )
                )
            )
            guard let step = nextStep(memories[index], choice, chosen[index], at: now) else { continue }
            let gain = choice.gain(from: chosen[index], to: step)
            guard gain > bestGain else { continue }
            bestGain = gain
            let more = step.cost - choice.options[chosen[index]].cost
            result.nextStep = (result.used + more) * Allocator.margin / 100
        }
        return result
    }

    /// A step that may not be made soon is no reason to probe.
    private func nextStep(
        _ memory: Memory,
        _ choice: TrackChoices,
        _ chosen: Int,
        at now: Instant
    ) -> TrackChoices.Option? {
        let better = choice.better(than: chosen).filter(\.mayCome)
        if memory.failedCost == 0 || memory.changedAt + memory.interval <= now + .seconds(1) {
            return better.max { choice.gain(from: chosen, to: $0) < choice.gain(from: chosen, to: $1) }
        }
        return better.first {
            Allocator.isFar($0.cost, above: memory.failedCost) || memory.isBelowFailure($0)
        }
    }

    private func reason(
        _ track: Track,
        _ choice: TrackChoices,
        _ chosen: Int,
        _ memory: Memory,
        _ budget: Budget,
        others: Int
    ) -> Reason {
        if track.rank == .hidden { return .hidden }
        if chosen < choice.top {
            let needed =
                others - choice.options[chosen].cost + choice.options[chosen + 1].cost + budget.reserve
            // What has room, and never failed, is only not raised yet.
            let hasRoom = needed * Allocator.margin <= budget.target * 100
            return hasRoom && memory.failedCost == 0
                ? .none : .bandwidth(needed: needed, available: budget.target)
        }
        if let next = choice.better(than: chosen).first(where: \.mayCome) {
            let needed = others - choice.options[chosen].cost + next.cost + budget.reserve
            let hasRoom = needed * Allocator.margin <= budget.target * 100
            return hasRoom ? .awaited : .bandwidth(needed: needed, available: budget.target)
        }
        if choice.lacksLayers { return .publisher }
        return choice.isBoundedByTile ? .viewport : .none
    }
}
