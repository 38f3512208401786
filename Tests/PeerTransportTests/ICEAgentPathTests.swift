// Where an agent sends: nomination, renomination, silence, many paths, connections that go away.
import PeerTransport
import RTP
import Testing

private typealias Check = SimulatedICEClient.Check

@Suite struct ICEAgentPathTests {
    private let a = TransportFixture.path(1)
    private let b = TransportFixture.path(2)
    private let c = TransportFixture.path(3)

    @Test func useCandidateSwitchesAlsoAfterCompletion() throws {
        var bench = try AgentBench()
        _ = try bench.check(Check(usesCandidate: true), on: a, at: 0.1)
        #expect(try bench.check(Check(usesCandidate: true), on: b, at: 1).isSelected)
        #expect(bench.agent.selectedPath == b)
        // Wi-Fi came back.
        #expect(try bench.check(Check(usesCandidate: true), on: a, at: 5).isSelected)
        #expect(bench.agent.selectedPath == a)
        // A plain check does not.
        #expect(try !bench.check(on: b, at: 5.1).isSelected)
        #expect(bench.agent.selectedPath == a)
    }

    @Test func theHighestNominationWins() throws {
        var bench = try AgentBench()
        #expect(try bench.check(Check(nomination: 5), on: a, at: 0.1).isSelected)
        #expect(try bench.check(Check(nomination: 6), on: b, at: 0.2).isSelected)
        // Late, repeated and lower values move nothing.
        for value in [5, 6, 1, 0] as [UInt32] {
            #expect(
                try !bench.check(Check(usesCandidate: true, nomination: value), on: a, at: 0.3).isSelected
            )
        }
        #expect(bench.agent.selectedPath == b)
        #expect(try bench.check(Check(nomination: 7), on: a, at: 0.4).isSelected)
        #expect(try bench.check(Check(nomination: .max), on: c, at: 0.5).isSelected)
        #expect(try !bench.check(Check(nomination: .max), on: a, at: 0.6).isSelected)
    }

    @Test func useCandidateWithoutNominationIsHonouredAmongNominations() throws {
        var bench = try AgentBench()
        _ = try bench.check(Check(usesCandidate: true, nomination: 9), on: a, at: 0.1)
        #expect(try bench.check(Check(usesCandidate: true), on: b, at: 0.2).isSelected)
        #expect(bench.agent.selectedPath == b)
        // The holder of the highest value claims it back.
        #expect(try bench.check(Check(usesCandidate: true, nomination: 9), on: a, at: 0.3).isSelected)
    }

    @Test func nominationOfTheSelectedPathCounts() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0.1)
        #expect(try !bench.check(Check(nomination: 4), on: a, at: 0.2).isSelected)
        #expect(try !bench.check(Check(nomination: 3), on: b, at: 0.3).isSelected)
        #expect(bench.agent.selectedPath == a)
    }

    @Test func aNinthPathEvictsTheLeastRecentButNeverTheSelected() throws {
        var bench = try AgentBench()
        // The selected path is the oldest of all.
        for n in 1...8 {
            let on = try bench.check(on: TransportFixture.path(n), at: Double(n) / 100)
            #expect(on.isNewPath && on.forgotten == nil)
        }
        let ninth = try bench.check(on: TransportFixture.path(9), at: 0.2)
        #expect(ninth.isNewPath && ninth.forgotten == TransportFixture.path(2))
        #expect(bench.agent.selectedPath == a)
        #expect(bench.agent.validatedPaths.count == Limits.Transport.pathsPerPeer)
        // What was heard of lately stays.
        _ = try bench.check(on: TransportFixture.path(3), at: 0.3)
        let tenth = try bench.check(Check(usesCandidate: true), on: TransportFixture.path(10), at: 0.4)
        #expect(tenth.forgotten == TransportFixture.path(4))
        #expect(tenth.isSelected)
        #expect(bench.agent.selectedPath == TransportFixture.path(10))
        for n in 11...1000 {
            let path = TransportFixture.path(n)
            _ = try bench.check(on: path, at: 0.5 + Double(n) / 1_000_000)
            #expect(bench.agent.isValidated(path))
        }
        #expect(bench.agent.selectedPath == TransportFixture.path(10))
        #expect(bench.agent.validatedPaths.count == Limits.Transport.pathsPerPeer)
    }

    @Test func differentLocalAddressesAreDifferentPaths() throws {
        var bench = try AgentBench()
        var other = a
        other.local = IPAddress(v4: 0x0a00_0001)
        _ = try bench.check(on: a, at: 0.1)
        #expect(try bench.check(on: other, at: 0.2).isNewPath)
        #expect(bench.agent.validatedPaths.count == 2)
    }

    @Test func mediaMovesOnlyWhenTheSelectedPathIsSilent() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        _ = try bench.check(on: b, at: 0.5)
        #expect(bench.agent.heard(on: a, at: TransportFixture.seconds(1)) == .nothing)
        #expect(bench.agent.heard(on: b, at: TransportFixture.seconds(2.9)) == .nothing)
        #expect(bench.agent.selectedPath == a)
        let moved = bench.agent.heard(on: b, at: TransportFixture.seconds(3.001))
        #expect(moved == .selected(b, isReconnected: false))
        #expect(bench.agent.selectedPath == b)
        // A path that never passed a check moves nothing, whatever comes on it.
        #expect(bench.agent.heard(on: c, at: TransportFixture.seconds(30)) == .nothing)
        #expect(bench.agent.selectedPath == b)
    }

    @Test func aCheckTakesOverFromADeadPath() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        _ = try bench.check(on: b, at: 9)
        #expect(bench.agent.selectedPath == a)
        // At ten seconds there is a path with consent: no disconnection.
        #expect(bench.advance(to: 10) == [.selected(b)])
        #expect(bench.agent.selectedPath == b)
        #expect(bench.advance(to: 18.9) == [])
        #expect(bench.advance(to: 19) == [.disconnected])
        let on = try bench.check(on: c, at: 20)
        #expect(on.isSelected && on.isReconnected)
    }

    @Test func aPathWithoutChecksIsForgotten() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        _ = try bench.check(on: b, at: 1)
        for n in 1...12 { _ = try bench.check(on: a, at: Double(n) * 5) }
        #expect(bench.advance(to: 60.9) == [])
        #expect(bench.agent.nextDeadline == TransportFixture.seconds(61))
        #expect(bench.advance(to: 61) == [.forgotten(b)])
        #expect(!bench.agent.isValidated(b))
    }

    @Test func aClosedConnectionFallsBack() throws {
        var bench = try AgentBench()
        let tcp = TransportFixture.path(4, connection: 17)
        _ = try bench.check(on: b, at: 0)
        _ = try bench.check(Check(usesCandidate: true), on: tcp, at: 1)
        #expect(bench.agent.selectedPath == tcp)
        #expect(bench.agent.connectionClosed(18, at: TransportFixture.seconds(2)) == OnConnectionClosed())
        #expect(bench.agent.connectionClosed(-1, at: TransportFixture.seconds(2)) == OnConnectionClosed())
        let on = bench.agent.connectionClosed(17, at: TransportFixture.seconds(2))
        #expect(on == OnConnectionClosed(forgotten: tcp, selected: b))
        #expect(bench.agent.selectedPath == b)
    }

    @Test func theLastConnectionClosedIsNotTheEnd() throws {
        var bench = try AgentBench()
        let tcp = TransportFixture.path(4, connection: 17)
        _ = try bench.check(Check(usesCandidate: true), on: tcp, at: 1)
        let on = bench.agent.connectionClosed(17, at: TransportFixture.seconds(2))
        #expect(on == OnConnectionClosed(forgotten: tcp, hasNoPath: true, isDisconnected: true))
        #expect(!bench.agent.maySend)
        let other = TransportFixture.path(5, connection: 18)
        let back = try bench.check(on: other, at: 6)
        #expect(back.isSelected && back.isReconnected)
        #expect(bench.agent.maySend)
    }
}
