import PeerTransport
import RTP
import Testing

@Suite struct StreamDeframerTests {
    private func check(seed: UInt64 = 1) throws -> [UInt8] {
        var client = try #require(
            SimulatedICEClient(local: TransportFixture.client, remote: TransportFixture.server, seed: seed)
        )
        return client.check()
    }

    private func framed(_ packet: [UInt8]) -> [UInt8] {
        [UInt8(packet.count >> 8), UInt8(packet.count & 0xff)] + packet
    }

    /// Feeds the pieces; what came out, and the last answer.
    private func run(
        _ pieces: [[UInt8]],
        into deframer: StreamDeframer = StreamDeframer()
    ) -> (packets: [[UInt8]], StreamDeframer.OnBytes) {
        var packets: [[UInt8]] = []
        var last = StreamDeframer.OnBytes.open
        for piece in pieces {
            var bytes = piece
            bytes.withUnsafeMutableBufferPointer { buffer in
                last = deframer.receive(buffer) { packet in
                    packets.append(Array(packet))
                    // The receiver may decrypt in place.
                    packet.update(repeating: 0xff)
                }
            }
        }
        return (packets, last)
    }

    @Test func reassemblesAtEveryPairOfCuts() throws {
        let packets = [try check(), [0x80, 0x60, 1, 2], [20], try check(seed: 2)]
        let stream = packets.flatMap(framed)
        for i in 0...stream.count {
            for j in i...stream.count {
                let pieces = [Array(stream[..<i]), Array(stream[i..<j]), Array(stream[j...])]
                let (out, last) = run(pieces)
                #expect(out == packets, "cut at \(i) and \(j)")
                #expect(last == .open)
            }
        }
    }

    @Test func reassemblesByteByByte() throws {
        let packets = [try check()] + (0..<20).map { [UInt8](repeating: UInt8($0), count: $0 * 75 + 1) }
        let (out, last) = run(packets.flatMap(framed).map { [$0] })
        #expect(out == packets)
        #expect(last == .open)
    }

    @Test func skipsEmptyFrames() throws {
        let packet = try check()
        let (out, last) = run([[0, 0, 0, 0] + framed(packet) + [0, 0], [0], [0], framed([128, 1])])
        #expect(out == [packet, [128, 1]])
        #expect(last == .open)
    }

    @Test func takesTheLargestAndRefusesLonger() throws {
        let largest = [UInt8](repeating: 0x80, count: Limits.Media.datagramBytes)
        let (out, last) = run([framed(try check()) + framed(largest)])
        #expect(out.count == 2 && out.last == largest)
        #expect(last == .open)
        let tooLong = framed(largest + [0])
        #expect(run([framed(try check()), tooLong]).1 == .close(.frameTooLong))
        // Also when the length comes in two reads, and before the packet is there.
        let deframer = StreamDeframer()
        _ = run([framed(try check()), [tooLong[0]]], into: deframer)
        #expect(run([[tooLong[1]]], into: deframer).1 == .close(.frameTooLong))
        // Nothing comes out after that.
        let after = run([framed(try check())], into: deframer)
        #expect(after.packets.isEmpty)
        #expect(after.1 == .close(.frameTooLong))
    }

    @Test func theFirstFrameMustBeACheck() throws {
        for first in [[0x80, 0x60, 0, 1], Array("GET / HTTP/1.1\r\n".utf8), [22, 254, 253], [0, 1, 0, 0]] {
            let deframer = StreamDeframer()
            let (out, last) = run([framed(first)], into: deframer)
            #expect(out.isEmpty)
            #expect(last == .close(.notSTUN))
            #expect(!deframer.hasReceivedFrame)
        }
        var corrupted = try check()
        corrupted[30] ^= 1
        #expect(run([framed(corrupted)]).1 == .close(.notSTUN))
        let deframer = StreamDeframer()
        _ = run([framed(try check())], into: deframer)
        #expect(deframer.hasReceivedFrame)
    }

    @Test func garbageNeverCrashes() throws {
        for seed in 1...300 as ClosedRange<UInt64> {
            var generator = SimulatedICEClient.Generator(seed: seed)
            let deframer = StreamDeframer()
            _ = run([framed(try check())], into: deframer)
            for _ in 0..<50 {
                let count = Int(generator.next() % 900)
                let piece = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next() & 0x0307) }
                _ = run([piece], into: deframer)
            }
        }
    }
}
