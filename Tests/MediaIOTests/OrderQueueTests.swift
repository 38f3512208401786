// What a worker has taken out of its mailbox and not done yet.
import SFU
import Seam
import Testing

@testable import MediaIO

struct OrderQueueTests {
    private func number(_ mail: Mail?) -> Int? {
        guard case .command(.close(let session)) = mail else { return nil }
        return Int(session.rawValue)
    }

    private func order(_ number: Int) -> Mail { .command(.close(SessionID("\(number)"))) }

    @Test func keepsTheOrder() {
        var queue = OrderQueue()
        #expect(queue.isEmpty && queue.next() == nil)
        for i in 0..<100 { queue.add(order(i)) }
        #expect(queue.count == 100 && !queue.isEmpty)
        for i in 0..<100 { #expect(number(queue.next()) == i) }
        #expect(queue.isEmpty && queue.next() == nil)
    }

    @Test func goesOnWithoutEverBeingEmpty() {
        var queue = OrderQueue()
        for i in 0..<10 { queue.add(order(i)) }
        for i in 10..<10_000 {
            queue.add(order(i))
            #expect(number(queue.next()) == i - 10)
        }
        #expect(queue.count == 10)
        for i in 9_990..<10_000 { #expect(number(queue.next()) == i) }
        #expect(queue.isEmpty)
    }
}
