import CLinux
import Glibc
import PeerTransport
import RTP
import Testing

@testable import MediaIO

extension MediaIOTests {
    @Suite struct SegmentationTests {
        private static let unmerged = UDPSocket.Options(mergesReceives: false)

        private func cut(_ bytes: [UInt8], _ size: Int) -> [[UInt8]] {
            stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
        }

        @Test func eightSegmentsArriveAsEightDatagrams() throws {
            let tally = IOTally()
            let sender = try makeSocket(tally: tally)
            let receiver = try makeSocket(loopback, Self.unmerged)
            try #require(sender.segmentsNow, "this kernel has no UDP_SEGMENT")
            let bytes = pattern(7 * 1100 + 400)
            send([(bytes, 1100, makePath(to: receiver))], through: sender)
            let got = try receiveAll(receiver, bytes: bytes.count)
            #expect(got.map(\.bytes) == cut(bytes, 1100))
            #expect(tally.counters.sends == 1)
            #expect(tally.counters.segmentsSent == 8)
            #expect(tally.counters.datagramsSent == 8)
        }

        @Test func mergedReceivesTellTheSegmentSize() throws {
            let sender = try makeSocket()
            let receiver = try makeSocket()
            let bytes = pattern(9 * 700 + 13)
            send([(bytes, 700, makePath(to: receiver))], through: sender)
            let got = try receiveAll(receiver, bytes: bytes.count)
            #expect(got.count < 10, "nothing was merged")
            #expect(got.flatMap { cut($0.bytes, $0.segmentSize) } == cut(bytes, 700))
        }

        @Test func withoutSegmentationTheBytesAreTheSame() throws {
            let tally = IOTally()
            let sender = try makeSocket(loopback, UDPSocket.Options(usesSegmentation: false), tally: tally)
            let receiver = try makeSocket(loopback, Self.unmerged)
            #expect(!sender.segmentsNow)
            let bytes = pattern(7 * 1100 + 400)
            send([(bytes, 1100, makePath(to: receiver))], through: sender)
            #expect(try receiveAll(receiver, bytes: bytes.count).map(\.bytes) == cut(bytes, 1100))
            #expect(tally.counters.segmentsSent == 0)
            #expect(tally.counters.datagramsSent == 8)
            #expect(tally.counters.sendCalls == 1)
        }

        @Test func moreSegmentsThanTheKernelTakesAreSplit() throws {
            let tally = IOTally()
            let sender = try makeSocket(tally: tally)
            let receiver = try makeSocket(loopback, Self.unmerged)
            let bytes = pattern(150 * 100 + 1)
            send([(bytes, 100, makePath(to: receiver))], through: sender)
            #expect(try receiveAll(receiver, bytes: bytes.count).map(\.bytes) == cut(bytes, 100))
            #expect(tally.counters.sends == 3)
        }

        @Test(arguments: [EIO, EINVAL, EMSGSIZE])
        func aRefusedMessageGoesOutSegmentBySegment(error: Int32) throws {
            let tally = IOTally()
            var calls = 0
            let sender = try UDPSocket(
                binding: SocketAddress(address: loopback, port: 0),
                options: .init(),
                tally: tally,
                transmit: { descriptor, batch, first, count in
                    calls += 1
                    return calls == 1 ? -error : clinux_send(descriptor, batch, first, count)
                }
            )
            let receiver = try makeSocket(loopback, Self.unmerged)
            let bytes = pattern(5 * 1000 + 10)
            let next = pattern(3 * 800, seed: 3)
            send(
                [(bytes, 1000, makePath(to: receiver)), (next, 800, makePath(to: receiver))],
                through: sender
            )
            let got = try receiveAll(receiver, bytes: bytes.count + next.count)
            #expect(got.map(\.bytes) == cut(bytes, 1000) + cut(next, 800))
            #expect(tally.counters.segmentationRefused == 1)
            #expect(tally.counters.bytesSent == UInt64(bytes.count + next.count))
            #expect(tally.counters.datagramsSent == 9)
            #expect(sender.segmentsNow, "one refusal must not end segmentation for all")
        }

        @Test func aDeviceThatAlwaysRefusesIsNotAskedAgainForLong() throws {
            let tally = IOTally()
            var attempts = 0
            let sender = try UDPSocket(
                binding: SocketAddress(address: loopback, port: 0),
                options: .init(),
                tally: tally,
                transmit: { descriptor, batch, first, count in
                    // Each refused message is the only one of its call, so a count of 1 is the segmented one.
                    if count == 1 {
                        attempts += 1
                        return -EIO
                    }
                    return clinux_send(descriptor, batch, first, count)
                }
            )
            let receiver = try makeSocket(loopback, Self.unmerged)
            let rounds = Limits.MediaIO.segmentationRefusals + 50
            var received: [[UInt8]] = []
            for round in 0..<rounds {
                let bytes = pattern(30, seed: round)
                send([(bytes, 10, makePath(to: receiver))], through: sender)
                received += try receiveAll(receiver, bytes: 30).map(\.bytes)
            }
            #expect(attempts == Limits.MediaIO.segmentationRefusals)
            #expect(!sender.segmentsNow)
            #expect(received == (0..<rounds).flatMap { cut(pattern(30, seed: $0), 10) })

            // After the pause it asks again.
            for round in 0..<Limits.MediaIO.segmentationPause - 50 {
                send([(pattern(20, seed: round), 10, makePath(to: receiver))], through: sender)
            }
            #expect(sender.segmentsNow)
        }

        @Test func aRefusalWithAFullSocketDropsTheRest() throws {
            let tally = IOTally()
            var calls = 0
            let sender = try UDPSocket(
                binding: SocketAddress(address: loopback, port: 0),
                options: .init(),
                tally: tally,
                transmit: { descriptor, batch, first, count in
                    calls += 1
                    switch calls {
                    case 1: return -EIO
                    case 2: return clinux_send(descriptor, batch, first, min(count, 2))
                    default: return -EAGAIN
                    }
                }
            )
            let receiver = try makeSocket(loopback, Self.unmerged)
            send(
                [(pattern(400), 100, makePath(to: receiver)), (pattern(300), 100, makePath(to: receiver))],
                through: sender
            )
            #expect(calls == 3)
            #expect(tally.counters.datagramsSent == 2)
            #expect(tally.socketFull == 5)
            #expect(try receiveAll(receiver, bytes: 200).map(\.bytes) == cut(pattern(200), 100))
        }
    }
}
