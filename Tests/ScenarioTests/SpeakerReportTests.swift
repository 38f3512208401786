import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SpeakerReportTests {
    private func reports(_ call: Call, since start: Instant) -> [(at: Instant, report: SpeakerReport)] {
        call.events.compactMap { at, event in
            guard case .speakers(let report) = event, at >= start else { return nil }
            return (at, report)
        }
    }

    @Test(arguments: UInt64(1)...3)
    func theRoomIsToldWhoSpeaksAndWhoHasTheFloor(seed: UInt64) throws {
        let call = try Call(seed: seed)
        var people: [SimulatedPeer] = []
        for number in 0..<12 {
            people.append(
                try call.join("person\(number)") { peer in
                    peer.publish(.opus(bytes: 60)).source.audioLevel = 85
                    peer.addSlots(audio: 3, video: 0)
                }
            )
        }
        call.run(for: .seconds(1))
        #expect(reports(call, since: .zero).isEmpty, "seed \(seed): nobody has spoken")
        let start = call.now
        var script = VoicesScript(seed: seed, from: start)
        script.overlap = 1
        script.gap = 100...900
        for _ in 0..<600 {
            script.step(people, at: call.now)
            call.run(for: .milliseconds(20))
        }
        let all = reports(call, since: start)
        for (a, b) in zip(all, all.dropFirst()) {
            #expect(b.at - a.at >= .milliseconds(200), "seed \(seed)")
            #expect(a.report != b.report, "seed \(seed)")
        }
        #expect(all.allSatisfy { $0.report.active.count <= 10 })
        for turn in script.turns
        where call.now - turn.ends > .zero && turn.ends - turn.at > .milliseconds(1500) {
            let id = people[turn.speaker].participant
            let during = all.filter { $0.at >= turn.at && $0.at <= turn.ends + .milliseconds(200) }
            let active = during.first { $0.report.active.first?.participant == id }?.at
            #expect(active.map { $0 - turn.at <= .milliseconds(900) } == true, "seed \(seed): \(turn)")
            #expect(during.contains { $0.report.dominant == id }, "seed \(seed): \(turn)")
            let level = during.last { $0.report.active.first?.participant == id }?.report.active.first?.level
            #expect(level.map { abs(Int($0) - 105) <= 3 } == true, "seed \(seed): \(level as Any)")
        }
        // Silence is told once, and the floor stays with whoever had it.
        for person in people { person.mic.source.audioLevel = 85 }
        call.run(for: .seconds(3))
        let silent = call.now
        call.run(for: .seconds(5))
        #expect(reports(call, since: silent).isEmpty, "seed \(seed)")
        let last = reports(call, since: start).last?.report
        #expect(last?.active.isEmpty == true && last?.dominant != nil, "seed \(seed)")
        // Until that one leaves.
        let gone = people.first { $0.participant == last?.dominant }
        if let gone { call.leave(gone) }
        call.run(for: .seconds(1))
        #expect(reports(call, since: silent).last?.report.dominant == nil, "seed \(seed)")
        #expect(reports(call, since: silent).isEmpty == false, "seed \(seed)")
    }
}
