// Which checks an agent believes, and what it answers to the others.
import PeerTransport
import RTP
import Testing

private typealias Check = SimulatedICEClient.Check

@Suite struct ICEAgentCheckTests {
    private let a = TransportFixture.path(1)
    private let b = TransportFixture.path(2)

    @Test func selectsTheFirstValidatedPath() throws {
        var bench = try AgentBench()
        #expect(!bench.agent.maySend)
        let on = try bench.check(on: a, at: 0.1)
        #expect(on.reply == .success(.current))
        #expect(on.drop == nil)
        #expect(on.isNewPath && on.isSelected && !on.isReconnected)
        #expect(bench.agent.selectedPath == a)
        #expect(bench.agent.maySend)
        let again = try bench.check(on: a, at: 0.2)
        #expect(!again.isNewPath && !again.isSelected)
        #expect(again.reply == .success(.current))
    }

    @Test func aSecondPathIsNotSelectedByBeingThere() throws {
        var bench = try AgentBench()
        _ = try bench.check(on: a, at: 0.1)
        let on = try bench.check(on: b, at: 0.2)
        #expect(on.isNewPath && !on.isSelected)
        #expect(bench.agent.isValidated(b))
        #expect(bench.agent.selectedPath == a)
    }

    @Test func refusesAWrongPassword() throws {
        var bench = try AgentBench()
        bench.client.remote.password = "wrongPasswordOf24Bytes++"
        let on = try bench.check(on: a, at: 0.1)
        #expect(on.reply == .failure(.unauthenticated, nil))
        #expect(on.drop == .stunUnauthenticated)
        #expect(bench.agent.validatedPaths.isEmpty)
    }

    /// The whole left part is compared, and the peer's part with what signaling said.
    @Test(arguments: [
        ("AAserver0", "cLnt"), ("AAserver011", "cLnt"), ("", "cLnt"), ("AAserver01", "cLnx"),
        ("AAserver01", ""),
        ("AAserver01", "cLntcLnt"), ("cLnt", "AAserver01"),
    ])
    func refusesAWrongUsername(ours: String, theirs: String) throws {
        var bench = try AgentBench()
        bench.client.remote.usernameFragment = ours
        bench.client.local.usernameFragment = theirs
        let on = try bench.check(on: a, at: 0.1)
        #expect(on.reply == .failure(.unauthenticated, nil))
        #expect(bench.agent.validatedPaths.isEmpty)
    }

    @Test func wantsUsernameAndIntegrity() throws {
        var bench = try AgentBench()
        var check = Check()
        check.hasUsername = false
        #expect(try bench.check(check, on: a, at: 0.1).reply == .failure(.badRequest, nil))
        check.hasUsername = true
        check.hasIntegrity = false
        #expect(try bench.check(check, on: a, at: 0.5).reply == .failure(.badRequest, nil))
        #expect(bench.agent.validatedPaths.isEmpty)
    }

    @Test func wantsAPriority() throws {
        var bench = try AgentBench()
        var check = Check()
        check.priority = nil
        let on = try bench.check(check, on: a, at: 0.1)
        #expect(on.reply == .failure(.badRequest, .current))
        #expect(bench.agent.validatedPaths.isEmpty)
    }

    @Test func answersARoleConflict() throws {
        var bench = try AgentBench()
        var check = Check(usesCandidate: true)
        check.role = .controlled
        let on = try bench.check(check, on: a, at: 0.1)
        #expect(on.reply == .failure(.roleConflict, .current))
        #expect(on.drop == .stunUnsupported)
        #expect(bench.agent.selectedPath == nil)
        // An unsaid role is forgiven.
        check.role = .unsaid
        #expect(try bench.check(check, on: a, at: 0.2).reply == .success(.current))
    }

    @Test func refusesUnknownRequiredAttributes() throws {
        var bench = try AgentBench()
        var check = Check()
        check.extra = [(0x0077, [1, 2, 3, 4])]
        #expect(try bench.check(check, on: a, at: 0.1).reply == .failure(.unknownAttribute, .current))
        #expect(bench.agent.validatedPaths.isEmpty)
        // Comprehension-optional ones are nobody's business (GOOG-NETWORK-INFO, SOFTWARE).
        check.extra = [(0xc057, [0, 1, 0, 10]), (0x8022, Array("x".utf8))]
        #expect(try bench.check(check, on: a, at: 0.2).reply == .success(.current))
    }

    /// Authentication comes first (RFC 8489 §6.3.1): who has no password learns nothing about attributes.
    @Test func authenticatesBeforeItExplains() throws {
        var bench = try AgentBench()
        bench.client.remote.password = "wrongPasswordOf24Bytes++"
        var check = Check()
        check.role = .controlled
        check.priority = nil
        check.extra = [(0x0077, [1])]
        #expect(try bench.check(check, on: a, at: 0.1).reply == .failure(.unauthenticated, nil))
    }

    @Test func limitsErrorReplies() throws {
        var bench = try AgentBench()
        bench.client.remote.password = "wrongPasswordOf24Bytes++"
        #expect(try bench.check(on: a, at: 1).reply == .failure(.unauthenticated, nil))
        let soon = try bench.check(on: a, at: 1.099)
        #expect(soon.reply == .none)
        #expect(soon.drop == .stunRateLimited)
        // Another port of the same address is the same source.
        var otherPort = a
        otherPort.remotePort += 1
        #expect(try bench.check(on: otherPort, at: 1.05).reply == .none)
        #expect(try bench.check(on: a, at: 1.1).reply == .failure(.unauthenticated, nil))
        // Many sources in turn do not raise the rate without bound.
        let answered = try (1...200).map { try bench.check(on: TransportFixture.path($0), at: 2) }
            .filter { $0.reply != .none }
        #expect(answered.count == Limits.Transport.errorReplySources)
    }

    @Test func ignoresIndicationsAndAnswers() throws {
        var bench = try AgentBench()
        for (kind, drop) in [
            (0x11, nil), (0x01, DropReason.stunUnsupported), (0x11, nil),
        ] as [(UInt8, DropReason?)] {
            var message = TransportFixture.bytes(hex: "000000082112a44200000000000000000000000080280004")
            message[1] = kind
            if kind == 0x01 { message[0] = 1 }
            message += crc(message)
            let on = try bench.receive(message, on: a, at: 0.1)
            #expect(on.reply == .none)
            #expect(on.drop == drop)
        }
        #expect(bench.agent.validatedPaths.isEmpty)
    }

    @Test func everyCorruptedByteOfACheckIsRefused() throws {
        var bench = try AgentBench()
        let check = bench.client.check(Check(usesCandidate: true, nomination: 3))
        for index in check.indices {
            var corrupted = Array(check.dropLast(8))
            if index < corrupted.count { corrupted[index] ^= 0x04 } else { break }
            corrupted += [0x80, 0x28, 0, 4]
            corrupted += crc(corrupted)
            let isParsed = corrupted.withUnsafeBufferPointer { bytes in
                bytes.baseAddress.flatMap { STUNMessage($0, length: bytes.count) } != nil
            }
            guard isParsed else { continue }
            let on = try bench.receive(corrupted, on: a, at: 0.1)
            if case .success = on.reply { Issue.record("byte \(index) was accepted") }
        }
        #expect(bench.agent.validatedPaths.isEmpty)
        #expect(try bench.receive(check, on: a, at: 0.2).reply == .success(.current))
    }

    private func crc(_ covered: [UInt8]) -> [UInt8] {
        var crc: UInt32 = 0xffff_ffff
        for byte in covered.dropLast(4) {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xedb8_8320 : crc >> 1 }
        }
        let value = ~crc ^ 0x5354_554e
        return (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
    }
}
