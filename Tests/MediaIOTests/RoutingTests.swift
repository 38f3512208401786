import CLinux
import Glibc
import PeerTransport
import RTP
import Seam
import Synchronization
import Testing

@testable import MediaIO

extension MediaIOTests {
    @Suite struct MailboxTests {
        @Test func theBoundHoldsAndUrgentMailPasses() throws {
            let mailbox = try Mailbox(capacity: 3)
            #expect(mailbox.isEmpty)
            for i in 0..<3 { #expect(mailbox.post(.command(.close(SessionID("s\(i)"))))) }
            #expect(!mailbox.post(.command(.reportState)))
            #expect(mailbox.post(.stop(closing: []), isUrgent: true))
            let mail = mailbox.drain()
            #expect(mail.count == 4)
            let closed = mail.compactMap { one -> String? in
                if case .command(.close(let id)) = one { return id.rawValue }
                return nil
            }
            #expect(closed == ["s0", "s1", "s2"])
            #expect(mailbox.isEmpty)
            #expect(mailbox.drain().isEmpty)
            #expect(mailbox.post(.command(.reportState)))
        }

        @Test func wakesOnlyTheSleeper() throws {
            let mailbox = try Mailbox()
            let descriptor = mailbox.wakeup.descriptor
            #expect(mailbox.post(.command(.reportState)))
            #expect(!waitReadable(descriptor, seconds: 0.01), "awake threads cost no wake")
            mailbox.wakeup.prepareToSleep()
            #expect(mailbox.post(.command(.reportState)))
            #expect(waitReadable(descriptor))
            mailbox.wakeup.clear()
            #expect(mailbox.post(.command(.reportState)))
            #expect(!waitReadable(descriptor, seconds: 0.01), "one wake per sleep")
        }

        @Test func manyProducersLoseNothing() throws {
            let mailbox = try Mailbox(capacity: 100)
            let threads = try (0..<4).map { producer in
                try WorkerThread(name: "test-\(producer)") {
                    for i in 0..<2000 {
                        let mail = Mail.command(.close(SessionID("\(producer)-\(i)")))
                        while !mailbox.post(mail) { sched_yield() }
                    }
                }
            }
            var next = [0, 0, 0, 0]
            while next.reduce(0, +) < 8000 {
                for case .command(.close(let id)) in mailbox.drain() {
                    let parts = id.rawValue.split(separator: "-").compactMap { Int($0) }
                    try #require(parts.count == 2)
                    #expect(next[parts[0]] == parts[1], "order of one producer")
                    next[parts[0]] += 1
                }
            }
            threads.forEach { $0.join() }
            #expect(mailbox.isEmpty)
        }

        @Test func aConnectionThatNobodyTookIsClosed() throws {
            let ledger = StreamLedger()
            let descriptor = clinux_eventfd()
            let seat = try #require(ledger.admit(loopback))
            var moved: MovedStream? = MovedStream(
                descriptor: descriptor,
                remote: SocketAddress(address: loopback, port: 1),
                local: loopback,
                firstFrame: [],
                deadline: .zero,
                seat: seat
            )
            #expect(fcntl(descriptor, F_GETFD) >= 0)
            #expect(moved != nil)
            moved = nil
            #expect(fcntl(descriptor, F_GETFD) == -1)
        }
    }

    @Suite struct StreamLedgerTests {
        @Test func boundsPerSourceAndInAll() throws {
            let ledger = StreamLedger(
                bounds: .init(connections: 6, perSource: 4, unchecked: 5, uncheckedPerSource: 2)
            )
            let (a, b, c) = (IPAddress(v4: 1), IPAddress(v4: 2), IPAddress(v4: 3))
            var seats: [StreamSeat] = []
            func admit(_ source: IPAddress) -> Bool {
                guard let seat = ledger.admit(source) else { return false }
                seats.append(seat)
                return true
            }
            #expect(admit(a) && admit(a))
            #expect(!admit(a), "two unchecked of one source")
            seats.forEach { $0.markChecked() }
            seats.forEach { $0.markChecked() }
            #expect(ledger.unchecked == 0, "counted once")
            #expect(admit(a) && admit(a))
            seats.forEach { $0.markChecked() }
            #expect(!admit(a), "four of one source")
            #expect(admit(b) && admit(c))
            #expect(!admit(c), "six in all")
            #expect(ledger.connections == 6)
            seats.removeAll()
            #expect(ledger.connections == 0)
            #expect(ledger.unchecked == 0)
            #expect(admit(a))
        }

        @Test func neighboursInAnIPv6NetworkAreOneSource() {
            let ledger = StreamLedger(bounds: .init(uncheckedPerSource: 1))
            let first = ledger.admit(IPAddress(v6High: 0x2001_0db8_0000_0001, low: 1))
            #expect(first != nil)
            #expect(ledger.admit(IPAddress(v6High: 0x2001_0db8_0000_0001, low: 2)) == nil)
            #expect(ledger.admit(IPAddress(v6High: 0x2001_0db8_0000_0002, low: 1)) != nil)
        }
    }

    @Suite struct SessionRouterTests {
        private func open(_ session: String, _ room: String) -> OpenSession {
            OpenSession(
                session: SessionID(session),
                room: RoomID(room),
                participant: ParticipantID(session),
                user: UserID(session),
                remote: RemoteTransport(
                    ice: ICECredentials(usernameFragment: "u", password: "p"),
                    fingerprints: [],
                    setup: .active
                )
            )
        }

        private let local = LocalTransport(
            ice: ICECredentials(usernameFragment: "u", password: "p"),
            candidates: [],
            fingerprints: [],
            setup: .passive
        )

        @Test func roomsStayTogetherAndSpreadBySeats() {
            let router = SessionRouter(workers: 3)
            let big = (0..<10).map { router.place(open("big\($0)", "big")) { worker, _ in worker } }
            #expect(Set(big) == [0])
            #expect(router.place(open("b", "second")) { worker, _ in worker } == 1)
            #expect(router.place(open("c", "third")) { worker, _ in worker } == 2)
            #expect(router.place(open("c2", "third")) { worker, _ in worker } == 2)
            #expect(router.place(open("d", "fourth")) { worker, _ in worker } == 1)
            #expect((0..<3).map { router.seats(on: $0) } == [10, 2, 2])
            for i in 0..<10 {
                router.note(.sessionOpened(SessionID("big\(i)"), local))
                router.note(.sessionClosed(SessionID("big\(i)"), .requested))
            }
            #expect(router.seats(on: 0) == 0)
            #expect(router.place(open("big0", "big")) { worker, _ in worker } == 0)
        }

        @Test func aRoomThatIsFullTakesAnotherWorkerAndSaysWithWhom() {
            let router = SessionRouter(workers: 3, roomSeatsPerWorker: 4)
            _ = router.place(open("other", "other")) { worker, _ in worker }
            func place(_ i: Int) -> [Int] {
                router.place(open("s\(i)", "big")) { worker, sharing in [worker] + sharing }
            }
            // Worker 0 has a seat more, of another room.
            #expect((0..<4).map(place) == [[1], [1], [1], [1]])
            #expect((4..<8).map(place) == Array(repeating: [2, 1], count: 4))
            #expect((8..<12).map(place) == Array(repeating: [0, 1, 2], count: 4))
            // No worker has a free seat for this room: all get more, evenly.
            #expect(Set((12..<15).map { place($0)[0] }) == [0, 1, 2])
            #expect((0..<3).map { router.seats(on: $0) } == [6, 5, 5])
            // Who leaves makes room, where the room began first.
            router.note(.sessionOpened(SessionID("s0"), local))
            router.note(.sessionOpened(SessionID("s1"), local))
            router.note(.sessionClosed(SessionID("s0"), .requested))
            router.note(.sessionClosed(SessionID("s1"), .requested))
            #expect(place(15)[0] == 1)
            // A worker that has nobody of the room any more is not named.
            for i in 4..<8 {
                router.note(.sessionOpened(SessionID("s\(i)"), local))
                router.note(.sessionClosed(SessionID("s\(i)"), .requested))
            }
            let named = place(16)
            #expect(named.contains(2), "one session is left there")
        }

        @Test func aSessionIsForgottenWhenItEndsAndNotBefore() {
            let router = SessionRouter(workers: 2)
            let id = SessionID("s")
            #expect(router.place(open("s", "r")) { worker, _ in worker } == 0)
            #expect(router.worker(of: id) == 0)
            router.note(.sessionOpened(id, local))
            // A refused double, or a refused restart, leaves the session alone.
            #expect(router.place(open("s", "r")) { worker, _ in worker } == 0)
            router.note(.sessionRefused(id, .duplicate))
            router.note(.sessionRefused(id, .unusable))
            #expect(router.worker(of: id) == 0)
            #expect(router.seats(on: 0) == 1)
            // Opened anew before the news of its end came.
            #expect(router.place(open("s", "r")) { worker, _ in worker } == 0)
            router.note(.sessionClosed(id, .requested))
            #expect(router.worker(of: id) == 0)
            router.note(.sessionOpened(id, local))
            router.note(.sessionClosed(id, .timeout))
            #expect(router.worker(of: id) == nil)
            #expect(router.seats(on: 0) == 0)
        }

        @Test func publicationsLeadToTheirSession() {
            let router = SessionRouter(workers: 2)
            _ = router.place(open("filler", "x")) { worker, _ in worker }
            #expect(router.place(open("s", "r")) { worker, _ in worker } == 1)
            func media(_ names: [String]) -> SessionMedia {
                let section = MediaSection(mid: "0", kind: .audio, codecs: [], extensions: [])
                return SessionMedia(
                    generation: 1,
                    sections: names.map { SectionMedia(section: section, publication: PublicationID($0)) },
                    cname: "c"
                )
            }
            #expect(router.configure(SessionID("s"), media(["p1", "p2"])) == 1)
            #expect(router.worker(of: PublicationID("p1")) == 1)
            #expect(router.configure(SessionID("s"), media(["p2"])) == 1)
            #expect(router.worker(of: PublicationID("p1")) == nil)
            #expect(router.worker(of: PublicationID("p2")) == 1)
            router.note(.sessionOpened(SessionID("s"), local))
            router.note(.sessionClosed(SessionID("s"), .requested))
            #expect(router.worker(of: PublicationID("p2")) == nil)
            #expect(router.configure(SessionID("s"), media(["p3"])) == nil)
            #expect(router.worker(of: PublicationID("p3")) == nil)
        }
    }

    @Suite struct EventHubTests {
        private func state(_ names: [String]) -> MediaState {
            MediaState(
                epoch: "worker",
                sessions: names.map {
                    MediaState.Session(
                        open: OpenSession(
                            session: SessionID($0),
                            room: RoomID("r"),
                            participant: ParticipantID("p"),
                            user: UserID("u"),
                            remote: RemoteTransport(
                                ice: ICECredentials(usernameFragment: "u", password: "p"),
                                fingerprints: [],
                                setup: .active
                            )
                        ),
                        media: nil,
                        transport: .new,
                        attachments: [:]
                    )
                }
            )
        }

        @Test func aReportIsOneAndNothingOvertakesIt() {
            let hub = EventHub(workers: 2, router: SessionRouter(workers: 2), epoch: "e1")
            let log = EventLog()
            hub.setReceiver { log.append($0) }
            let early = Event.sessionClosed(SessionID("early"), .timeout)
            let late = Event.sessionClosed(SessionID("b"), .requested)
            #expect(hub.beginReport())
            #expect(!hub.beginReport(), "the one under way answers")
            hub.deliver([.state(state(["b"])), late], from: 1)
            #expect(log.all.isEmpty)
            hub.deliver([early], from: 0)
            #expect(log.all == [early])
            hub.deliver([.state(state(["a"]))], from: 0)
            var merged = state(["a", "b"])
            merged.epoch = "e1"
            #expect(log.all == [early, .state(merged), late])
            #expect(hub.beginReport())
        }
    }

    @Suite struct HostCandidateTests {
        private func interface(_ name: String, _ address: String, loopback: Bool = false, up: Bool = true)
            throws
            -> NetworkInterface
        {
            let parsed = try #require(SocketAddress(parsing: address))
            return NetworkInterface(name: name, address: parsed.address, isLoopback: loopback, isUp: up)
        }

        @Test func aWildcardOffersWhatTheMachineHas() throws {
            let interfaces = try [
                interface("lo", "127.0.0.1", loopback: true), interface("lo", "::1", loopback: true),
                interface("docker0", "172.17.0.1"), interface("eth0", "203.0.113.5"),
                interface("eth0", "fe80::1"), interface("eth0", "2001:db8::5"), interface("eth1", "10.0.0.5"),
                interface("eth2", "10.9.9.9", up: false), interface("eth3", "169.254.1.1"),
            ]
            let four = SocketAddress(address: .unspecified, port: 7882)
            let six = SocketAddress(address: IPAddress(v6High: 0, low: 0), port: 7882)
            let both = HostCandidates.endpoints(listen: [four, six], announced: [], interfaces: interfaces)
            #expect(both.map(\.address) == ["203.0.113.5", "10.0.0.5", "2001:db8::5"])
            let bound = HostCandidates.endpoints(
                listen: [SocketAddress(address: loopback, port: 1)],
                announced: [],
                interfaces: interfaces
            )
            #expect(bound == [.init(address: "127.0.0.1", port: 1)])
            let natted = HostCandidates.endpoints(
                listen: [four, six],
                announced: ["198.51.100.7", "sfu.example.org", "198.51.100.7"],
                interfaces: interfaces
            )
            #expect(natted.map(\.address) == ["198.51.100.7", "sfu.example.org"])
            let alone = HostCandidates.endpoints(
                listen: [four],
                announced: [],
                interfaces: Array(interfaces.prefix(3))
            )
            #expect(alone.map(\.address) == ["172.17.0.1"], "better a bridge than nothing")
            let none = HostCandidates.endpoints(
                listen: [four],
                announced: [],
                interfaces: Array(interfaces.prefix(2))
            )
            #expect(none.map(\.address) == ["127.0.0.1"])
        }

        @Test func prioritiesPreferUDP() {
            let endpoints = [
                HostCandidates.Endpoint(address: "192.0.2.1", port: 5),
                HostCandidates.Endpoint(address: "192.0.2.2", port: 5),
            ]
            let all = HostCandidates.candidates(at: endpoints, withTCP: true)
            #expect(all.map(\.network) == [.udp, .udp, .tcp, .tcp])
            #expect(all.map(\.priority) == [2_130_706_431, 2_130_706_175, 2_124_414_975, 2_124_414_719])
            #expect(Set(all.map(\.foundation)).count == 4)
            #expect(HostCandidates.candidates(at: endpoints, withTCP: false).count == 2)
        }

        @Test func listenAddresses() throws {
            #expect(
                try ListenAddress.parse("127.0.0.1:7882") == [ListenAddress(address: loopback, port: 7882)]
            )
            #expect(try ListenAddress.parse("[::1]:1") == [ListenAddress(address: loopback6, port: 1)])
            let all = try ListenAddress.parse(":7882")
            #expect(all.map(\.address) == [.unspecified, IPAddress(v6High: 0, low: 0)])
            #expect(all.map(\.isRequired) == [true, false])
            for bad in [
                "", "127.0.0.1", "::1:80", "[::1]", "host:80", "1.2.3.4:99999", "[1.2.3.4]:5", "[]:5",
            ] {
                #expect(throws: MediaError.self, "\(bad)") { try ListenAddress.parse(bad) }
            }
        }

        @Test func textOfAddresses() throws {
            for text in ["192.0.2.255", "2001:db8::7", "::"] {
                #expect(try #require(SocketAddress(parsing: text)).address.text == text)
            }
            #expect(try #require(SocketAddress(parsing: "::ffff:192.0.2.1")).address.text == "192.0.2.1")
            #expect(SocketAddress(parsing: "localhost") == nil)
        }
    }
}
