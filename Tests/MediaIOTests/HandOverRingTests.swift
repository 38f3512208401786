import Glibc
import PeerTransport
import RTP
import Synchronization
import Testing

@testable import MediaIO

extension MediaIOTests {
    @Suite struct HandOverRingTests {
        private let path = NetworkPath(remote: loopback, remotePort: 9, local: loopback6)

        private func push(_ bytes: [UInt8], to ring: HandOverRing, at time: Int64 = 0, leaving: Int = 0)
            -> Bool
        {
            bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return false }
                return ring.push(
                    base,
                    length: buffer.count,
                    path: path,
                    arrival: Instant(microseconds: time),
                    leaving: leaving
                )
            }
        }

        private func take(_ ring: HandOverRing, limit: Int = .max) -> [(HandOverHeader, [UInt8])] {
            var result: [(HandOverHeader, [UInt8])] = []
            _ = ring.consume(limit: limit) { header, bytes in
                result.append((header, Array(UnsafeBufferPointer(start: bytes, count: header.length))))
            }
            return result
        }

        @Test func datagramsComeOutAsTheyWentIn() {
            let ring = HandOverRing(capacity: 8)
            #expect(push(pattern(1500), to: ring, at: 77))
            #expect(push(pattern(1, seed: 2), to: ring, at: 78))
            #expect(ring.isEmpty, "nothing is visible before publish")
            #expect(take(ring).isEmpty)
            #expect(ring.publish())
            #expect(!ring.publish(), "nothing new")
            #expect(!ring.isEmpty)
            let got = take(ring)
            #expect(got.map(\.1) == [pattern(1500), pattern(1, seed: 2)])
            #expect(got.map(\.0.arrival.microseconds) == [77, 78])
            #expect(got.allSatisfy { $0.0.path == path })
            #expect(ring.isEmpty)
        }

        @Test func aFullRingRefusesUntilSlotsAreReleased() {
            let ring = HandOverRing(capacity: 4)
            for i in 0..<4 { #expect(push(pattern(10, seed: i), to: ring)) }
            #expect(!push(pattern(10), to: ring))
            _ = ring.publish()
            #expect(take(ring, limit: 3).count == 3)
            #expect(!push(pattern(10), to: ring), "consumed slots are still read")
            ring.release()
            for i in 4..<7 { #expect(push(pattern(10, seed: i), to: ring)) }
            #expect(!push(pattern(10), to: ring))
            _ = ring.publish()
            #expect(take(ring).map(\.1) == (3..<7).map { pattern(10, seed: $0) })
        }

        @Test func aReserveKeepsSlotsForOthers() {
            let ring = HandOverRing(capacity: 8)
            for _ in 0..<4 { #expect(push([1], to: ring, leaving: 4)) }
            #expect(!push([1], to: ring, leaving: 4))
            for _ in 0..<4 { #expect(push([2], to: ring)) }
            #expect(!push([2], to: ring))
        }

        @Test func tooLongADatagramIsRefused() {
            let ring = HandOverRing(capacity: 4)
            #expect(!push(pattern(1501), to: ring))
            #expect(!ring.publish())
        }

        @Test func orderHoldsOverManyWraps() {
            let ring = HandOverRing(capacity: 8)
            var next = 0
            var expected = 0
            for round in 0..<1000 {
                for _ in 0..<(round % 8 + 1) where push(pattern(3 + next % 90, seed: next), to: ring) {
                    next += 1
                }
                _ = ring.publish()
                for (_, bytes) in take(ring) {
                    #expect(bytes == pattern(3 + expected % 90, seed: expected))
                    expected += 1
                }
                ring.release()
            }
            #expect(expected == next)
            #expect(next > 4000)
        }

        @Test func twoThreadsLoseAndMixNothing() throws {
            let ring = HandOverRing(capacity: 64)
            let path = self.path
            let total = 30_000
            let thread = try WorkerThread(name: "test-producer") {
                var sent = 0
                var bytes = [UInt8](repeating: 0, count: 64)
                while sent < total {
                    for _ in 0..<(sent % 31 + 1) where sent < total {
                        let length = 8 + sent % 50
                        for i in 0..<length { bytes[i] = UInt8(truncatingIfNeeded: sent &+ i) }
                        let isIn = bytes.withUnsafeBufferPointer { buffer in
                            buffer.baseAddress.map {
                                ring.push(
                                    $0,
                                    length: length,
                                    path: path,
                                    arrival: Instant(microseconds: Int64(sent))
                                )
                            } ?? false
                        }
                        if isIn { sent += 1 } else { break }
                    }
                    _ = ring.publish()
                    sched_yield()
                }
            }
            var received = 0
            var wrong = 0
            while received < total {
                let count = ring.consume(limit: 40) { header, bytes in
                    let isRight =
                        header.arrival.microseconds == Int64(received) && header.length == 8 + received % 50
                        && (0..<header.length).allSatisfy {
                            bytes[$0] == UInt8(truncatingIfNeeded: received &+ $0)
                        }
                    if !isRight { wrong += 1 }
                    received += 1
                }
                ring.release()
                if count == 0 { sched_yield() }
            }
            thread.join()
            #expect(wrong == 0)
            #expect(received == total)
            #expect(ring.isEmpty)
        }
    }
}
