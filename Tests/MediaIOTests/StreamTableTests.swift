import CLinux
import Glibc
import PeerTransport
import RTP
import Testing

@testable import MediaIO

extension MediaIOTests {
    /// The table without a server: what the worker does with it is done here by hand.
    @Suite struct StreamTableTests {
        private struct Bench {
            let tally = IOTally()
            let poll: WorkerPoll
            let listener: TCPListener
            let table: StreamTable
            let client: StreamClient
            var number: Int32 = -1

            init() throws {
                poll = try WorkerPoll()
                listener = try TCPListener(
                    binding: SocketAddress(address: loopback, port: 0),
                    sharesPort: false
                )
                table = StreamTable(
                    poll: poll,
                    ledger: StreamLedger(),
                    checkTimeout: .seconds(10),
                    tally: tally
                )
                client = try StreamClient(to: listener.bound)
                try #require(waitReadable(listener.descriptor))
                #expect(table.accept(from: listener.descriptor, at: .zero) == .accepted)
                #expect(table.accept(from: listener.descriptor, at: .zero) == .nothing)
            }

            /// Sends a first frame and lets the table read it.
            mutating func prove() throws {
                let ice = ICECredentials(usernameFragment: "AAabcdefgh", password: "pppppppppppppppppppppppp")
                client.write(StreamClient.framed(try Check.request(ice, mark: 1)))
                try #require(poll.wait(.seconds(20)) == 1)
                guard case .stream(let number) = poll.ready(0).what else { return }
                self.number = number
                var delivered = 0
                let moved = table.readable(number) { _, _ in
                    delivered += 1
                    return -1
                }
                #expect(moved == nil)
                #expect(delivered == 1)
                table.confirm(number)
            }

            func enqueue(_ packets: [[UInt8]], to number: Int32) {
                let outbox = Outbox(onFull: { outbox in
                    for i in 0..<outbox.messageCount { table.enqueue(outbox.messages[i], of: outbox.slab) }
                })
                for packet in packets {
                    let place = outbox.reserve(packet.count)
                    for i in packet.indices { place[i] = packet[i] }
                    outbox.commit(
                        length: packet.count,
                        on: NetworkPath(remote: loopback, remotePort: 1, connection: number)
                    )
                }
                outbox.flush()
                table.flushQueues()
            }
        }

        /// RTP of the size of video, numbered.
        private func video(_ n: Int) -> [UInt8] {
            [0x80, 96, UInt8(n >> 8), UInt8(n & 255)] + pattern(1000, seed: n)
        }

        @Test func aSlowReaderLosesWholePacketsAndNeverTheFraming() throws {
            var bench = try Bench()
            try bench.prove()
            let total = 3000
            for n in 0..<total { bench.enqueue([video(n)], to: bench.number) }
            #expect(bench.tally.tcpBacklog > 0, "nothing was dropped")
            // Check messages are never given up.
            bench.enqueue([[0, 1] + pattern(60)], to: bench.number)

            var numbers: [Int] = []
            var hasCheck = false
            while numbers.count < total - bench.tally.tcpBacklog || !hasCheck {
                if bench.poll.wait(.zero) > 0, bench.poll.ready(0).isWritable {
                    bench.table.writable(bench.number)
                }
                let packet = try #require(bench.client.readFrame(), "after \(numbers.count)")
                if packet[0] == 0 {
                    hasCheck = true
                    #expect(packet == [0, 1] + pattern(60))
                } else {
                    let n = Int(packet[2]) << 8 | Int(packet[3])
                    #expect(packet == video(n), "packet \(n) is damaged")
                    numbers.append(n)
                }
            }
            #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
            #expect(numbers.first == 0, "what the socket has begun is finished")
            #expect(numbers.last == total - 1, "the newest survive")
        }

        @Test func segmentsOfOneMessageBecomeFrames() throws {
            var bench = try Bench()
            try bench.prove()
            let table = bench.table
            let bytes = pattern(250)
            let outbox = Outbox(onFull: { table.enqueue($0.messages[0], of: $0.slab) })
            let place = outbox.reserve(bytes.count)
            for i in bytes.indices { place[i] = bytes[i] }
            outbox.commit(
                length: 250,
                segmentSize: 100,
                segments: 3,
                on: NetworkPath(remote: loopback, remotePort: 1, connection: bench.number)
            )
            outbox.flush()
            table.flushQueues()
            let frames = (0..<3).map { _ in bench.client.readFrame() }
            #expect(frames == [Array(bytes[0..<100]), Array(bytes[100..<200]), Array(bytes[200..<250])])
        }

        @Test func latePacketsDoNotReachTheNextConnectionInThePlace() throws {
            var bench = try Bench()
            try bench.prove()
            let old = bench.number
            bench.table.forget(old)
            #expect(bench.client.isClosedByServer())
            #expect(bench.table.count == 0)

            let next = try StreamClient(to: bench.listener.bound)
            try #require(waitReadable(bench.listener.descriptor))
            #expect(bench.table.accept(from: bench.listener.descriptor, at: .zero) == .accepted)
            bench.enqueue([video(1)], to: old)
            #expect(bench.tally.socketError == 1)
            #expect(!waitReadable(next.descriptor, seconds: 0.01))
        }

        @Test func theEndOfAConnectionIsReportedOnce() throws {
            var bench = try Bench()
            try bench.prove()
            shutdown(bench.client.descriptor, Int32(SHUT_WR))
            try #require(bench.poll.wait(.seconds(20)) == 1)
            #expect(bench.table.readable(bench.number) { _, _ in -1 } == nil)
            #expect(bench.table.takeClosed() == [bench.number])
            #expect(bench.table.takeClosed().isEmpty)
            #expect(bench.table.readable(bench.number) { _, _ in -1 } == nil)
        }

        @Test func anUnprovenConnectionEndsAtItsDeadline() throws {
            let bench = try Bench()
            let deadline = Instant.zero + .seconds(10)
            #expect(bench.table.nextDeadline == deadline)
            bench.table.advance(to: deadline - .microseconds(1))
            #expect(bench.table.count == 1)
            bench.table.advance(to: deadline)
            #expect(bench.table.count == 0)
            #expect(bench.table.nextDeadline == .distantFuture)
            #expect(bench.table.takeClosed().isEmpty, "the shard never heard of it")
            #expect(bench.client.isClosedByServer())
        }

        @Test func theOwnerTakesOverWithTheFirstFrame() throws {
            let bench = try Bench()
            let frame = try Check.request(
                ICECredentials(usernameFragment: "ABabcdefgh", password: "pppppppppppppppppppppppp"),
                mark: 1
            )
            bench.client.write(StreamClient.framed(frame) + StreamClient.framed(frame))
            try #require(bench.poll.wait(.seconds(20)) == 1)
            guard case .stream(let number) = bench.poll.ready(0).what else { return }
            let (moved, owner) = try #require(bench.table.readable(number) { _, _ in 1 })
            #expect(owner == 1)
            #expect(bench.table.count == 0)
            #expect(bench.poll.wait(.zero) == 0, "the old worker watches no more")

            let poll = try WorkerPoll()
            let other = StreamTable(
                poll: poll,
                ledger: StreamLedger(),
                checkTimeout: .seconds(10),
                tally: IOTally()
            )
            var frames: [[UInt8]] = []
            other.adopt(moved) { packet, path in
                frames.append(Array(packet))
                #expect(path.local == loopback)
                return -1
            }
            #expect(frames == [frame])
            try #require(poll.wait(.seconds(20)) == 1)
            guard case .stream(let adopted) = poll.ready(0).what else { return }
            #expect(
                other.readable(adopted) { packet, _ in
                    frames.append(Array(packet)); return -1
                } == nil
            )
            #expect(frames == [frame, frame])
        }
    }
}
