import Seam
import Testing

@testable import Signaling

@Suite("Pages of a roster") struct RosterPagesTests {
    private func place(_ order: UInt64) -> RosterPages.Place {
        // Some have the same place in the order.
        RosterPages.Place(order: order / 2, id: ParticipantID("pa_\(order)"))
    }

    /// Against a sorted list.
    @Test(arguments: 0..<12 as Range<UInt64>) func holdsAgainstAModel(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var pages = RosterPages()
        var model: [RosterPages.Place: UInt64] = [:]
        for step in UInt64(1)...2500 {
            let before = pages
            // It grows, then it shrinks.
            let one = place(UInt64.random(in: 0..<900, using: &random))
            let grows = UInt64.random(in: 0..<2500, using: &random) > step
            switch (model[one] != nil, grows) {
            case (false, true):
                pages.insert(one, revision: step)
                model[one] = step
            case (true, false):
                pages.remove(one)
                model[one] = nil
            case (true, true):
                pages.change(one, revision: step)
                model[one] = step
            case (false, false):
                pages.remove(one)
                #expect(pages == before, "seed \(seed)")
            }
            guard step % 25 == 0 else { continue }
            #expect(pages.people == model.keys.sorted().map(\.id), "seed \(seed)")
            #expect(pages.pages.allSatisfy { (1..<2 * RosterPages.peoplePerPage).contains($0.count) })
            // Two small ones beside each other are one.
            let pairs = zip(pages.pages, pages.pages.dropFirst())
            #expect(pairs.allSatisfy { $0.count + $1.count > RosterPages.peoplePerPage / 2 })
            for page in pages.pages {
                let people = Set(page.people)
                let newest = model.filter { people.contains($0.key.id) }.values.max() ?? 0
                #expect(page.revision >= newest)
                #expect(
                    model.keys.filter { people.contains($0.id) }.allSatisfy {
                        pages.stamp(of: $0) == page.stamp
                    }
                )
                // The same stamp is the same page.
                for old in before.pages where old.stamp == page.stamp { #expect(old == page) }
            }
            #expect(Set(pages.pages.map(\.stamp)).count == pages.pages.count)
        }
    }

    @Test func pagesAreFilledInOrder() {
        var pages = RosterPages()
        for order in UInt64(1)...250 { pages.insert(place(2 * order), revision: order) }
        #expect(pages.pages.map(\.count) == [100, 100, 50])
        let stamps = pages.pages.map(\.stamp)
        pages.change(place(2 * 150), revision: 251)
        #expect(zip(stamps, pages.pages.map(\.stamp)).map { $0 == $1 } == [true, false, true])
        #expect(pages.pages.map(\.revision) == [100, 251, 250])
    }
}
