// Groups packets that were sent together and compares how two groups following each other were spaced when they left
// and when they came (the arrival-time filter of draft-ietf-rmcat-gcc-02 §5). Knows times, not what they mean.
import RTP

struct InterArrival {
    struct Deltas: Equatable {
        /// Microseconds.
        var sent: Int64
        var arrived: Int64
    }

    private struct Group {
        var firstSent: Int64 = 0
        var lastSent: Int64 = 0
        var firstArrival: Int64 = 0
        var lastArrival: Int64 = 0
        var isEmpty = true
    }

    /// Packets sent within this time of a group's first belong to it.
    private static let span: Int64 = 5_000
    /// So do those that come this close behind each other, having waited together …
    private static let burstGap: Int64 = 5_000
    /// … up to this long.
    private static let burstSpan: Int64 = 100_000
    /// Arrivals that go back so often are another clock.
    private static let backwardsBeforeReset = 3

    private var present = Group()
    private var previous = Group()
    private var backwards = 0

    /// - Parameters:
    ///   - sent: departure, microseconds of our clock.
    ///   - arrival: microseconds of the peer's clock.
    /// - Returns: The spacing of the last two whole groups, when this packet begins another.
    mutating func receive(sent: Int64, arrival: Int64) -> Deltas? {
        guard !present.isEmpty else {
            begin(sent, arrival)
            return nil
        }
        guard sent >= present.firstSent else { return nil }
        guard beginsGroup(sent, arrival) else {
            present.lastSent = max(present.lastSent, sent)
            present.lastArrival = max(present.lastArrival, arrival)
            return nil
        }
        var deltas: Deltas?
        if !previous.isEmpty {
            let arrived = present.lastArrival &- previous.lastArrival
            if arrived < 0 {
                backwards += 1
                if backwards >= InterArrival.backwardsBeforeReset { reset() }
            } else {
                backwards = 0
                deltas = Deltas(sent: present.lastSent &- previous.lastSent, arrived: arrived)
            }
        }
        previous = present
        begin(sent, arrival)
        return deltas
    }

    private mutating func begin(_ sent: Int64, _ arrival: Int64) {
        present = Group(
            firstSent: sent,
            lastSent: sent,
            firstArrival: arrival,
            lastArrival: arrival,
            isEmpty: false
        )
    }

    private func beginsGroup(_ sent: Int64, _ arrival: Int64) -> Bool {
        let arrived = arrival &- present.lastArrival
        let departed = sent &- present.lastSent
        if departed == 0 { return false }
        if arrived >= 0 && arrived < departed && arrived <= InterArrival.burstGap
            && arrival &- present.firstArrival < InterArrival.burstSpan
        {
            return false
        }
        return sent &- present.firstSent > InterArrival.span
    }

    mutating func reset() { self = InterArrival() }
}
