import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct ManyVoicesTests {
    private func room(_ call: Call, people: Int, slots: Int) throws -> [SimulatedPeer] {
        var peers: [SimulatedPeer] = []
        for number in 0..<people {
            peers.append(
                try call.join("person\(number)") { peer in
                    peer.publish(.opus(bytes: 60)).source.audioLevel = 80
                    peer.addSlots(audio: slots, video: 0)
                }
            )
        }
        #expect(call.run(atMost: .seconds(5)) { peers.allSatisfy(\.isConnected) }, "seed \(call.seed)")
        return peers
    }

    /// Forty people with three slots each, five of whom take turns.
    @Test(arguments: UInt64(1)...2)
    func inALargeRoomTheLoudestAreHeardFromTheirFirstWord(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let people = try room(call, people: 40, slots: 3)
        call.run(for: .seconds(1))
        let start = call.now
        let decrypted = call.counter("rtp_received")
        let left = call.shard.counters.drops["notLoudest"] ?? 0
        var script = VoicesScript(seed: seed, from: start)
        let speakers = Array(people.prefix(5))
        for _ in 0..<400 {
            script.step(speakers, at: call.now)
            call.run(for: .milliseconds(20))
        }
        call.run(for: .milliseconds(100))
        let turns = script.turns.filter { call.now - $0.ends > .zero }
        #expect(turns.count > 3, "seed \(seed)")
        for turn in turns {
            let source = speakers[turn.speaker].mic.source.id
            for listener in people where listener !== speakers[turn.speaker] {
                let clip = script.clip(of: turn, of: speakers, for: listener)
                // Two speak at most, and there are four places: the first packet is heard already.
                #expect(clip == .zero, "seed \(seed): \(clip as Any) of \(turn)")
                let slots = Set(
                    listener.received.filter {
                        $0.stamp?.source == source && $0.at >= turn.at && $0.at <= turn.ends
                    }
                    .map(\.ssrc)
                )
                #expect(slots.count == 1, "seed \(seed): \(turn) moved from slot to slot")
            }
        }
        let seconds = (call.now - start).microseconds / 1_000_000 + 1
        for person in people {
            let received = person.received.filter { $0.at > start }
            #expect(received.count <= 3 * 50 * Int(seconds), "seed \(seed)")
            #expect(!received.contains { $0.stamp?.source == person.mic.source.id }, "seed \(seed)")
            #expect(person.undecryptable == 0 && person.replays == 0, "seed \(seed)")
            for slot in 0..<3 { call.check(person, slot: slot, of: people) }
            checkReports(of: person, seed: seed)
        }
        #expect(call.counter("nacks_sent") == 0, "seed \(seed)")
        // Of 40 voices, few are decrypted: the places, what may be a voice, and one packet in 64.
        let read = call.counter("rtp_received") - decrypted
        let dropped = (call.shard.counters.drops["notLoudest"] ?? 0) - left
        #expect(read * 5 < dropped, "seed \(seed): \(read) read, \(dropped) left out")
        call.checkAccounts()
    }

    /// What nobody hears has arrived all the same.
    private func checkReports(of person: SimulatedPeer, seed: UInt64) {
        let reports = person.receiverReports.filter { $0.block.ssrc == person.mic.ssrc() }.map(\.block)
        #expect(reports.count >= 5, "seed \(seed)")
        for report in reports {
            #expect(report.fractionLost == 0 && report.cumulativeLost <= 0, "seed \(seed)")
        }
        for (a, b) in zip(reports, reports.dropFirst()) {
            #expect(b.extendedHighestSequence > a.extendedHighestSequence, "seed \(seed)")
        }
        // A voice is so little that feedback of 5 % of it comes seven times a second.
        #expect(person.feedbackCount > 25, "seed \(seed)")
    }

    /// The decryptor's rollover counter must not lose count of numbers that it never saw (RFC 3711 §3.3.1).
    @Test func whoWasSilentForMoreThanAllSequenceNumbersIsHeard_symphonyMediaBridge322() throws {
        let call = try Call(seed: 3)
        let people = try room(call, people: 4, slots: 1)
        let listener = people[3]
        for person in people.prefix(2) { person.mic.source.audioLevel = 0x80 | 20 }
        call.run(for: .seconds(2))
        let silent = people[2]
        silent.stopSending()
        silent.mic.keepsSent = false
        call.run(for: .milliseconds(50))
        silent.mic.source.audioLevel = 127
        let decrypted = call.counter("rtp_received")
        let before = call.shard.counters.drops["notLoudest"] ?? 0
        for _ in 0..<70 { call.inject(silent.record(silent.mic, frames: 1000), from: silent.path) }
        #expect((call.shard.counters.drops["notLoudest"] ?? 0) - before == 70_000)
        let read = call.counter("rtp_received") - decrypted
        #expect(read >= 1000 && read <= 1200)
        for person in people.prefix(2) { person.mic.source.audioLevel = 127 }
        call.run(for: .milliseconds(400))
        listener.forgetReceived()
        silent.mic.source.audioLevel = 0x80 | 15
        silent.mic.keepsSent = true
        for datagram in silent.record(silent.mic, frames: 20) {
            call.inject([datagram], from: silent.path)
            call.run(for: .milliseconds(20))
        }
        let heard = listener.received.filter { $0.stamp?.source == silent.mic.source.id }
        #expect(heard.count >= 18)
        #expect(call.shard.counters.drops["srtpAuthentication"] == nil)
        #expect(call.shard.counters.drops["srtpReplay"] == nil)
        call.checkAccounts()
    }

    /// Whoever forges a loud packet makes it be read, and nothing else.
    @Test func aForgedLevelMovesNobody() throws {
        let call = try Call(seed: 4, shards: 1)
        let people = try room(call, people: 5, slots: 2)
        for person in people.prefix(3) { person.mic.source.audioLevel = 0x80 | 20 }
        call.run(for: .seconds(1))
        for person in people.prefix(3) { person.mic.source.audioLevel = 127 }
        call.run(for: .seconds(1))
        let victim = people[3]
        victim.stopSending()
        call.run(for: .milliseconds(50))
        let slots = call.slots(of: people[4])
        victim.mic.source.audioLevel = 0x80 | 1
        for var datagram in victim.record(victim.mic, frames: 30) {
            datagram[datagram.count - 1] ^= 1
            call.inject([datagram], from: victim.path)
            call.run(for: .milliseconds(20))
        }
        #expect(call.shard.counters.drops["srtpAuthentication"] == 30)
        #expect(call.slots(of: people[4]).mapValues(\.publication) == slots.mapValues(\.publication))
        // The same without forgery.
        let authentic = victim.record(victim.mic, frames: 30)
        call.inject(authentic, from: victim.path)
        call.run(for: .milliseconds(200))
        #expect(call.slots(of: people[4]).values.contains { $0.publication == victim.mic.id })
    }

    @Test func whoIsMutedHasNoPlaceAndGetsOneByVoiceAlone() throws {
        let call = try Call(seed: 5)
        let people = try room(call, people: 6, slots: 2)
        let listener = people[5]
        let heard = { (person: SimulatedPeer) in
            listener.received.contains {
                $0.at > call.now - .milliseconds(100) && $0.stamp?.source == person.mic.source.id
            }
        }
        for person in people.prefix(3) { person.mic.source.audioLevel = 0x80 | 20 }
        call.run(for: .seconds(2))
        let first = people.prefix(3).filter(heard)
        #expect(first.count == 2)
        call.apply(.mute(first[0].mic.id, true))
        call.run(for: .milliseconds(200))
        #expect(!heard(first[0]))
        #expect(people.prefix(3).filter(heard).count == 2, "the third one gets the slot that is free")
        // Unmuted and silent: no place, though one is free. Then it speaks.
        first[0].mic.source.audioLevel = 127
        call.apply(.mute(first[0].mic.id, false))
        call.run(for: .milliseconds(200))
        #expect(!heard(first[0]))
        for person in people.prefix(3) { person.mic.source.audioLevel = 127 }
        call.run(for: .milliseconds(400))
        first[0].mic.source.audioLevel = 0x80 | 30
        call.run(for: .milliseconds(60))
        #expect(heard(first[0]))
        call.apply(.close(people[1].session))
        call.run(for: .milliseconds(500))
        #expect(heard(first[0]))
        for slot in 0..<2 { call.check(listener, slot: slot, of: people) }
    }

    /// A session that asked for one participant gets it, loud or not; others do not.
    @Test func whoAsksForSomebodyHearsHim() throws {
        let call = try Call(seed: 6, shards: 1)
        let people = try room(call, people: 8, slots: 1)
        for person in people.prefix(2) { person.mic.source.audioLevel = 0x80 | 20 }
        let quiet = people[5]
        call.apply(.subscribe(people[7].session, Wishes(scope: .participant(quiet.participant))))
        call.apply(
            .subscribe(people[6].session, Wishes(scope: .none, overrides: [quiet.mic.id: true]))
        )
        call.run(for: .seconds(1))
        for (place, listener) in people.enumerated() {
            let recent = listener.received.filter { $0.at > call.now - .milliseconds(500) }
            let sources = Set(recent.compactMap(\.stamp?.source))
            #expect(sources == [place >= 6 ? quiet.mic.source.id : people[place == 0 ? 1 : 0].mic.source.id])
        }
        // When it speaks, everybody else hears it, too.
        for person in people.prefix(2) { person.mic.source.audioLevel = 127 }
        call.run(for: .milliseconds(400))
        quiet.mic.source.audioLevel = 0x80 | 30
        call.run(for: .milliseconds(400))
        for listener in people {
            let recent = listener.received.filter { $0.at > call.now - .milliseconds(300) }
            if listener !== quiet {
                #expect(Set(recent.compactMap(\.stamp?.source)) == [quiet.mic.source.id])
            }
            call.check(listener, slot: 0, of: people)
        }
    }

    /// Where everybody has a slot for everybody, nothing is left out.
    @Test func aSmallRoomHearsEverything() throws {
        let call = try Call(seed: 7)
        let people = try room(call, people: 4, slots: 3)
        call.run(for: .seconds(2))
        #expect(call.shard.counters.drops["notLoudest"] == nil)
        for person in people { #expect(Set(person.received.compactMap(\.stamp?.source)).count == 3) }
        // One more, and there are more voices than anybody can hear; one less, and there are not.
        let fifth = try call.join("fifth") { $0.publish(.opus(bytes: 60)).source.audioLevel = 80 }
        call.run(for: .seconds(1))
        #expect((call.shard.counters.drops["notLoudest"] ?? 0) > 0)
        call.apply(.mute(fifth.mic.id, true))
        call.run(for: .milliseconds(300))
        for person in people {
            let recent = person.received.filter { $0.at > call.now - .milliseconds(200) }
            #expect(Set(recent.compactMap(\.stamp?.source)).count == 3)
            for slot in 0..<3 { call.check(person, slot: slot, of: people) }
        }
    }
}
