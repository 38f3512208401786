import Foundation
import NIOCore
import NIOPosix
import RTP
import Testing

@testable import Signaling

/// Whatever is cut, killed, repeated or slow: every request is executed once, no event is missed or doubled, and in the
/// end everybody sees the room as it is. `SFU_SEEDS` raises the number of stories, `SFU_SEED` replays one.
@Suite struct ResumePropertyTests {
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private static let environment = ProcessInfo.processInfo.environment
    private static let seeds: ClosedRange<UInt64> = {
        if let one = environment["SFU_SEED"].flatMap(UInt64.init) { return one...one }
        return 1...(environment["SFU_SEEDS"].flatMap(UInt64.init) ?? 90)
    }()

    private func tell(seed: UInt64, isApart: Bool) async throws -> ResumeWorld.Outcome {
        let offer = try SDPFixture.text("chromium_VP8_sim.offer")
        let loop = Self.group.next()
        return try await loop.submit {
            let world = ResumeWorld(seed: seed, clients: 4, isApart: isApart, offer: offer, on: loop)
            world.run(steps: 3000)
            return world.outcome
        }.get()
    }

    @Test(arguments: [false, true])
    func everybodySeesTheRoomAsItIs(isApart: Bool) async throws {
        var total = ResumeWorld.Outcome()
        for seed in Self.seeds {
            let outcome = try await tell(seed: seed, isApart: isApart)
            #expect(
                outcome.violations.isEmpty,
                "SFU_SEED=\(seed), apart \(isApart): \(outcome.violations.prefix(3).joined(separator: "; "))"
            )
            total.cuts += outcome.cuts
            total.gatewayKills += outcome.gatewayKills
            total.mediaKills += outcome.mediaKills
            total.requests += outcome.requests
            total.overflows += outcome.overflows
            total.outcomes.merge(outcome.outcomes, uniquingKeysWith: +)
            total.closes.merge(outcome.closes, uniquingKeysWith: +)
            total.transitions.merge(outcome.transitions, uniquingKeysWith: +)
            total.largest = max(total.largest, outcome.largest)
        }
        print("apart \(isApart): \(total)")
        #expect(total.largest <= ResumeWorld.criticalEvents)
        guard Self.seeds.count >= 90 else { return }
        #expect(total.cuts > 5000)
        // Every way back was taken.
        for outcome in ["fresh", "replay", "delta", "rejoin"] + (isApart ? ["snapshot"] : []) {
            #expect(total.outcomes[outcome, default: 0] > 0, "never \(outcome)")
        }
        // Every step was taken that a session can take; only what is apart outlives a gateway.
        for transition in SessionTransition.all where isApart || transition.step != .rebuild {
            #expect(total.transitions[transition, default: 0] > 0, "never \(transition)")
        }
        #expect(total.overflows > 0 && total.gatewayKills > 0 && (total.mediaKills > 0) == isApart)
        #expect(total.closes[CloseCode.superseded.rawValue, default: 0] > 0)
    }
}
