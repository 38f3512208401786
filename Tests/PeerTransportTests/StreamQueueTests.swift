import PeerTransport
import RTP
import Testing

@Suite struct StreamQueueTests {
    private func put(_ packet: [UInt8], _ kind: StreamQueue.Kind, in queue: StreamQueue)
        -> StreamQueue.OnEnqueue
    {
        packet.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return .dropped }
            return queue.enqueue(base, length: bytes.count, kind: kind)
        }
    }

    /// Writes at most `limit` bytes at a time, as a socket does.
    private func drain(_ queue: StreamQueue, writing limit: Int = .max, total: Int = .max) -> [UInt8] {
        var out: [UInt8] = []
        while !queue.isEmpty, out.count < total {
            let count = min(limit, queue.nextBytes.count, total - out.count)
            out += queue.nextBytes.prefix(count)
            queue.wrote(count)
            if count == 0 { break }
        }
        return out
    }

    /// The packets of a stream; nil where it is not a row of whole frames.
    private func packets(_ stream: [UInt8]) -> [[UInt8]]? {
        var packets: [[UInt8]] = []
        var rest = stream[...]
        while !rest.isEmpty {
            guard rest.count >= 2 else { return nil }
            let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            guard rest.count >= 2 + length else { return nil }
            packets.append(Array(rest.dropFirst(2).prefix(length)))
            rest = rest.dropFirst(2 + length)
        }
        return packets
    }

    private func packet(_ n: Int, size: Int) -> [UInt8] {
        [UInt8(n >> 8 & 0xff), UInt8(n & 0xff)] + [UInt8](repeating: 0xaa, count: size - 2)
    }

    @Test func framesInOrder() {
        let queue = StreamQueue()
        let sent = (0..<10).map { packet($0, size: 2 + $0 * 100) }
        for packet in sent { #expect(put(packet, .audio, in: queue) == .queued) }
        #expect(queue.pendingBytes == sent.reduce(0) { $0 + $1.count + 2 })
        #expect(packets(drain(queue)) == sent)
        #expect(queue.isEmpty && queue.nextBytes.isEmpty)
        #expect(queue.droppedPackets == 0)
    }

    @Test(arguments: [1, 2, 3, 7, 100, 1001])
    func survivesShortWrites(limit: Int) {
        let queue = StreamQueue()
        let sent = (0..<20).map { packet($0, size: 50 + $0) }
        for packet in sent { _ = put(packet, .video, in: queue) }
        #expect(packets(drain(queue, writing: limit)) == sent)
    }

    @Test func dropsTheOldestVideoWhole() {
        let queue = StreamQueue()
        queue.budget = Limits.Stream.minimumBudgetBytes
        var keep: [[UInt8]] = []
        for n in 0..<200 {
            if n % 10 == 0 {
                keep.append(packet(n, size: 120))
                #expect(put(packet(n, size: 120), n % 20 == 0 ? .audio : .control, in: queue) == .queued)
            } else {
                #expect(put(packet(n, size: 1000), .video, in: queue) == .queued)
            }
            #expect(queue.pendingBytes <= Limits.Stream.minimumBudgetBytes)
        }
        guard let out = packets(drain(queue)) else {
            Issue.record("a torn frame")
            return
        }
        #expect(out.filter { $0.count == 120 } == keep)
        let video = out.filter { $0.count == 1000 }
        #expect(video == (0..<200).filter { $0 % 10 != 0 }.map { packet($0, size: 1000) }.suffix(video.count))
        #expect(queue.droppedPackets == UInt64(180 - video.count))
        #expect(queue.droppedBytes == queue.droppedPackets * 1000)
    }

    /// The peer already has its first bytes: without the rest every later frame is garbage.
    @Test func aStartedFrameIsFinished() {
        let queue = StreamQueue()
        queue.budget = Limits.Stream.minimumBudgetBytes
        _ = put(packet(0, size: 1000), .video, in: queue)
        var out = drain(queue, total: 1)
        for n in 1..<100 { _ = put(packet(n, size: 1000), .video, in: queue) }
        out += drain(queue)
        let received = packets(out)
        #expect(received?.first == packet(0, size: 1000))
        #expect(received?.last == packet(99, size: 1000))
        #expect(queue.droppedPackets > 0)
    }

    @Test func aSmallerBudgetDropsAtOnce() {
        let queue = StreamQueue()
        for n in 0..<50 { _ = put(packet(n, size: 1000), .video, in: queue) }
        #expect(queue.droppedPackets == 0)
        queue.budget = 1
        #expect(queue.budget == Limits.Stream.minimumBudgetBytes)
        #expect(queue.pendingBytes <= Limits.Stream.minimumBudgetBytes)
        #expect(packets(drain(queue))?.last == packet(49, size: 1000))
    }

    @Test func controlOutlivesAllElse() {
        let queue = StreamQueue()
        for n in 0..<400 { _ = put(packet(n, size: 1000), .audio, in: queue) }
        #expect(queue.pendingBytes <= Limits.Stream.queueBytes)
        #expect(queue.droppedPackets > 0)
        let isFull = put(packet(0, size: 1000), .audio, in: queue)
        #expect(isFull == .dropped)
        #expect(put(packet(7, size: 100), .control, in: queue) == .queued)
        #expect(packets(drain(queue))?.last == packet(7, size: 100))
    }

    @Test func refusesWhatCannotBeFramed() {
        let queue = StreamQueue()
        #expect(put([], .control, in: queue) == .dropped)
        #expect(put([UInt8](repeating: 1, count: 65_536), .control, in: queue) == .dropped)
        #expect(queue.isEmpty)
    }

    @Test func knowsKindsByTheirFirstBytes() {
        func kind(_ bytes: [UInt8]) -> StreamQueue.Kind? {
            bytes.withUnsafeBufferPointer { b in b.baseAddress.map { .init(of: $0, length: b.count) } }
        }
        #expect(kind([0, 1] + [UInt8](repeating: 0, count: 100)) == .control)
        #expect(kind([22, 254] + [UInt8](repeating: 0, count: 1100)) == .control)
        #expect(kind([0x80, 200] + [UInt8](repeating: 0, count: 1100)) == .rtcp)
        #expect(kind([0x90, 0xef] + [UInt8](repeating: 0, count: 150)) == .audio)
        #expect(kind([0x90, 0x60] + [UInt8](repeating: 0, count: 1000)) == .video)
    }

    /// Whatever is put in and however it is taken out, the stream is whole frames, in order, nothing twice.
    @Test func randomTrafficStaysWhole() {
        for seed in 1...50 as ClosedRange<UInt64> {
            var generator = SimulatedICEClient.Generator(seed: seed)
            let queue = StreamQueue()
            var stream: [UInt8] = []
            var queued = 0
            for n in 0..<3000 {
                let kinds: [StreamQueue.Kind] = [.control, .rtcp, .audio, .video, .video, .video]
                let kind = kinds[Int(generator.next() % 6)]
                if put(packet(n, size: 4 + Int(generator.next() % 1200)), kind, in: queue) == .queued {
                    queued += 1
                }
                if generator.next() % 3 == 0 {
                    stream += drain(
                        queue,
                        writing: 1 + Int(generator.next() % 3000),
                        total: Int(generator.next() % 4000)
                    )
                }
                if generator.next() % 500 == 0 { queue.budget = Int(generator.next() % 300_000) }
            }
            stream += drain(queue)
            guard let out = packets(stream) else {
                Issue.record("a torn frame, seed \(seed)")
                continue
            }
            let numbers = out.map { Int($0[0]) << 8 | Int($0[1]) }
            #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 }, "seed \(seed)")
            #expect(out.count + Int(queue.droppedPackets) == 3000, "seed \(seed)")
            #expect(queued >= out.count)
        }
    }
}
