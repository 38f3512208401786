import PeerTransport
import RTP
import Testing

@testable import SFU

/// Packets of one send: all but the last must be padded to the same size.
@Suite struct GroupTests {
    /// Sizes of the groups that these packets are sent in.
    private func groups(_ sizes: [Int]) -> [[Int]] {
        let stream = UnsafeMutablePointer<SendStream>.allocate(capacity: 1)
        let source = UnsafeMutablePointer<ReceiveStream>.allocate(capacity: 1)
        let record = UnsafeMutablePointer<PacketRecord>.allocate(capacity: 1)
        let list = UnsafeMutablePointer<Departure>.allocate(capacity: max(sizes.count, 1))
        defer {
            stream.deallocate()
            source.deallocate()
            record.deallocate()
            list.deallocate()
        }
        for (i, size) in sizes.enumerated() {
            (list + i).initialize(
                to: Departure(
                    stream: stream,
                    source: source,
                    record: record,
                    rewritten: Rewritten(sequence: Int64(i), timestamp: 0),
                    sourceNumber: 0,
                    size: size,
                    headerLength: 12
                )
            )
        }
        let downlink = Downlink()
        var found: [[Int]] = []
        var first = 0
        while first < sizes.count {
            let group = downlink.nextGroup(list, first, sizes.count)
            let taken = Array(sizes[first..<(first + group.count)])
            #expect(taken.max() == group.size)
            found.append(taken)
            first += group.count
        }
        return found
    }

    @Test(arguments: [
        [1168, 890, 887], [558, 259, 118], [1200, 1200, 1190, 40], [100, 117, 90], [80, 80, 80, 96, 97],
    ])
    func nobodyButTheLastIsShort(sizes: [Int]) { check(groups(sizes), sizes) }

    @Test(arguments: UInt64(1)...20)
    func nobodyButTheLastIsShortInAnyOrder(seed: UInt64) {
        var random = Seeded(state: seed)
        for _ in 0..<100 {
            let sizes = (0..<Int.random(in: 1...80, using: &random)).map { _ in
                Bool.random(using: &random)
                    ? Int.random(in: 1150...1200, using: &random) : Int.random(in: 40...1200, using: &random)
            }
            check(groups(sizes), sizes)
        }
    }

    private func check(_ groups: [[Int]], _ sizes: [Int]) {
        #expect(groups.flatMap { $0 } == sizes)
        for group in groups {
            let size = group.max() ?? 0
            let isPadded = group.dropLast().allSatisfy { size - $0 <= Limits.Media.equalisingPadding }
            #expect(isPadded, "\(group)")
        }
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }
}
