import CLinux
import Glibc
import PeerTransport
import RTP
import Seam
import Testing

@testable import MediaIO

extension MediaIOTests {
    @Suite struct MediaServerTests {
        private func ask(
            _ client: UDPSocket,
            _ server: SocketAddress,
            _ ice: ICECredentials,
            mark: UInt8
        ) throws -> SocketAddress? {
            let request = try Check.request(ice, mark: mark)
            let path = NetworkPath(remote: server.address, remotePort: server.port)
            // A datagram may be lost, even here: ask again.
            for _ in 0..<20 {
                send([(request, request.count, path)], through: client)
                guard waitReadable(client.descriptor, seconds: 1) else { continue }
                for answer in try receiveAll(client, bytes: 1) {
                    if let mapped = Check.mapped(answer.bytes, mark: mark) { return mapped }
                }
            }
            return nil
        }

        @Test func aCheckIsAnsweredFromTheAddressItWasSentTo() throws {
            let fixture = try ServerFixture(workers: 1) {
                $0.listen = [ListenAddress(address: .unspecified, port: 0)]
            }
            let local = try fixture.open("s1", room: "r")
            #expect(local.setup == .passive)
            let client = try makeSocket()
            let server = SocketAddress(address: IPAddress(v4: 0x7f00_0009), port: fixture.server.port)
            #expect(try ask(client, server, local.ice, mark: 3) == client.bound)
        }

        @Test(.enabled(if: hasIPv6)) func bothFamiliesOnOnePort() throws {
            let fixture = try ServerFixture(workers: 2) { configuration in
                configuration.listen = [
                    ListenAddress(address: loopback, port: 0), ListenAddress(address: loopback6, port: 0),
                ]
            }
            let port = fixture.server.port
            #expect(fixture.server.listening == ["127.0.0.1:\(port)", "[::1]:\(port)"])
            #expect(fixture.server.candidates.map(\.address) == ["127.0.0.1", "::1", "127.0.0.1", "::1"])
            let local = try fixture.open("s1", room: "r")
            let four = try makeSocket()
            #expect(try ask(four, fixture.address, local.ice, mark: 1) == four.bound)
            let six = try makeSocket(loopback6)
            let server = SocketAddress(address: loopback6, port: port)
            #expect(try ask(six, server, local.ice, mark: 2) == six.bound)
        }

        @Test func mergedDatagramsAreTakenApart() throws {
            let fixture = try ServerFixture(workers: 1)
            let local = try fixture.open("s", room: "r")
            let client = try makeSocket(loopback, UDPSocket.Options(mergesReceives: false))
            let requests = try (1...4).map { try Check.request(local.ice, mark: UInt8($0)) }
            let path = NetworkPath(remote: loopback, remotePort: fixture.server.port)
            send([(requests.flatMap { $0 }, requests[0].count, path)], through: client)
            let answers = try receiveAll(client, bytes: 4 * 64)
            #expect(answers.count == 4)
            for (answer, mark) in zip(answers, 1...4) {
                #expect(Check.mapped(answer.bytes, mark: UInt8(mark)) == client.bound)
            }
            let counts = try #require(fixture.counters()?.counts)
            #expect(counts["udp_datagrams_received"] == 4)
            #expect(counts["udp_merged_receives"] == 1)
        }

        /// The kernel spreads the clients by their ports; each session lives on one worker whatever it does.
        @Test func aDatagramAtTheWrongWorkerReachesTheOwner() throws {
            let fixture = try ServerFixture(workers: 2)
            var clients: [(UDPSocket, LocalTransport)] = []
            for i in 0..<16 {
                // One room each: the rooms go to the two workers in turn.
                clients.append((try makeSocket(), try fixture.open("s\(i)", room: "r\(i)")))
            }
            for (i, (socket, local)) in clients.enumerated() {
                #expect(try ask(socket, fixture.address, local.ice, mark: UInt8(i)) == socket.bound)
            }
            let first = try #require(fixture.counters())
            let checksPassed = try #require(first.counts["hand_overs_out"])
            #expect(checksPassed > 0, "all 16 ports were hashed to their owners")
            #expect(first.counts["hand_overs_in"] == checksPassed)
            #expect(first.drops["unknownPath"] == nil)

            // What is no STUN has no name on it: it finds the owner by the path that the owner confirmed.
            let junk = [UInt8](repeating: 22, count: 60)
            for (i, (socket, local)) in clients.enumerated() {
                let path = NetworkPath(remote: loopback, remotePort: fixture.server.port)
                send([(junk, junk.count, path)], through: socket)
                #expect(try ask(socket, fixture.address, local.ice, mark: UInt8(100 + i)) == socket.bound)
            }
            let second = try #require(fixture.counters())
            #expect(
                second.drops["unknownPath"] == nil,
                "a datagram came to a worker that did not know the path"
            )
            #expect(second.drops["handOverUnknown"] == nil)
            #expect(second.counts["hand_overs_out"] == checksPassed * 3)
        }

        @Test func aMovedPeerKeepsItsSession() throws {
            let fixture = try ServerFixture(workers: 2)
            let local = try fixture.open("s", room: "r")
            for i in 0..<8 {
                let socket = try makeSocket()
                #expect(try ask(socket, fixture.address, local.ice, mark: UInt8(i)) == socket.bound)
            }
        }

        @Test func whatIsNotForUsIsCountedAndNotAnswered() throws {
            let fixture = try ServerFixture(workers: 1)
            let local = try fixture.open("s", room: "r")
            let client = try makeSocket()
            let path = NetworkPath(remote: loopback, remotePort: fixture.server.port)
            var stranger = local.ice
            stranger.usernameFragment = String(stranger.usernameFragment.prefix(2)) + "unknown0"
            let unknown = try Check.request(stranger, mark: 1)
            let long = pattern(1501)
            send(
                [(unknown, unknown.count, path), ([0x80, 0, 0, 1], 4, path), (long, long.count, path)],
                through: client
            )
            // The first answer is that of the last question.
            #expect(try ask(client, fixture.address, local.ice, mark: 5) == client.bound)
            let drops = try #require(fixture.counters()?.drops)
            #expect(drops["unknownUsernameFragment"] == 1)
            #expect(drops["unknownPath"] == 1)
            #expect(drops["malformed"] == 1)
        }

        @Test func stateIsReportedOnceForAllWorkers() throws {
            let fixture = try ServerFixture(workers: 3)
            for i in 0..<6 { _ = try fixture.open("s\(i)", room: "r\(i)") }
            #expect(fixture.server.send(.reportState))
            let state = try #require(
                fixture.log.wait { events in
                    events.compactMap { event -> MediaState? in
                        if case .state(let state) = event { return state }
                        return nil
                    }.first
                }
            )
            #expect(Set(state.sessions.map(\.open.session.rawValue)) == Set((0..<6).map { "s\($0)" }))
            #expect(state.epoch == "test")
        }

        @Test func stopClosesEverySessionAndEndsThePlane() throws {
            let fixture = try ServerFixture(workers: 2)
            for i in 0..<4 { _ = try fixture.open("s\(i)", room: "r\(i)") }
            fixture.server.stop()
            let closed = fixture.log.all.filter {
                if case .sessionClosed = $0 { return true }
                return false
            }
            #expect(closed.count == 4)
            fixture.server.stop()
            #expect(throws: MediaError.notStartable) { try fixture.server.start() }
        }

        @Test(arguments: [1, 2]) func aSecondServerOnThePortIsRefused(workers: Int) throws {
            let fixture = try ServerFixture(workers: workers)
            let port = fixture.server.port
            let error = #expect(throws: MediaError.self) {
                _ = try ServerFixture(workers: workers) {
                    $0.listen = [ListenAddress(address: loopback, port: port)]
                }
            }
            #expect(error?.description == "cannot open UDP 127.0.0.1:\(port): Address already in use")
        }

        /// A leak shows in every try; what other tests of the process open meanwhile does not.
        @Test func fiftyStartsAndStopsLeaveNothingBehind() throws {
            func entries(_ path: String) -> Int {
                guard let directory = opendir(path) else { return 0 }
                defer { closedir(directory) }
                var count = 0
                while readdir(directory) != nil { count += 1 }
                return count
            }
            var growth: [(descriptors: Int, threads: Int)] = []
            for _ in 0..<3 {
                let before = (entries("/proc/self/fd"), entries("/proc/self/task"))
                for round in 0..<50 {
                    let fixture = try ServerFixture(workers: 2)
                    if round % 10 == 0 {
                        let client = try StreamClient(to: fixture.address)
                        client.write([0, 20])
                        _ = try fixture.open("s", room: "r")
                    }
                    fixture.server.stop()
                }
                growth.append((entries("/proc/self/fd") - before.0, entries("/proc/self/task") - before.1))
                if let last = growth.last, last.descriptors < 25, last.threads < 25 { return }
            }
            Issue.record("descriptors and threads grow with each start: \(growth)")
        }
    }
}
