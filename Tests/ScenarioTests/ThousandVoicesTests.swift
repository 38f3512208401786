// A thousand people in one room, all unmuted, five of whom take turns. What the load alone costs is measured elsewhere;
// here is what listeners hear.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct ThousandVoicesTests {
    private static let people = 1000
    private static let slots = 3
    private static let listeners = 8

    @Test func aThousandPeopleHearTheFirstWord() throws {
        let call = try Call(seed: 1, shards: 1)
        var peers: [SimulatedPeer] = []
        for number in 0..<ThousandVoicesTests.people {
            peers.append(
                try call.join("person\(number)") { peer in
                    peer.publish(.opus(bytes: 60)).source.audioLevel = 80
                    peer.mic.isRunning = false
                    peer.addSlots(audio: ThousandVoicesTests.slots, video: 0)
                }
            )
        }
        #expect(call.run(atMost: .seconds(5)) { peers.allSatisfy(\.isConnected) })
        let speakers = Array(peers.prefix(5))
        let listeners = Array(peers.suffix(ThousandVoicesTests.listeners))
        // The others get theirs as well; nobody looks.
        call.carriesOnlyTo = Set((speakers + listeners).map(\.path))
        for peer in peers { peer.isSilent = call.carriesOnlyTo?.contains(peer.path) == false }
        var script = VoicesScript(seed: 1, from: call.now + .milliseconds(200))
        script.overlap = 1
        script.gap = 100...500
        let start = call.now
        let forwarded = call.counter("packets_forwarded")
        let read = call.counter("rtp_received")
        let firstFrames = speakers.map { UInt32($0.mic.sent.count) }
        for _ in 0..<250 {
            script.step(speakers, at: call.now)
            for peer in peers { call.inject(peer.record(peer.mic, frames: 1), from: peer.path) }
            // What went out with it is on its way at once.
            call.run(for: .zero)
            call.run(for: .milliseconds(20))
        }
        call.run(for: .milliseconds(700))
        let turns = script.turns.filter { call.now - $0.ends > .zero }
        #expect(turns.count >= 2)
        var longest = Interval.zero
        for turn in turns {
            for listener in listeners {
                let clip = script.clip(of: turn, of: speakers, for: listener)
                #expect(clip.map { $0 <= .milliseconds(40) } == true, "\(clip as Any) of \(turn)")
                longest = max(longest, clip ?? .seconds(10))
            }
        }
        let delays = reports(of: turns, speakers, call)
        for delay in delays.active { #expect(delay <= .milliseconds(600)) }
        for delay in delays.dominant { #expect(delay <= .milliseconds(1200)) }
        for listener in listeners {
            let received = listener.received.filter { $0.at > start }
            #expect(received.count <= ThousandVoicesTests.slots * 50 * 6)
        }
        let added = addedLatency(of: listeners, speakers, from: start, firstFrames)
        #expect(added.count > 2000)
        #expect(added[added.count * 99 / 100] <= .milliseconds(8))
        let sent = call.counter("packets_forwarded") - forwarded
        #expect(sent <= UInt64(ThousandVoicesTests.people * ThousandVoicesTests.slots * 250))
        print(
            "\(ThousandVoicesTests.people) people, 5 s: \(sent) packets forwarded,",
            "\(call.counter("rtp_received") - read) of \(250 * ThousandVoicesTests.people) decrypted,",
            "longest clip \(longest.milliseconds) ms,",
            "added latency \(added[0].milliseconds) to \(added[added.count - 1].milliseconds) ms,",
            "told as speaker after \(delays.active.map(\.milliseconds)) ms,",
            "as dominant after \(delays.dominant.map(\.milliseconds)) ms"
        )
    }

    /// What the server added to each packet's way, from the least on. A frame takes 20 ms, the way to a listener the link's delay.
    private func addedLatency(
        of listeners: [SimulatedPeer],
        _ speakers: [SimulatedPeer],
        from start: Instant,
        _ firstFrames: [UInt32]
    ) -> [Interval] {
        var added: [Interval] = []
        for packet in listeners.flatMap(\.received) where packet.at > start && !packet.isRecovered {
            guard let stamp = packet.stamp,
                let speaker = speakers.firstIndex(where: { $0.mic.source.id == stamp.source }),
                stamp.frame >= firstFrames[speaker]
            else { continue }
            let sent = start + .milliseconds(20 * Int64(stamp.frame - firstFrames[speaker]))
            added.append(packet.at - sent - LinkConditions().delay)
        }
        return added.sorted()
    }

    /// How long after each turn began the room was told.
    private func reports(
        of turns: [VoicesScript.Turn],
        _ speakers: [SimulatedPeer],
        _ call: Call
    ) -> (active: [Interval], dominant: [Interval]) {
        var active: [Interval] = []
        var dominant: [Interval] = []
        for turn in turns {
            let id = speakers[turn.speaker].participant
            var isActive = false
            var isDominant = false
            for (at, event) in call.events where at >= turn.at {
                guard case .speakers(let report) = event else { continue }
                if !isActive && report.active.contains(where: { $0.participant == id }) {
                    isActive = true
                    active.append(at - turn.at)
                }
                if !isDominant && report.dominant == id {
                    isDominant = true
                    dominant.append(at - turn.at)
                }
            }
            #expect(isActive)
            // A word or two do not give anybody the floor.
            #expect(isDominant || turn.ends - turn.at < .milliseconds(1200))
        }
        return (active, dominant)
    }
}
