// Which encodings of one publication anybody wants: more is asked for at once, less after a while, so that a tile that
// changes often does not switch a camera on and off. Knows no subscriber.
import RTP
import Seam

struct Demand {
    private struct Wish: Equatable {
        var isWanted = false
        var width: UInt16 = 0
        var height: UInt16 = 0
        var frameRate: UInt8 = 0
    }

    /// What the slots want now.
    private var wanted = InlineArray<4, Wish>(repeating: Wish())
    /// What the publisher was told last; it sends everything before it is told anything.
    private var told = InlineArray<4, Bool>(repeating: true)
    /// Since when nobody wants an encoding that the publisher sends.
    private var idleSince = InlineArray<4, Instant>(repeating: .distantFuture)
    private let count: Int

    init(encodings: Int) { count = min(encodings, 4) }

    /// Another count begins.
    mutating func begin() {
        for i in 0..<4 { wanted[i] = Wish() }
    }

    /// A slot wants this encoding for a tile of this size; nil: as good as it can be.
    mutating func want(_ encoding: Int, for tile: Wishes.Tile?) {
        guard encoding >= 0, encoding < count else { return }
        var wish = wanted[encoding]
        let isFirst = !wish.isWanted
        wish.isWanted = true
        // 0 is no bound, and one without a bound undoes all bounds.
        func widest(_ a: UInt16, _ b: UInt16) -> UInt16 { isFirst ? b : a == 0 || b == 0 ? 0 : max(a, b) }
        wish.width = widest(wish.width, tile?.width ?? 0)
        wish.height = widest(wish.height, tile?.height ?? 0)
        wish.frameRate = UInt8(widest(UInt16(wish.frameRate), UInt16(tile?.maxFrameRate ?? 0)))
        wanted[encoding] = wish
    }

    /// Everybody was counted.
    mutating func settle(at now: Instant) {
        for i in 0..<count {
            if wanted[i].isWanted || !told[i] {
                idleSince[i] = .distantFuture
            } else if idleSince[i] == .distantFuture {
                idleSince[i] = now
            }
        }
    }

    /// Whether the publisher must be told something now; counts as told then.
    mutating func isNews(at now: Instant) -> Bool {
        var isNews = false
        for i in 0..<count {
            if wanted[i].isWanted && !told[i] {
                told[i] = true
                isNews = true
            } else if idleSince[i] != .distantFuture && now - idleSince[i] >= Limits.Media.demandDelay {
                idleSince[i] = .distantFuture
                told[i] = false
                isNews = true
            }
        }
        return isNews
    }

    /// As the publisher is told.
    func encoding(_ index: Int, rid: String?) -> PublicationDemand.Encoding {
        let wish = wanted[index]
        return PublicationDemand.Encoding(
            rid: rid,
            active: told[index],
            maxWidth: wish.width,
            maxHeight: wish.height,
            maxFrameRate: wish.frameRate
        )
    }
}
