// A room's visible participants in the order in which they joined, cut into pages that stay as they are while nobody on
// them changes. Must not know what a participant is made of, or how pages are written.
import Seam

struct RosterPages: Sendable, Equatable {
    struct Page: Sendable, Equatable {
        fileprivate var places: [Place]
        /// Another one for each state of each page.
        fileprivate(set) var stamp: UInt64
        /// Of the newest change on it; who left is none.
        fileprivate(set) var revision: UInt64

        var people: [ParticipantID] { places.map(\.id) }
        var count: Int { places.count }
    }

    struct Place: Sendable, Hashable, Comparable {
        var order: UInt64
        var id: ParticipantID

        static func < (a: Place, b: Place) -> Bool {
            a.order != b.order ? a.order < b.order : a.id.rawValue < b.id.rawValue
        }
    }

    /// None is empty.
    private(set) var pages: [Page] = []
    /// Of the newest state of any page.
    private(set) var stamp: UInt64 = 0

    static let peoplePerPage = 100

    var people: [ParticipantID] { pages.flatMap(\.people) }
    var count: Int { pages.reduce(0) { $0 + $1.count } }

    /// Of the page that somebody is on.
    func stamp(of place: Place) -> UInt64? {
        index(of: place).flatMap { pages[$0].places.contains(place) ? pages[$0].stamp : nil }
    }

    mutating func insert(_ place: Place, revision: UInt64) {
        guard let index = index(of: place) ?? pages.indices.first else {
            return open([place], at: 0, revision: revision)
        }
        let isBehind = pages[index].places.last.map { $0 < place } ?? true
        if isBehind, index == pages.count - 1, pages[index].count >= Self.peoplePerPage {
            return open([place], at: pages.count, revision: revision)
        }
        let at = pages[index].places.firstIndex { place < $0 } ?? pages[index].count
        pages[index].places.insert(place, at: at)
        touch(index, revision)
        // Those who come back to their places may fill a page beyond its size.
        guard pages[index].count >= 2 * Self.peoplePerPage else { return }
        let upper = Array(pages[index].places[Self.peoplePerPage...])
        pages[index].places.removeLast(upper.count)
        open(upper, at: index + 1, revision: pages[index].revision)
    }

    mutating func remove(_ place: Place) {
        guard let index = index(of: place), let at = pages[index].places.firstIndex(of: place) else { return }
        pages[index].places.remove(at: at)
        touch(index, 0)
        join(around: index)
    }

    mutating func change(_ place: Place, revision: UInt64) {
        guard let index = index(of: place) else { return }
        touch(index, revision)
    }

    /// The last page that begins at or before the place.
    private func index(of place: Place) -> Int? {
        var low = 0
        var high = pages.count
        while low < high {
            let middle = (low + high) / 2
            if pages[middle].places[0] <= place { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    private mutating func touch(_ index: Int, _ revision: UInt64) {
        stamp += 1
        pages[index].stamp = stamp
        pages[index].revision = max(pages[index].revision, revision)
    }

    private mutating func open(_ places: [Place], at index: Int, revision: UInt64) {
        stamp += 1
        pages.insert(Page(places: places, stamp: stamp, revision: revision), at: index)
    }

    /// A page that has become small goes together with a small one beside it.
    private mutating func join(around index: Int) {
        if pages[index].count == 0 {
            pages.remove(at: index)
        } else if !merge(index, into: index - 1) {
            merge(index + 1, into: index)
        }
    }

    @discardableResult
    private mutating func merge(_ upper: Int, into lower: Int) -> Bool {
        guard lower >= 0, upper < pages.count,
            pages[upper].count + pages[lower].count <= Self.peoplePerPage / 2
        else { return false }
        let page = pages.remove(at: upper)
        pages[lower].places += page.places
        touch(lower, page.revision)
        return true
    }
}
