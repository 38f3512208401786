// Which encodings of one publication anybody wants, and how large: more is asked for at once, less after a while, so
// that a tile that changes often does not switch a camera on and off. Knows no subscriber.
import RTP
import Seam

struct Demand {
    /// How large an encoding is wanted, over all slots that were counted.
    struct Wish: Equatable, Sendable {
        var isWanted = false
        /// Pixels and pictures per second, 0: no bound.
        var width: UInt16 = 0
        var height: UInt16 = 0
        var frameRate: UInt8 = 0

        /// 0 is no bound, and one without a bound undoes all bounds.
        private static func widest<T: BinaryInteger>(_ a: T, _ b: T) -> T { a == 0 || b == 0 ? 0 : max(a, b) }
        private static func isMore<T: BinaryInteger>(_ a: T, _ b: T) -> Bool { b != 0 && (a == 0 || a > b) }

        mutating func widen(to other: Wish) {
            guard other.isWanted else { return }
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
    mutating func want(_ encoding: Int, for tile: Wishes.Tile?) {
        guard encoding >= 0, encoding < count else { return }
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
                if told[i].isWanted { told[i].widen(to: wanted[i]) } else { told[i] = wanted[i] }
                isNews = true
            } else if now - min(idleSince[i], smallSince[i]) >= Limits.Media.demandDelay {
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

    /// What was told may be lost: it is news again.
    mutating func forgetReports() { mustRepeat = wasTold }

    /// Whether the publisher is to send it, as it was told.
    func isAsked(_ index: Int) -> Bool { index >= 0 && index < count && told[index].isWanted }

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
