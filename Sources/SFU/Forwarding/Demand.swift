// Which encodings of one publication anybody wants and can be sent, and how large: more is asked for at once, less after a
// while, so that neither a tile nor a path that changes often switches a camera on and off. Knows no subscriber.
import RTP
import Seam

struct Demand {
    /// How large an encoding is wanted, over all slots that were counted.
    struct Wish: Equatable, Sendable {
        var isWanted = false
        /// A tile is for it, and nobody who has one has room for it, now or soon.
        var lacksRoom = false
        /// Pixels and pictures per second, 0: no bound.
        var width: UInt16 = 0
        var height: UInt16 = 0
        var frameRate: UInt8 = 0

        /// 0 is no bound, and one without a bound undoes all bounds.
        private static func widest<T: BinaryInteger>(_ a: T, _ b: T) -> T { a == 0 || b == 0 ? 0 : max(a, b) }
        private static func isMore<T: BinaryInteger>(_ a: T, _ b: T) -> Bool { b != 0 && (a == 0 || a > b) }

        mutating func widen(to other: Wish) {
            guard other.isWanted else {
                if other.lacksRoom && !isWanted { lacksRoom = true }
                return
            }
            guard isWanted else { return self = other }
            width = Wish.widest(width, other.width)
            height = Wish.widest(height, other.height)
            frameRate = Wish.widest(frameRate, other.frameRate)
        }

        func isMore(than told: Wish) -> Bool {
            guard isWanted, told.isWanted else { return isWanted }
            return Wish.isMore(width, told.width) || Wish.isMore(height, told.height)
                || Wish.isMore(frameRate, told.frameRate)
        }

        /// Smaller, and by so much that the sender may save something: layers differ by 1.5 at least.
        func isMuchLess(than told: Wish) -> Bool {
            guard isWanted, told.isWanted else { return false }
            func isSmall(_ a: UInt16, _ b: UInt16) -> Bool { a != 0 && (b == 0 || Int(a) * 3 <= Int(b) * 2) }
            return isSmall(width, told.width) && isSmall(height, told.height)
                || Wish.isMore(told.frameRate, frameRate)
        }
    }

    /// What the slots want now.
    private var wanted = InlineArray<4, Wish>(repeating: Wish())
    /// What the publisher was told last; it sends everything before it is told anything.
    private var told = InlineArray<4, Wish>(repeating: Wish(isWanted: true))
    /// Since when nobody wants an encoding that the publisher sends.
    private var idleSince = InlineArray<4, Instant>(repeating: .distantFuture)
    /// Since when it is wanted much smaller than the publisher was told.
    private var smallSince = InlineArray<4, Instant>(repeating: .distantFuture)
    /// When the publisher was told last to switch an encoding off, and how often.
    private var offSince = InlineArray<4, Instant>(repeating: .distantFuture)
    private var offTold = InlineArray<4, Int>(repeating: 0)
    /// Since when somebody wants an encoding; what is asked for anew needs some time to come.
    private var wantedSince = InlineArray<4, Instant>(repeating: .distantFuture)
    /// How often in a row an encoding was needed again soon after it was switched off for lack of room.
    private var relapses = InlineArray<4, Int>(repeating: 0)
    private let count: Int
    /// The publisher was told something, so that it must be told again where that may be lost.
    private var wasTold = false
    private var mustRepeat = false

    init(encodings: Int) { count = min(encodings, 4) }

    /// Another count begins.
    mutating func begin() {
        for i in 0..<4 { wanted[i] = Wish() }
    }

    /// A slot wants this encoding for a tile of this size; nil: as good as it can be.
    /// - Parameter hasRoom: it can be sent, or soon may.
    mutating func want(_ encoding: Int, for tile: Wishes.Tile?, hasRoom: Bool = true) {
        guard encoding >= 0, encoding < count else { return }
        guard hasRoom else { return wanted[encoding].widen(to: Wish(lacksRoom: true)) }
        wanted[encoding].widen(
            to: Wish(
                isWanted: true,
                width: tile?.width ?? 0,
                height: tile?.height ?? 0,
                frameRate: tile?.maxFrameRate ?? 0
            )
        )
    }

    /// The slots of another shard, as it counted them.
    mutating func want(_ wishes: [Wish]) {
        for i in 0..<min(count, wishes.count) { wanted[i].widen(to: wishes[i]) }
    }

    /// What was counted, for another shard.
    var wishes: [Wish] { (0..<count).map { wanted[$0] } }

    /// Everybody was counted.
    mutating func settle(at now: Instant) {
        for i in 0..<count {
            let isOld = wantedSince[i] < now - Limits.Media.roomMemory
            wantedSince[i] = wanted[i].isWanted ? min(wantedSince[i], now) : .distantFuture
            if isOld { relapses[i] = 0 }
            idleSince[i] = wanted[i].isWanted || !told[i].isWanted ? .distantFuture : min(idleSince[i], now)
            smallSince[i] = wanted[i].isMuchLess(than: told[i]) ? min(smallSince[i], now) : .distantFuture
        }
    }

    /// When the newest packet of an encoding came. One that should be off is news again, so often and no more: not
    /// everybody who publishes can be told.
    mutating func note(_ encoding: Int, cameAt: Instant?, at now: Instant) {
        guard encoding < count, !told[encoding].isWanted, let cameAt,
            offTold[encoding] <= Limits.Media.demandRepeats
        else { return }
        let patience = Limits.Media.demandRepeat * Int64(1 << (offTold[encoding] - 1))
        guard cameAt - offSince[encoding] >= patience else { return }
        offSince[encoding] = now
        offTold[encoding] += 1
        mustRepeat = true
    }

    /// Whether the publisher must be told something now; counts as told then.
    mutating func isNews(at now: Instant) -> Bool {
        var isNews = mustRepeat
        mustRepeat = false
        for i in 0..<count {
            if wanted[i].isMore(than: told[i]) {
                if !told[i].isWanted { noteReturn(of: i, at: now) }
                if told[i].isWanted { told[i].widen(to: wanted[i]) } else { told[i] = wanted[i] }
                isNews = true
            } else if now - min(idleSince[i], smallSince[i]) >= delay(of: i) {
                idleSince[i] = .distantFuture
                smallSince[i] = .distantFuture
                told[i] = wanted[i]
                isNews = true
                if !told[i].isWanted {
                    offSince[i] = now
                    offTold[i] = 1
                }
            }
        }
        if isNews { wasTold = true }
        return isNews
    }

    private func delay(of index: Int) -> Interval {
        guard wanted[index].lacksRoom else { return Limits.Media.demandDelay }
        return Limits.Media.roomDelay * Int64(1 << relapses[index])
    }

    /// A path that comes and goes: the encoding stays on for longer next time.
    private mutating func noteReturn(of index: Int, at now: Instant) {
        let isSoon = told[index].lacksRoom && now - offSince[index] < Limits.Media.roomMemory
        relapses[index] = isSoon ? min(relapses[index] + 1, Demand.relapsesMost) : 0
    }

    private static let relapsesMost = 3

    /// What was told may be lost: it is news again.
    mutating func forgetReports() { mustRepeat = wasTold }

    /// Whether the publisher is to send it, as it was told.
    func isAsked(_ index: Int) -> Bool { index >= 0 && index < count && told[index].isWanted }

    /// Whether what does not come may yet: nobody here asked for it, or somebody only just did.
    func mayCome(_ index: Int, at now: Instant) -> Bool {
        guard index >= 0, index < count else { return false }
        return wantedSince[index] == .distantFuture || now - wantedSince[index] < Limits.Media.encodingStart
    }

    /// As the publisher is told.
    func encoding(_ index: Int, rid: String?) -> PublicationDemand.Encoding {
        let wish = told[index]
        return PublicationDemand.Encoding(
            rid: rid,
            active: wish.isWanted,
            maxWidth: wish.width,
            maxHeight: wish.height,
            maxFrameRate: wish.frameRate
        )
    }
}
