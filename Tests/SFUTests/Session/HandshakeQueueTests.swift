// The queue of DTLS datagrams: order, bounds, and sessions that go while theirs wait.
import PeerTransport
import RTP
import Testing

@testable import SFU

struct HandshakeQueueTests {
    private let path = NetworkPath(remote: .unspecified, remotePort: 7)

    private func add(_ number: Int, of index: Int32, to queue: HandshakeQueue) -> Bool {
        var bytes = [22, UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
        return bytes.withUnsafeMutableBufferPointer { queue.add($0, of: index, on: path) }
    }

    private func take(from queue: HandshakeQueue) -> (index: Int32, number: Int)? {
        guard let entry = queue.take() else { return nil }
        defer { entry.datagram.deallocate() }
        guard entry.datagram.count == 3, entry.datagram[0] == 22, entry.path == path else { return nil }
        return (entry.index, Int(entry.datagram[1]) << 8 | Int(entry.datagram[2]))
    }

    @Test func keepsTheOrderOfArrivalAcrossSessions() {
        let queue = HandshakeQueue()
        #expect(queue.isEmpty && queue.take() == nil)
        for number in 0..<30 { #expect(add(number, of: Int32(number % 7), to: queue)) }
        #expect(queue.count == 30)
        for number in 0..<30 {
            let taken = take(from: queue)
            #expect(taken?.index == Int32(number % 7) && taken?.number == number)
        }
        #expect(queue.isEmpty && queue.take() == nil)
    }

    @Test func oneSessionCannotFillIt() {
        let queue = HandshakeQueue()
        for number in 0..<Limits.DTLS.waitingPerSession { #expect(add(number, of: 3, to: queue)) }
        #expect(!add(0, of: 3, to: queue))
        #expect(add(0, of: 4, to: queue), "there is room for others")
        #expect(take(from: queue)?.index == 3)
        #expect(add(0, of: 3, to: queue), "what was worked off makes room")
    }

    @Test func isBoundedInAll() {
        let queue = HandshakeQueue()
        for number in 0..<Limits.DTLS.waitingDatagrams { #expect(add(number, of: Int32(number), to: queue)) }
        #expect(!add(0, of: 5000, to: queue))
        #expect(queue.count == Limits.DTLS.waitingDatagrams)
        #expect(take(from: queue)?.index == 0)
        #expect(add(0, of: 5000, to: queue))
    }

    /// It never runs empty here, and still keeps no more than it may hold twice.
    @Test func goesOnForEver() {
        let queue = HandshakeQueue()
        for number in 0..<10 { #expect(add(number, of: 1, to: queue)) }
        for number in 10..<20_000 {
            #expect(add(number & 0xffff, of: Int32(number % 50), to: queue))
            #expect(take(from: queue)?.number == (number - 10) & 0xffff)
        }
        #expect(queue.count == 10)
    }

    @Test func forgetsASessionAndNotTheNextOneInItsPlace() {
        let queue = HandshakeQueue()
        for number in 0..<4 { #expect(add(number, of: Int32(number % 2), to: queue)) }
        #expect(queue.forget(0) == 2 && queue.forget(0) == 0 && queue.forget(99) == 0)
        #expect(queue.count == 2)
        #expect(add(9, of: 0, to: queue))
        let taken = [take(from: queue), take(from: queue), take(from: queue)]
        #expect(taken.map { $0?.number } == [1, 3, 9])
        #expect(queue.isEmpty)
        #expect(add(1, of: 0, to: queue) && queue.forget(0) == 1 && queue.isEmpty)
        #expect(queue.take() == nil)
    }
}
