// ICE restart make before break, and consent on virtual time.
import PeerTransport
import RTP
import Testing

private typealias Check = SimulatedICEClient.Check

extension AgentBench {
    /// Both sides' new credentials; the client that was goes on with the old.
    fileprivate mutating func restart(at seconds: Double) throws -> (old: SimulatedICEClient, OnRestart) {
        let old = client
        let on = agent.restart(
            local: TransportFixture.newServer,
            remote: TransportFixture.newClient,
            at: TransportFixture.seconds(seconds)
        )
        client = try #require(
            SimulatedICEClient(
                local: TransportFixture.newClient,
                remote: TransportFixture.newServer,
                seed: 99
            )
        )
        return (old, on)
    }
}

@Suite struct ICEAgentRestartTests {
    private let a = TransportFixture.path(1)
    private let b = TransportFixture.path(2)

    @Test func oldCredentialsHoldUntilTheFirstNewCheck() throws {
        var bench = try AgentBench()
        _ = try bench.check(Check(usesCandidate: true), on: a, at: 0)
        var (old, on) = try bench.restart(at: 1)
        #expect(on.retired == nil)
        #expect(bench.agent.localCredentials == TransportFixture.newServer)
        let before = try bench.receive(old.check(), on: a, at: 2)
        #expect(before.reply == .success(.previous))
        #expect(before.retired == nil)
        #expect(bench.agent.selectedPath == a)

        let first = try bench.check(on: b, at: 3)
        #expect(first.reply == .success(.current))
        #expect(first.retired == TransportFixture.server.usernameFragment)
        // Media keeps flowing where it flows until the peer nominates.
        #expect(!first.isSelected)
        #expect(bench.agent.selectedPath == a)

        let after = try bench.receive(old.check(), on: a, at: 3.1)
        #expect(after.reply == .failure(.unauthenticated, nil))
        #expect(try bench.check(on: b, at: 3.2).retired == nil)
    }

    /// A browser gathers between its offer and our answer: our old fragment with its new one.
    @Test func fragmentsMayMixBeforeTheSwitch() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        var (old, _) = try bench.restart(at: 1)
        old.local = TransportFixture.newClient
        #expect(try bench.receive(old.check(), on: b, at: 1.1).reply == .success(.previous))
        bench.client.local = TransportFixture.client
        #expect(try bench.check(on: b, at: 1.2).reply == .success(.current))
        // Afterwards only the new ones count.
        #expect(try bench.check(on: b, at: 1.3).reply == .failure(.unauthenticated, nil))
    }

    @Test func nominationStartsAnew() throws {
        var bench = try AgentBench()
        _ = try bench.check(Check(nomination: 1000), on: a, at: 0)
        _ = try bench.restart(at: 1)
        #expect(try bench.check(Check(nomination: 1), on: b, at: 2).isSelected)
        #expect(bench.agent.selectedPath == b)
    }

    @Test func pathsOfTheOldGenerationRunOut() throws {
        var bench = try AgentBench()
        _ = try bench.check(Check(usesCandidate: true), on: a, at: 0)
        _ = try bench.restart(at: 1)
        _ = try bench.check(Check(usesCandidate: true), on: b, at: 2)
        #expect(bench.agent.isValidated(a))
        #expect(bench.advance(to: 4.9) == [])
        #expect(bench.advance(to: 5) == [.forgotten(a)])
        #expect(bench.agent.selectedPath == b)
    }

    @Test func aPathCheckedAnewStays() throws {
        var bench = try AgentBench()
        _ = try bench.check(Check(usesCandidate: true), on: a, at: 0)
        _ = try bench.restart(at: 1)
        _ = try bench.check(Check(usesCandidate: true), on: b, at: 2)
        _ = try bench.check(on: a, at: 3)
        #expect(bench.advance(to: 8) == [])
        #expect(bench.agent.isValidated(a))
    }

    @Test func aDeadOldPathGivesWayWithoutNomination() throws {
        var bench = try AgentBench()
        _ = try bench.check(Check(usesCandidate: true), on: a, at: 0)
        _ = try bench.restart(at: 1)
        #expect(try bench.check(on: b, at: 2.5).isSelected)
    }

    @Test func aRestartReplacesOneThatNobodyUsed() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        let old = bench.client
        _ = try bench.restart(at: 1)
        let unused = bench.client
        let third = ICECredentials(usernameFragment: "AAserver03", password: "thirdPasswordOf24+Bytes/")
        let on = bench.agent.restart(
            local: third,
            remote: TransportFixture.newClient,
            at: TransportFixture.seconds(2)
        )
        #expect(on.retired == TransportFixture.newServer.usernameFragment)
        bench.client = unused
        #expect(try bench.check(on: a, at: 3).reply == .failure(.unauthenticated, nil))
        bench.client = old
        #expect(try bench.check(on: a, at: 3.2).reply == .success(.previous))
        bench.client.remote = third
        bench.client.local = TransportFixture.newClient
        #expect(try bench.check(on: a, at: 3.3).retired == TransportFixture.server.usernameFragment)
    }
}

@Suite struct ICEAgentConsentTests {
    private let a = TransportFixture.path(1)
    private let b = TransportFixture.path(2)

    @Test func runsOutInThreeSteps() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 5)
        #expect(bench.agent.nextDeadline == TransportFixture.seconds(15))
        #expect(bench.advance(to: 14.999) == [])
        #expect(bench.advance(to: 15) == [.disconnected])
        #expect(bench.agent.maySend)
        #expect(bench.agent.nextDeadline == TransportFixture.seconds(35))
        #expect(bench.advance(to: 34.999) == [])
        #expect(bench.advance(to: 35) == [.consentLost])
        #expect(!bench.agent.maySend)
        #expect(bench.agent.nextDeadline == TransportFixture.seconds(65))
        #expect(bench.advance(to: 64.999) == [])
        #expect(bench.advance(to: 65) == [.ended])
        #expect(bench.agent.nextDeadline == .distantFuture)
        #expect(bench.advance(to: 1000) == [])
        #expect(try bench.check(on: a, at: 1001).drop == .consentExpired)
    }

    @Test func oneLateCallReportsAllInOrder() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        #expect(bench.advance(to: 500) == [.disconnected, .consentLost, .ended])
    }

    @Test func checksKeepItFresh() throws {
        var bench = try AgentBench()
        for n in 0..<60 {
            #expect(try !bench.check(on: a, at: Double(n) * 9.9).isReconnected)
            #expect(bench.advance(to: Double(n) * 9.9 + 9.8) == [])
        }
    }

    /// Media is no consent (RFC 7675 §5.1).
    @Test func mediaIsNoConsent() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        for n in 1...10 { _ = bench.agent.heard(on: a, at: TransportFixture.seconds(Double(n))) }
        #expect(bench.advance(to: 10) == [.disconnected])
    }

    @Test func comesBackAfterDisconnected() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        #expect(bench.advance(to: 29.9) == [.disconnected])
        let on = try bench.check(on: a, at: 29.95)
        #expect(on.isReconnected)
        #expect(on.reply == .success(.current))
        #expect(bench.advance(to: 39.9) == [])
    }

    @Test func lostConsentWantsNewCredentials() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        #expect(bench.advance(to: 31) == [.disconnected, .consentLost])
        let old = try bench.check(on: a, at: 32)
        #expect(old.reply == .none)
        #expect(old.drop == .consentExpired)
        #expect(!bench.agent.maySend)
        var (oldClient, _) = try bench.restart(at: 40)
        #expect(try bench.receive(oldClient.check(), on: a, at: 41).drop == .consentExpired)
        let new = try bench.check(on: b, at: 42)
        #expect(new.reply == .success(.current))
        #expect(new.isSelected && new.isReconnected)
        #expect(new.retired == TransportFixture.server.usernameFragment)
        #expect(bench.agent.maySend)
        // The parked path is of the old generation and runs out; consent counts from the new check.
        #expect(bench.advance(to: 51.9) == [.forgotten(a)])
        #expect(bench.advance(to: 52) == [.disconnected])
    }

    @Test func theGraceEndsAlsoWithARestartThatNobodyFollows() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        #expect(bench.advance(to: 31) == [.disconnected, .consentLost])
        _ = try bench.restart(at: 35)
        #expect(bench.advance(to: 59.9) == [])
        #expect(bench.advance(to: 60) == [.ended])
    }

    @Test func aRestartLateInTheGraceGetsItsTime() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0)
        _ = bench.advance(to: 31)
        _ = try bench.restart(at: 59)
        #expect(bench.advance(to: 78.9) == [])
        #expect(try bench.check(on: b, at: 78.95).isReconnected)
    }

    @Test func aPeerThatNeverComesIsGivenUp() throws {
        var bench = try AgentBench()
        #expect(bench.agent.nextDeadline == TransportFixture.seconds(60))
        #expect(bench.advance(to: 59.9) == [])
        #expect(bench.advance(to: 60) == [.ended])
    }

    /// No event order makes `nextDeadline` stand in the past, which would spin the loop that waits for it.
    @Test func theDeadlineIsAlwaysAheadAfterAdvancing() throws {
        for seed in 1...40 as ClosedRange<UInt64> {
            var generator = SimulatedICEClient.Generator(seed: seed)
            var bench = try AgentBench(seed: seed)
            var now = 0.0
            for _ in 0..<400 {
                now += Double(generator.next() % 8_000_000) / 1_000_000
                let facts = bench.advance(to: now)
                #expect(facts.count < 20, "seed \(seed)")
                #expect(bench.agent.nextDeadline > TransportFixture.seconds(now), "seed \(seed) at \(now)")
                let path = TransportFixture.path(
                    Int(generator.next() % 12),
                    connection: Int32(generator.next() % 3) - 1
                )
                switch generator.next() % 6 {
                case 0, 1:
                    _ = try bench.check(Check(usesCandidate: generator.next() & 1 == 0), on: path, at: now)
                case 2:
                    _ = try bench.check(Check(nomination: UInt32(generator.next() % 50)), on: path, at: now)
                case 3: _ = bench.agent.heard(on: path, at: TransportFixture.seconds(now))
                case 4: _ = bench.agent.connectionClosed(path.connection, at: TransportFixture.seconds(now))
                default: if generator.next() % 8 == 0 { _ = try bench.restart(at: now) }
                }
                #expect(bench.agent.validatedPaths.count <= Limits.Transport.pathsPerPeer, "seed \(seed)")
                if let selected = bench.agent.selectedPath {
                    #expect(bench.agent.isValidated(selected), "seed \(seed)")
                }
            }
        }
    }
}
