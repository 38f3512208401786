import CLinux
import Glibc
import PeerTransport
import RTP
import Testing

@testable import MediaIO

extension MediaIOTests {
    @Suite struct UDPSocketTests {
        @Test func aBatchArrivesWholeWithSenderAndTime() throws {
            let tally = IOTally()
            let sender = try makeSocket(tally: tally)
            let receiver = try makeSocket()
            let packets = (0..<40).map { pattern(50 + $0 * 29, seed: $0) }
            let before = clinux_realtime_ns()
            send(packets.map { ($0, $0.count, makePath(to: receiver)) }, through: sender)
            let got = try receiveAll(receiver, bytes: packets.reduce(0) { $0 + $1.count })
            let after = clinux_realtime_ns()

            #expect(got.map(\.bytes) == packets)
            #expect(got.allSatisfy { $0.segmentSize == $0.bytes.count })
            #expect(got.allSatisfy { $0.remote == sender.bound })
            #expect(got.allSatisfy { $0.stamp >= before && $0.stamp <= after })
            #expect(zip(got, got.dropFirst()).allSatisfy { $0.stamp <= $1.stamp })
            #expect(tally.counters.datagramsSent == 40)
            #expect(tally.counters.sends == 40)
            #expect(tally.counters.sendCalls == 1)
            #expect(tally.counters.bytesSent == UInt64(packets.reduce(0) { $0 + $1.count }))
        }

        @Test func moreMessagesThanOneCallTakes() throws {
            let tally = IOTally()
            let sender = try makeSocket(tally: tally)
            let receiver = try makeSocket()
            let count = Limits.MediaIO.sendSlots * 2 + 7
            send((0..<count).map { (pattern(20, seed: $0), 20, makePath(to: receiver)) }, through: sender)
            let got = try receiveAll(receiver, bytes: count * 20)
            #expect(got.map(\.bytes) == (0..<count).map { pattern(20, seed: $0) })
            #expect(tally.counters.sendCalls == 3)
        }

        @Test func aWildcardSocketAnswersFromTheAddressItWasAsked() throws {
            let server = try makeSocket(.unspecified)
            let client = try makeSocket()
            let asked = IPAddress(v4: 0x7f00_0003)
            send(
                [(pattern(64), 64, NetworkPath(remote: asked, remotePort: server.bound.port))],
                through: client
            )
            let question = try #require(try receiveAll(server, bytes: 64).first)
            #expect(question.local == asked)

            send(
                [
                    (
                        pattern(80), 80,
                        NetworkPath(
                            remote: question.remote.address,
                            remotePort: question.remote.port,
                            local: question.local
                        )
                    )
                ],
                through: server
            )
            let answer = try #require(try receiveAll(client, bytes: 80).first)
            #expect(answer.remote == SocketAddress(address: asked, port: server.bound.port))
        }

        @Test(.enabled(if: hasIPv6)) func ipv6RoundTripWithSourceAddress() throws {
            let server = try makeSocket(IPAddress(v6High: 0, low: 0))
            let client = try makeSocket(loopback6)
            #expect(server.bound.address.isIPv6)
            send(
                [(pattern(300), 300, NetworkPath(remote: loopback6, remotePort: server.bound.port))],
                through: client
            )
            let question = try #require(try receiveAll(server, bytes: 300).first)
            #expect(question.local == loopback6)
            #expect(question.remote == client.bound)
            // Segments and source address in one message.
            send(
                [
                    (
                        pattern(900), 300,
                        NetworkPath(
                            remote: client.bound.address,
                            remotePort: client.bound.port,
                            local: loopback6
                        )
                    )
                ],
                through: server
            )
            let answer = try receiveAll(client, bytes: 900)
            #expect(answer.flatMap(\.bytes) == pattern(900))
            #expect(answer.allSatisfy { $0.remote.address == loopback6 })
        }

        @Test func oneFamilyDoesNotTakeTheOther() throws {
            guard hasIPv6 else { return }
            // An IPv6 wildcard leaves the IPv4 port free: they are separate sockets.
            let six = try makeSocket(IPAddress(v6High: 0, low: 0))
            let four = try makeSocket(.unspecified, port: six.bound.port)
            #expect(four.bound.port == six.bound.port)
        }

        @Test func aTakenPortSaysWhichAndWhy() throws {
            let first = try makeSocket()
            let error = #expect(throws: MediaError.self) {
                _ = try makeSocket(loopback, port: first.bound.port)
            }
            #expect(
                error?.description == "cannot open UDP 127.0.0.1:\(first.bound.port): Address already in use"
            )
        }

        @Test func anUnreachableRemoteDoesNotStopTheOthers() throws {
            let tally = IOTally()
            let sender = try makeSocket(tally: tally)
            let receiver = try makeSocket()
            // Port 0 is refused by the kernel with EINVAL.
            let bad = NetworkPath(remote: loopback, remotePort: 0)
            send(
                [
                    (pattern(10, seed: 1), 10, makePath(to: receiver)), (pattern(10, seed: 2), 10, bad),
                    (pattern(10, seed: 3), 10, makePath(to: receiver)),
                ],
                through: sender
            )
            let got = try receiveAll(receiver, bytes: 20)
            #expect(got.map(\.bytes) == [pattern(10, seed: 1), pattern(10, seed: 3)])
            #expect(tally.socketError == 1)
            #expect(tally.counters.datagramsSent == 2)
        }

        @Test(arguments: [EAGAIN, ENOBUFS]) func aFullSocketDropsTheRestAndCountsIt(error: Int32) throws {
            let tally = IOTally()
            let receiver = try makeSocket()
            var calls = 0
            // Takes three messages, then is full.
            let sender = try UDPSocket(
                binding: SocketAddress(address: loopback, port: 0),
                options: .init(),
                tally: tally,
                transmit: { descriptor, batch, first, count in
                    calls += 1
                    return calls == 1 ? clinux_send(descriptor, batch, first, min(count, 3)) : -error
                }
            )
            let message = (pattern(2000), 500, makePath(to: receiver))
            send([message, message, message, message, (pattern(10), 10, message.2)], through: sender)
            #expect(calls == 2)
            #expect(tally.counters.datagramsSent == 12)
            #expect(tally.socketFull == 5)
            #expect(tally.socketError == 0)
            #expect(try receiveAll(receiver, bytes: 6000).flatMap(\.bytes).count == 6000)
        }
    }
}
