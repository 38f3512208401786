// Sequence numbers of one stream that have not come, and when to ask for them again. Must not know packets or sockets.
import RTP

struct LossList {
    private struct Loss {
        var number: Int64
        var tries = 0
        /// Not before this is it asked for.
        var due: Instant
    }

    /// What is to be done now.
    struct Asking: Equatable {
        /// Ascending.
        var numbers: [UInt16] = []
        /// Something was given up: only a key frame helps.
        var isHopeless = false
    }

    /// Ascending.
    private var losses: [Loss] = []
    private var hasGivenUp = false

    var isEmpty: Bool { losses.isEmpty && !hasGivenUp }

    /// These numbers were passed over. Too many at once are not asked for.
    mutating func miss(_ numbers: Range<Int64>, at now: Instant) {
        guard losses.count + numbers.count <= Limits.Load.missingPackets else {
            losses.removeAll(keepingCapacity: true)
            hasGivenUp = true
            return
        }
        for number in numbers { losses.append(Loss(number: number, due: now)) }
    }

    /// Whether this one had been missed.
    mutating func found(_ number: Int64) -> Bool {
        guard let place = losses.firstIndex(where: { $0.number == number }) else { return false }
        losses.remove(at: place)
        return true
    }

    mutating func ask(at now: Instant) -> Asking {
        var asking = Asking(isHopeless: hasGivenUp)
        hasGivenUp = false
        guard !losses.isEmpty else { return asking }
        let before = losses.count
        losses.removeAll { $0.tries >= Limits.Load.nackTries && now >= $0.due }
        if losses.count < before { asking.isHopeless = true }
        for place in losses.indices where now >= losses[place].due {
            losses[place].tries += 1
            losses[place].due = now + Limits.Load.nackEvery
            asking.numbers.append(UInt16(truncatingIfNeeded: losses[place].number))
        }
        return asking
    }
}
