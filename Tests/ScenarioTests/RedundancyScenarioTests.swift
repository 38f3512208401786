// Redundant audio (RFC 2198) over whole calls: what a publisher repeats fills losses on its way, what a subscriber is
// repeated follows the losses that it reports.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct RedundancyScenarioTests {
    /// Numbers of a subscriber that are not those of the publishers.
    static let opus = CodecParameters(payloadType: 109, name: .opus, clockRate: 48_000, channels: 2)
    static let red = CodecParameters(
        payloadType: 120,
        name: .red,
        clockRate: 48_000,
        channels: 2,
        formatParameters: "109/109"
    )

    /// One who sends audio, as RED where `blocks` says so, and one who listens.
    private func pair(
        _ call: Call,
        blocks: Int?,
        takesRED: Bool = false,
        up: LinkConditions = .perfect
    ) throws -> (publisher: SimulatedPeer, viewer: SimulatedPeer) {
        let publisher = try call.join("publisher", up: up) { $0.speak(blocks: blocks) }
        let viewer = try call.join("viewer") { $0.listen(takesRED: takesRED) }
        #expect(
            call.run(atMost: .seconds(5)) { publisher.isConnected && viewer.isConnected },
            "seed \(call.seed)"
        )
        return (publisher, viewer)
    }

    // MARK: From a publisher

    @Test(arguments: 1...2, [false, true])
    func whatRedCarriesIsHeardAsPlainOpus(blocks: Int, takesRED: Bool) throws {
        let call = try Call(seed: UInt64(blocks))
        let (publisher, viewer) = try pair(call, blocks: blocks, takesRED: takesRED)
        let levels: [UInt8] = [30, 47, 90]
        var changes: [UInt32] = []
        for level in levels {
            changes.append(publisher.mic.frameCount)
            publisher.mic.source.audioLevel = 0x80 | level
            call.run(for: .seconds(1))
        }
        let packets = viewer.packets(on: 0)
        #expect(packets.count >= 145)
        #expect(packets.allSatisfy { $0.payloadType == 109 && !$0.isRED })
        let numbers = packets.map(\.sequence)
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $1 == $0 + 1 })
        let frames = packets.compactMap(\.stamp?.frame)
        #expect(frames.count == packets.count)
        #expect(zip(frames, frames.dropFirst()).allSatisfy { $1 == $0 + 1 })
        for packet in packets {
            let frame = packet.stamp?.frame ?? 0
            let place = changes.lastIndex { $0 <= frame } ?? 0
            #expect(packet.audioLevel == levels[place], "frame \(frame)")
        }
        call.check(viewer, slot: 0, of: [publisher])
        #expect(viewer.replays == 0 && viewer.undecryptable == 0 && viewer.wrongRED == 0)
        #expect(publisher.asked.isEmpty)
        // The bytes of RED went in, not out.
        let sent = try #require(viewer.senderReports.last?.report)
        #expect(sent.octetCount == sent.packetCount * 80)
        call.checkAccounts()
    }

    /// Nobody answers NACKs, as browsers do not for Opus.
    @Test(arguments: UInt64(1)...3)
    func lossesOnTheWayInAreFilled(seed: UInt64) throws {
        var arrived: [Double] = []
        for blocks in [nil, 1, 2] as [Int?] {
            let call = try Call(seed: seed)
            let (publisher, viewer) = try pair(call, blocks: blocks)
            publisher.answersNACK = false
            publisher.up.conditions.loss = .random(0.1)
            call.run(for: .seconds(30))
            let audio = call.check(viewer, slot: 0, of: [publisher])
            let frames = viewer.frames(on: 0)
            let first = try #require(frames.min())
            arrived.append(Double(frames.count) / Double(publisher.mic.frameCount - first))
            #expect(audio.switches == 0, "seed \(seed)")
            #expect(viewer.replays == 0 && viewer.undecryptable == 0, "seed \(seed)")
            for packet in viewer.packets(on: 0) where blocks != nil {
                let place = packet.stamp.flatMap { publisher.mic.sent[$0] }
                let sentAt = place.map { publisher.mic.originals[$0].sentAt } ?? .zero
                let late = packet.at - sentAt - .milliseconds(20)
                #expect(late.milliseconds <= Int64(20 * (blocks ?? 0)), "seed \(seed)")
            }
            // What was filled was lost all the same.
            let report = try #require(publisher.receiverReports.last?.block)
            #expect(report.cumulativeLost > 80, "seed \(seed)")
        }
        #expect(arrived[0] > 0.85 && arrived[0] < 0.94, "seed \(seed): \(arrived)")
        #expect(arrived[1] > 0.975, "seed \(seed): \(arrived)")
        #expect(arrived[2] > 0.994, "seed \(seed): \(arrived)")
    }

    /// Asked for is what no redundancy filled, and nothing else.
    @Test(arguments: UInt64(1)...3, 1...2)
    func whatIsFilledIsNotAskedFor(seed: UInt64, blocks: Int) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try pair(call, blocks: blocks)
        call.run(for: .seconds(1))
        var random = SimulatedICEClient.Generator(seed: seed)
        var lost: [UInt16: Bool] = [:]
        publisher.fate = { original in
            let isLost = Double.random(in: 0..<1, using: &random) < 0.15
            lost[UInt16(truncatingIfNeeded: original.sequence)] = isLost
            return isLost ? .lose : .pass
        }
        call.run(for: .seconds(20))
        publisher.fate = nil
        call.run(for: .seconds(1))
        let unfilled = lost.keys.filter { number -> Bool in
            for back in 0...UInt16(blocks) where lost[number &+ back] != true { return false }
            return true
        }
        let losses = lost.values.count { $0 }
        #expect(!unfilled.isEmpty && losses > 100, "seed \(seed)")
        let asked = Set(publisher.asked.map(\.number))
        #expect(asked == Set(unfilled), "seed \(seed)")
        #expect(publisher.asked.count <= 2 * unfilled.count, "seed \(seed)")
        // What was asked for came as the RED packet that it was.
        let audio = call.check(viewer, slot: 0, of: [publisher])
        #expect(audio.gaps == 0 && audio.unrepaired == 0, "seed \(seed)")
    }

    @Test func aPublisherMayTurnRedOnAndOffAsItLikes() throws {
        let call = try Call(seed: 11)
        let (publisher, viewer) = try pair(call, blocks: 2, up: .lossy(0.05))
        for _ in 0..<6 {
            call.run(for: .seconds(1))
            publisher.mic.sendsRED.toggle()
        }
        publisher.stopSending()
        call.run(for: .seconds(1))
        let audio = call.check(viewer, slot: 0, of: [publisher])
        #expect(audio.gaps == 0 && audio.switches == 0)
        #expect(viewer.packets(on: 0).allSatisfy { $0.payloadType == 109 })
    }

    // MARK: To a subscriber

    @Test(arguments: [(0.05, 1), (0.15, 2)], [nil, 1, 2] as [Int?])
    func redundancyFollowsTheLossesOfEachSubscriber(way: (loss: Double, distance: Int), blocks: Int?) throws {
        let call = try Call(seed: 21)
        let (publisher, viewer) = try pair(call, blocks: blocks, takesRED: true)
        let other = try call.join("other") { $0.listen(takesRED: true) }
        for peer in [viewer, other] {
            peer.sendsNACK = false
            peer.reportsReception = true
        }
        call.run(for: .seconds(5))
        #expect(viewer.packets(on: 0).count > 200)
        #expect(viewer.packets(on: 0).allSatisfy { !$0.isRED && $0.payloadType == 109 })
        let start = call.now
        viewer.down.conditions.loss = .random(way.loss)
        call.run(for: .seconds(25))
        let end = call.now
        viewer.down.conditions.loss = .none
        call.run(for: .seconds(13))
        viewer.checkBlocks(of: [publisher.mic], call)
        let lossy = viewer.packets(on: 0).filter { $0.at > start + .seconds(5) && $0.at < end }
        #expect(lossy.map(\.redundant.count).max() ?? 0 >= way.distance)
        #expect(lossy.filter(\.isRED).count * 10 > lossy.count * 9)
        // What came, and what can be played of it.
        let came = Set(lossy.compactMap(\.stamp?.frame))
        let played = came.union(lossy.flatMap { $0.redundant.compactMap { $0.stamp?.frame } })
        let (first, last) = try (#require(came.min()), #require(came.max()))
        let all = Double(last - first + 1)
        #expect(Double(came.count) / all < 1 - way.loss * 0.7)
        #expect(Double(played.count) / all > 0.985, "\(played.count) of \(all), \(came.count) came")
        // Over, ten seconds after the last loss that was reported.
        let over = viewer.reported.last { $0.block.fractionLost >= Limits.Audio.redundancyLoss }
        let reportedAt = try #require(over?.at)
        #expect(reportedAt > start && reportedAt < end + .seconds(2))
        let until = try #require(viewer.packets(on: 0).last(where: \.isRED)?.at)
        #expect(until >= reportedAt + .seconds(9) && until <= reportedAt + .milliseconds(11_100))
        #expect(call.now - until > .seconds(1))
        // Nobody else pays for it.
        #expect(other.packets(on: 0).count > 2000 && other.packets(on: 0).allSatisfy { !$0.isRED })
        for peer in [viewer, other] {
            call.check(peer, slot: 0, of: [publisher])
            #expect(peer.wrongRED == 0 && peer.undecryptable == 0 && peer.replays == 0)
        }
    }

    /// No number of a codec is fixed: not those of the publisher (111 and 63), and not those of another subscriber.
    @Test func blocksAreNumberedAsWhoeverGetsThemNumbersThem_livekit111And63() throws {
        let call = try Call(seed: 22)
        let (publisher, viewer) = try pair(call, blocks: 2, takesRED: true)
        let other = try call.join("other") { peer in
            let opus = CodecParameters(payloadType: 63, name: .opus, clockRate: 48_000, channels: 2)
            let red = CodecParameters(
                payloadType: 111,
                name: .red,
                clockRate: 48_000,
                channels: 2,
                formatParameters: "63/63"
            )
            peer.addSlot(.audio, codecs: [opus, red])
        }
        for peer in [viewer, other] {
            peer.sendsNACK = false
            peer.reportsReception = true
            peer.down.conditions.loss = .random(0.15)
        }
        call.run(for: .seconds(10))
        for (peer, opus, red) in [(viewer, UInt8(109), UInt8(120)), (other, 63, 111)] {
            let packets = peer.packets(on: 0)
            #expect(packets.count(where: \.isRED) > 100 && packets.contains { !$0.isRED })
            #expect(packets.allSatisfy { $0.payloadType == ($0.isRED ? red : opus) })
            // Blocks in which another number stands count as wrong.
            #expect(packets.contains { !$0.redundant.isEmpty } && peer.wrongRED == 0)
            call.check(peer, slot: 0, of: [publisher])
        }
    }

    /// Who did not negotiate it gets none, whatever it loses.
    @Test(arguments: [nil, 2] as [Int?])
    func withoutNegotiationThereIsNone(blocks: Int?) throws {
        let call = try Call(seed: 23)
        let (publisher, viewer) = try pair(call, blocks: blocks)
        viewer.reportsReception = true
        viewer.reportedLoss = 80
        call.run(for: .seconds(4))
        #expect(viewer.reported.count >= 3)
        #expect(viewer.packets(on: 0).allSatisfy { $0.payloadType == 109 && $0.payload.count == 80 })
        call.check(viewer, slot: 0, of: [publisher])
    }

    /// A loss that is filled from the publisher's redundancy is repeated, too, where the subscriber gets RED.
    @Test(arguments: UInt64(1)...3)
    func redFromEndToEndOutlivesLossOnBothWays(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try pair(call, blocks: 2, takesRED: true)
        publisher.answersNACK = false
        viewer.sendsNACK = false
        viewer.reportsReception = true
        viewer.reportedLoss = 40
        call.run(for: .seconds(2))
        let start = call.now
        publisher.up.conditions.loss = .random(0.1)
        viewer.down.conditions.loss = .random(0.1)
        call.run(for: .seconds(20))
        viewer.checkBlocks(of: [publisher.mic], call, obeysReports: false)
        let packets = viewer.packets(on: 0).filter { $0.at > start }
        let came = Set(packets.compactMap(\.stamp?.frame))
        let played = came.union(packets.flatMap { $0.redundant.compactMap { $0.stamp?.frame } })
        let (first, last) = try (#require(came.min()), #require(came.max()))
        #expect(Double(came.count) < Double(last - first) * 0.93, "seed \(seed)")
        #expect(Double(played.count) > Double(last - first) * 0.985, "seed \(seed)")
        #expect(viewer.wrongRED == 0 && viewer.undecryptable == 0 && viewer.replays == 0, "seed \(seed)")
    }

    // MARK: Repair

    @Test(arguments: UInt64(1)...4)
    func aRedPacketThatIsAskedForComesTheSameToTheBit(seed: UInt64) throws {
        // Packets of both slots that wait for each other go out in one send, padded.
        let call = try Call(seed: seed, audioWindow: .milliseconds(4))
        // Late packets fill holes behind RED packets that went out without them.
        let up = LinkConditions.lossy(0.08, jitter: .milliseconds(50), reorders: true)
        let publisher = try call.join("publisher", up: up) { $0.speak(blocks: seed % 2 == 0 ? nil : 1) }
        let second = try call.join("second") { $0.speak(blocks: nil, bytes: 84) }
        let viewer = try call.join("viewer") { peer in
            for _ in 0..<2 { peer.listen(takesRED: true) }
        }
        #expect(call.run(atMost: .seconds(5)) { viewer.isConnected }, "seed \(seed)")
        viewer.reportsReception = true
        viewer.keepsDatagrams = true
        viewer.asksTwice = true
        viewer.down.conditions.loss = .random(0.08)
        for loss in [0, 40, 0, 9, 200, 0, 12] as [UInt8] {
            viewer.reportedLoss = loss
            call.run(for: .milliseconds(2200))
        }
        for peer in [publisher, second] { peer.stopSending() }
        call.run(for: .seconds(2))
        var first: [ArraySlice<UInt8>: [UInt8]] = [:]
        var again = 0
        var different = 0
        for datagram in viewer.datagrams {
            // Number, timestamp, SSRC.
            guard let before = first.updateValue(datagram, forKey: datagram[2..<12]) else { continue }
            if before[1] & 0x7f == 120 { again += 1 }
            if before != datagram { different += 1 }
        }
        #expect(again > 10, "seed \(seed)")
        #expect(different == 0 && viewer.unlikeCopies == 0, "seed \(seed)")
        for slot in 0..<2 {
            let audio = call.check(viewer, slot: slot, of: [publisher, second])
            #expect(audio.gaps == 0 && audio.unrepaired == 0, "seed \(seed)")
        }
        #expect(viewer.received.contains { $0.isRED && $0.padding > 0 }, "seed \(seed)")
        viewer.checkBlocks(of: [publisher.mic, second.mic], call, obeysReports: false)
    }

    // MARK: Switches

    @Test(arguments: UInt64(1)...3)
    func whatWasSaidBeforeASwitchIsNotRepeated(seed: UInt64) throws {
        let call = try Call(seed: seed)
        var speakers: [SimulatedPeer] = []
        for number in 0..<5 {
            speakers.append(try call.join("speaker\(number)") { $0.speak(blocks: [nil, 1, 2][number % 3]) })
        }
        let viewer = try call.join("viewer") { $0.listen(takesRED: true) }
        viewer.reportsReception = true
        viewer.reportedLoss = 60
        call.run(for: .seconds(2))
        var random = SimulatedICEClient.Generator(seed: seed)
        for turn in 0..<30 {
            let speaking = Int.random(in: 0..<5, using: &random)
            for (place, speaker) in speakers.enumerated() {
                speaker.mic.source.audioLevel = place == speaking ? 0x80 | 25 : 127
            }
            call.run(for: .milliseconds(Int64.random(in: 300...900, using: &random)))
            guard turn % 4 == 3 else { continue }
            call.apply(.mute(speakers[speaking].mic.id, true))
            call.run(for: .milliseconds(Int64.random(in: 100...500, using: &random)))
            call.apply(.mute(speakers[speaking].mic.id, false))
        }
        let audio = call.check(viewer, slot: 0, of: speakers)
        #expect(audio.switches > 10, "seed \(seed)")
        viewer.checkBlocks(of: speakers.map(\.mic), call, obeysReports: false)
        // Whatever is repeated was heard since the last switch.
        var stretch: Set<UInt32> = []
        var former: ReceivedPacket?
        var repeated = 0
        for packet in viewer.packets(on: 0) {
            guard let stamp = packet.stamp else { continue }
            let isNext =
                former?.stamp.map { $0.source == stamp.source && $0.frame + 1 == stamp.frame } ?? false
            if !isNext { stretch = [] }
            let frames = packet.redundant.compactMap(\.stamp?.frame)
            #expect(stretch.isSuperset(of: frames), "seed \(seed): \(frames) in \(stamp.frame)")
            if packet.at > (viewer.reported.first?.at ?? .distantFuture) + .milliseconds(25) {
                #expect(packet.redundant.count == min(stretch.count, 2), "seed \(seed): \(stamp.frame)")
            }
            repeated += frames.count
            stretch.insert(stamp.frame)
            former = packet
        }
        #expect(repeated > 500, "seed \(seed)")
    }

    // MARK: Large rooms

    /// Levels are outside of the encryption, and the payload type, too: RED needs no decryption either.
    @Test(arguments: UInt64(1)...2)
    func redOfWhoIsNotHeardIsLeftOutUnread(seed: UInt64) throws {
        let call = try Call(seed: seed)
        var people: [SimulatedPeer] = []
        for number in 0..<24 {
            people.append(
                try call.join("person\(number)") { peer in
                    peer.speak(blocks: [1, 2, nil][number % 3])
                    peer.mic.source.audioLevel = 80
                    for _ in 0..<2 { peer.listen(takesRED: number % 2 == 0) }
                    peer.reportsReception = true
                    if number % 4 == 0 { peer.reportedLoss = 50 }
                }
            )
        }
        #expect(call.run(atMost: .seconds(5)) { people.allSatisfy(\.isConnected) }, "seed \(seed)")
        call.run(for: .seconds(1))
        let start = call.now
        let decrypted = call.counter("rtp_received")
        let left = call.shard.counters.drops["notLoudest"] ?? 0
        var script = VoicesScript(seed: seed, from: start)
        let speakers = Array(people.prefix(4))
        for _ in 0..<500 {
            script.step(speakers, at: call.now)
            call.run(for: .milliseconds(20))
        }
        call.run(for: .milliseconds(100))
        let turns = script.turns.filter { call.now - $0.ends > .zero }
        #expect(turns.count > 3, "seed \(seed)")
        for turn in turns {
            for listener in people where listener !== speakers[turn.speaker] {
                #expect(script.clip(of: turn, of: speakers, for: listener) == .zero, "seed \(seed): \(turn)")
            }
        }
        for (number, person) in people.enumerated() {
            for slot in 0..<2 { call.check(person, slot: slot, of: people) }
            person.checkBlocks(of: people.map(\.mic), call, obeysReports: false)
            let isRepeated = person.received.contains { $0.at > start && !$0.redundant.isEmpty }
            #expect(isRepeated == (number % 4 == 0), "seed \(seed): \(person.name)")
            #expect(person.asked.isEmpty && person.wrongRED == 0, "seed \(seed)")
            #expect(person.undecryptable == 0 && person.replays == 0, "seed \(seed)")
        }
        #expect(call.counter("nacks_sent") == 0, "seed \(seed)")
        let read = call.counter("rtp_received") - decrypted
        let dropped = (call.shard.counters.drops["notLoudest"] ?? 0) - left
        #expect(read * 3 < dropped, "seed \(seed): \(read) read, \(dropped) left out")
        call.checkAccounts()
    }
}

extension SimulatedPublisher {
    /// Pictures or packets of audio so far.
    var frameCount: UInt32 { UInt32(originals.count) }
}

extension SimulatedPeer {
    /// - Parameter blocks: nil: plain Opus.
    fileprivate func speak(blocks: Int?, bytes: Int = 80) {
        let mic = publish(.opus(bytes: bytes))
        mic.sendsRED = blocks != nil
        mic.redundancy = blocks ?? 0
    }

    fileprivate func listen(takesRED: Bool) {
        let opus = RedundancyScenarioTests.opus
        addSlot(.audio, codecs: takesRED ? [opus, RedundancyScenarioTests.red] : [opus])
    }

    fileprivate func frames(on slot: Int) -> Set<UInt32> { Set(packets(on: slot).compactMap(\.stamp?.frame)) }

    /// All that is repeated to this peer is what was sent, in its place.
    /// - Parameter obeysReports: as much as its reports ask for is repeated, in a stream without losses before the
    ///   server.
    fileprivate func checkBlocks(
        of publishers: [SimulatedPublisher],
        _ call: Call,
        obeysReports: Bool = true
    ) {
        for slot in slots.indices {
            let packets = packets(on: slot)
            for packet in packets {
                guard let stamp = packet.stamp,
                    let mic = publishers.first(where: { $0.source.id == stamp.source })
                else { continue }
                #expect(packet.isRED == (packet.payloadType == 120))
                // Plain Opus where there is nothing to repeat.
                #expect(packet.isRED == !packet.redundant.isEmpty)
                var last = UInt32.max
                for block in packet.redundant {
                    let original = block.stamp.flatMap { mic.sent[$0] }.map { mic.originals[$0] }
                    guard let original, block.payload == original.payload else {
                        Issue.record("seed \(call.seed): \(stamp.frame) repeats what was never sent")
                        continue
                    }
                    let back = stamp.frame &- original.stamp.frame
                    #expect(
                        back >= 1 && back <= 2 && back < last,
                        "seed \(call.seed): \(back) at \(stamp.frame)"
                    )
                    last = back
                    #expect(packet.timestamp &- block.timestamp == back &* 960, "seed \(call.seed)")
                }
                guard obeysReports, packet.at - (packets.first?.at ?? .zero) > .milliseconds(100),
                    let distance = distance(at: packet.at)
                else { continue }
                #expect(packet.redundant.count == distance, "seed \(call.seed): frame \(stamp.frame)")
            }
        }
    }

    /// What its reports ask for in a packet that came then; nil: a report and the packet crossed.
    private func distance(at now: Instant) -> Int? {
        var distance = 0
        var (lossAt, heavyAt) = (Instant.distantPast, Instant.distantPast)
        for report in reported {
            let age = now - report.at
            // 10 ms each way.
            if age > .milliseconds(18) && age < .milliseconds(22) { return nil }
            guard age >= .milliseconds(22) else { break }
            if report.block.fractionLost >= Limits.Audio.redundancyLoss { lossAt = report.at }
            if report.block.fractionLost >= Limits.Audio.redundancyHeavyLoss { heavyAt = report.at }
            distance = report.at - heavyAt < .seconds(10) ? 2 : report.at - lossAt < .seconds(10) ? 1 : 0
        }
        return distance
    }
}
