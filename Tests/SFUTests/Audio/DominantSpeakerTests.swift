import RTP
import Testing

@testable import SFU

@Suite struct DominantSpeakerTests {
    /// A room of people whose levels are given as functions of time.
    private struct Table {
        var floor = DominantSpeaker()
        var places: [Int16] = []
        var now = Instant(microseconds: 10_000_000)
        var random: RandomSource
        var history: [(at: Interval, id: UInt64)] = []
        let start = Instant(microseconds: 10_000_000)

        /// - Parameter noise: of each before it takes part, else 40.
        init(_ count: Int, seed: UInt64 = 1, noise: [Int: UInt8] = [:]) {
            random = .seeded(seed)
            for id in 0..<count {
                places.append(floor.enter(UInt64(id + 1), noise: noise[id] ?? 40, at: now).place)
            }
        }

        /// 20 ms packets; nil: sends nothing.
        mutating func run(_ duration: Interval, level: (Int, Interval, inout RandomSource) -> UInt8?) {
            let begin = now
            while now < begin + duration {
                for person in places.indices {
                    guard let level = level(person, now - begin, &random) else { continue }
                    floor.note(places[person], level: level, isVoice: level > 70, at: now)
                }
                if floor.evaluate(at: now), let id = floor.dominant { history.append((now - begin, id)) }
                now = now + .milliseconds(20)
            }
        }

        /// Syllables of about 250 ms with dips, 20–30 dB above the noise.
        static func speech(_ time: Interval, _ random: inout RandomSource) -> UInt8 {
            let phase = time.milliseconds % 1200
            if phase > 1120 { return 45 }
            return UInt8(Int.random(in: 88...102, using: &random))
        }

        static func noise(_ random: inout RandomSource) -> UInt8 {
            UInt8(Int.random(in: 38...44, using: &random))
        }
    }

    @Test(arguments: UInt64(1)...5)
    func whoTalksKeepsTheFloorThroughCoughs(seed: UInt64) {
        var table = Table(4, seed: seed)
        table.run(.seconds(2)) { person, time, random in
            person == 0 ? Table.speech(time, &random) : Table.noise(&random)
        }
        #expect(table.floor.dominant == 1, "seed \(seed)")
        table.history = []
        table.run(.seconds(30)) { person, time, random in
            if person == 0 { return Table.speech(time, &random) }
            // 200 ms, as loud as can be, every three seconds.
            let isCough = person == 1 && time.milliseconds % 3000 < 200
            return isCough ? 122 : Table.noise(&random)
        }
        #expect(table.floor.dominant == 1, "seed \(seed)")
        #expect(table.history.isEmpty, "seed \(seed)")
    }

    @Test(arguments: UInt64(1)...5)
    func theFloorChangesHandsWithinASecond(seed: UInt64) {
        var table = Table(5, seed: seed)
        var speaker = 0
        table.run(.seconds(2)) { person, time, random in
            person == 0 ? Table.speech(time, &random) : Table.noise(&random)
        }
        for turn in 0..<10 {
            speaker = (speaker + 1 + turn % 3) % 5
            table.history = []
            table.run(.seconds(4)) { person, time, random in
                person == speaker ? Table.speech(time, &random) : Table.noise(&random)
            }
            #expect(table.floor.dominant == UInt64(speaker + 1), "seed \(seed), turn \(turn)")
            let change = table.history.first?.at ?? .zero
            #expect(change <= .milliseconds(1100), "seed \(seed): \(change.milliseconds) ms")
            #expect(table.history.count <= 1, "seed \(seed), turn \(turn)")
        }
    }

    @Test(arguments: UInt64(1)...5)
    func backgroundNeverGetsTheFloor(seed: UInt64) {
        var table = Table(3, seed: seed, noise: [2: 82])
        let fan = 82...86
        table.run(.seconds(2)) { person, time, random in
            switch person {
            case 0: return Table.speech(time, &random)
            case 1: return Table.noise(&random)
            default: return UInt8(Int.random(in: fan, using: &random))
            }
        }
        table.run(.seconds(60)) { person, _, random in
            // Silence, a quiet room, and a fan that is as loud as a voice.
            switch person {
            case 0: return 0
            case 1: return Table.noise(&random)
            default: return UInt8(Int.random(in: fan, using: &random))
            }
        }
        #expect(table.floor.dominant == 1, "seed \(seed)")
    }

    @Test func theFirstOneNeedsAVoiceAndASingleOneStays() {
        var floor = DominantSpeaker()
        let result1 = floor.evaluate(at: .zero)
        #expect(!result1)
        #expect(floor.dominant == nil)
        let place = floor.enter(7, noise: 40, at: .zero + .seconds(1)).place
        floor.note(place, level: 97, isVoice: true, at: .zero + .seconds(1))
        let result2 = floor.evaluate(at: .zero + .milliseconds(1100))
        #expect(result2)
        #expect(floor.dominant == 7)
        let result3 = floor.evaluate(at: .zero + .seconds(600))
        #expect(!result3)
        #expect(floor.dominant == 7)
        // One who is muted keeps the floor; one who left does not, and who is silent does not get it.
        floor.leave(place)
        #expect(floor.dominant == 7)
        _ = floor.enter(8, noise: 40, at: .zero + .seconds(601))
        floor.forget(7)
        #expect(floor.dominant == nil && floor.recent.isEmpty)
        let result4 = floor.evaluate(at: .zero + .seconds(603))
        #expect(!result4)
        #expect(floor.dominant == nil)
    }

    @Test func decidesEvery300Milliseconds() {
        var floor = DominantSpeaker()
        let start = Instant.zero + .seconds(5)
        let result5 = floor.evaluate(at: start)
        #expect(!result5)
        let place = floor.enter(3, noise: 40, at: start).place
        floor.note(place, level: 100, isVoice: true, at: start + .milliseconds(100))
        let result6 = floor.evaluate(at: start + .milliseconds(299))
        #expect(!result6)
        let result7 = floor.evaluate(at: start + .milliseconds(300))
        #expect(result7)
    }

    @Test func recentSpeakersAreInOrder() {
        var table = Table(14)
        for speaker in 0..<13 {
            table.run(.seconds(3)) { person, time, random in
                person == speaker ? Table.speech(time, &random) : nil
            }
        }
        #expect(table.floor.recent == (4...13).reversed().map { UInt64($0) })
        table.floor.forget(9)
        #expect(table.floor.recent == [13, 12, 11, 10, 8, 7, 6, 5, 4])
        table.run(.seconds(3)) { person, time, random in person == 6 ? Table.speech(time, &random) : nil }
        #expect(table.floor.recent == [7, 13, 12, 11, 10, 8, 6, 5, 4])
    }

    @Test func thereIsRoomForThoseWhoSpokeLast() {
        var floor = DominantSpeaker()
        for id in 0..<UInt64(Limits.Audio.talkers) {
            let on = floor.enter(id, noise: 40, at: .zero + .seconds(Int64(id)))
            #expect(on.replaced == nil)
        }
        let on = floor.enter(1000, noise: 40, at: .zero + .seconds(100))
        #expect(on.replaced == 0)
        let idle = floor.idle(at: .zero + .seconds(100)).map(\.id)
        #expect(idle.contains(1) && !idle.contains(1000))
    }

    /// One packet of 60 ms is worth three of 20 ms.
    @Test func longPacketsCountAsLong() {
        var floor = DominantSpeaker()
        let short = floor.enter(1, noise: 40, at: .zero).place
        let long = floor.enter(2, noise: 40, at: .zero).place
        var random = RandomSource.seeded(3)
        for tick in 0..<300 {
            let now = Instant.zero + .milliseconds(Int64(tick) * 20)
            let isFirst = tick < 100
            floor.note(short, level: isFirst ? Table.speech(.zero, &random) : 20, isVoice: isFirst, at: now)
            if tick % 3 == 0 {
                let level = isFirst ? 20 : Table.speech(.zero, &random)
                floor.note(long, level: level, isVoice: !isFirst, at: now)
            }
            _ = floor.evaluate(at: now)
            if tick == 99 { #expect(floor.dominant == 1) }
        }
        #expect(floor.dominant == 2)
    }
}
