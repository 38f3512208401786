import CLinux
import Glibc
import PeerTransport
import RTP
import Seam
import Testing

@testable import MediaIO

extension MediaIOTests {
    @Suite struct ICETCPTests {
        @Test func aCheckIsAnsweredHoweverItIsCut() throws {
            let fixture = try ServerFixture(workers: 1)
            let local = try fixture.open("s", room: "r")
            let frame = StreamClient.framed(try Check.request(local.ice, mark: 9))
            for piece in [1, 2, 3, 21, frame.count - 1, frame.count] {
                let client = try StreamClient(to: fixture.address)
                for start in stride(from: 0, to: frame.count, by: piece) {
                    client.write(Array(frame[start..<min(start + piece, frame.count)]))
                }
                let answer = try #require(client.readFrame(), "pieces of \(piece)")
                #expect(Check.mapped(answer, mark: 9)?.address == loopback)
            }
        }

        @Test func severalFramesInOneWriteAreAllAnswered() throws {
            let fixture = try ServerFixture(workers: 2)
            let local = try fixture.open("s", room: "r")
            let client = try StreamClient(to: fixture.address)
            // Empty frames mean nothing, before and between.
            var frames: [UInt8] = []
            for mark in 1...5 {
                frames += [0, 0]
                frames += StreamClient.framed(try Check.request(local.ice, mark: UInt8(mark)))
            }
            client.write(frames)
            for mark in 1...5 {
                let answer = try #require(client.readFrame(), "answer \(mark)")
                #expect(Check.mapped(answer, mark: UInt8(mark)) != nil)
            }
        }

        @Test func connectionsMoveToTheOwnerOfTheSession() throws {
            let fixture = try ServerFixture(workers: 2)
            var clients: [StreamClient] = []
            for i in 0..<16 {
                let local = try fixture.open("s\(i)", room: "r\(i)")
                let client = try StreamClient(to: fixture.address)
                let first = try Check.request(local.ice, mark: UInt8(i))
                let second = try Check.request(local.ice, mark: UInt8(50 + i))
                // The second frame is in the socket when the connection moves.
                client.write(StreamClient.framed(first) + StreamClient.framed(second))
                #expect(Check.mapped(try #require(client.readFrame()), mark: UInt8(i)) != nil)
                #expect(Check.mapped(try #require(client.readFrame()), mark: UInt8(50 + i)) != nil)
                clients.append(client)
            }
            let counts = try #require(fixture.counters()?.counts)
            #expect(counts["ice_tcp_accepted"] == 16)
            #expect(try #require(counts["ice_tcp_moved"]) > 0, "all 16 were accepted by their owners")
            #expect(counts["ice_tcp_aborted"] == 0)
        }

        @Test func aFirstFrameThatIsNoCheckCloses() throws {
            let fixture = try ServerFixture(workers: 1)
            for garbage in [
                Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), StreamClient.framed(pattern(100)),
                StreamClient.framed([UInt8](repeating: 0x80, count: 40)), [0xff, 0xff, 1, 2, 3],
                StreamClient.framed([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]),
            ] {
                let client = try StreamClient(to: fixture.address)
                client.write(garbage)
                #expect(client.isClosedByServer(), "\(garbage.prefix(8))")
            }
        }

        @Test func silenceAndUnprovenChecksEndAtTheDeadline() throws {
            let fixture = try ServerFixture(workers: 1) { $0.streamCheckTimeout = .milliseconds(150) }
            let local = try fixture.open("s", room: "r")
            let idle = try StreamClient(to: fixture.address)
            let slow = try StreamClient(to: fixture.address)
            slow.write([0, 90, 0, 1])
            let forged = try StreamClient(to: fixture.address)
            forged.write(
                StreamClient.framed(
                    try Check.request(local.ice, mark: 1, password: "wrongwrongwrongwrongwrong")
                )
            )
            let proven = try StreamClient(to: fixture.address)
            proven.write(StreamClient.framed(try Check.request(local.ice, mark: 2)))
            #expect(Check.mapped(try #require(proven.readFrame()), mark: 2) != nil)
            #expect(idle.isClosedByServer())
            #expect(slow.isClosedByServer())
            #expect(forged.isClosedByServer())
            // The proven one is still there after the others' deadline.
            proven.write(StreamClient.framed(try Check.request(local.ice, mark: 3)))
            #expect(Check.mapped(try #require(proven.readFrame()), mark: 3) != nil)
            let counts = try #require(fixture.counters()?.counts)
            #expect(counts["ice_tcp_aborted"] == 3)
        }

        @Test func oneSourceCannotTakeAllPlaces() throws {
            let fixture = try ServerFixture(workers: 1)
            let clients = try (0..<Limits.MediaIO.uncheckedStreamsPerSource + 3).map { _ in
                try StreamClient(to: fixture.address)
            }
            #expect(clients.suffix(3).allSatisfy { $0.isClosedByServer() })
            let counts = try #require(fixture.counters()?.counts)
            #expect(counts["ice_tcp_refused"] == 3)
            #expect(counts["ice_tcp_accepted"] == UInt64(Limits.MediaIO.uncheckedStreamsPerSource))
        }

        @Test func theEndOfTheSessionEndsTheConnection() throws {
            let fixture = try ServerFixture(workers: 2)
            let local = try fixture.open("s", room: "r")
            let client = try StreamClient(to: fixture.address)
            client.write(StreamClient.framed(try Check.request(local.ice, mark: 2)))
            #expect(Check.mapped(try #require(client.readFrame()), mark: 2) != nil)
            #expect(fixture.server.send(.close(SessionID("s"))))
            #expect(client.isClosedByServer())
        }

        @Test func aClosedConnectionFreesItsPlace() throws {
            let fixture = try ServerFixture(workers: 1)
            for _ in 0..<Limits.MediaIO.uncheckedStreamsPerSource * 3 {
                let client = try StreamClient(to: fixture.address)
                client.write([0xff, 0xff, 3])
                #expect(client.isClosedByServer())
            }
            let counts = try #require(fixture.counters()?.counts)
            #expect(counts["ice_tcp_refused"] == 0)
        }
    }
}
