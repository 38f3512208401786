import RTP
import Testing

@testable import SFU

@Suite struct LoudestVoicesTests {
    @Test func thereAreAsManyPlacesAsTheLimitSays() {
        var voices = LoudestVoices()
        let result1 = voices.resize(to: 100).isEmpty
        #expect(result1)
        #expect(voices.limit == Limits.Audio.places)
        var people = Array(repeating: VoiceActivity(), count: Limits.Audio.places + 1)
        for i in people.indices {
            let isVoice = people[i].note(0x80 | 30, at: .zero)
            let on = voices.hear(&people[i], id: UInt64(i), isVoice: isVoice, at: .zero)
            #expect(on == (i < Limits.Audio.places ? .entered(replacing: nil) : .notLoudest))
        }
        #expect(voices.count == Limits.Audio.places)
        #expect(Set(people.dropLast().map(\.place)).count == Limits.Audio.places)
        let result2 = voices.resize(to: 0).count == Limits.Audio.places
        #expect(result2)
        #expect(!voices.isActive)
    }

    /// What is lost of the first word, by what the others do.
    @Test(arguments: [
        (others: 0, pause: Interval.zero), (others: 2, pause: .zero), (others: 3, pause: .milliseconds(300)),
        (others: 3, pause: .seconds(5)), (others: 3, pause: .seconds(600)),
    ])
    func aFirstWordIsHeardWhereAPlaceIsFreeOrSomebodyIsSilent(others: Int, pause: Interval) {
        for level in [UInt8(12), 30, 55] {
            var crowd = VoiceCrowd(6, places: 3)
            crowd.run(.seconds(1))
            for person in 0..<others { crowd.levels[person] = 20 }
            crowd.run(.seconds(2))
            if others == 3 {
                crowd.levels[1] = 127
                crowd.run(pause)
            }
            let result3 = crowd.clip(of: 5, level: level)
            #expect(result3 <= .milliseconds(40), "level \(level)")
            #expect(crowd.holders.contains(5))
            #expect(others < 3 || !crowd.holders.contains(1))
        }
    }

    @Test func whoHasBeenSilentLongestMakesRoom() {
        var crowd = VoiceCrowd(8, places: 4)
        for person in 0..<4 {
            crowd.levels[person] = 25
            crowd.run(.seconds(1))
            crowd.levels[person] = 127
        }
        crowd.run(.seconds(1))
        for (newcomer, loser) in [(4, 0), (5, 1), (6, 2)] {
            let result4 = crowd.clip(of: newcomer, level: 40)
            #expect(result4 == .zero)
            #expect(!crowd.holders.contains(loser))
        }
        #expect(crowd.holders == [4, 5, 6, 3])
    }

    @Test func silenceIsForwardedUntilSomebodyNeedsThePlace() {
        var crowd = VoiceCrowd(4, places: 2)
        crowd.levels = [20, 20, 127, 127]
        crowd.run(.seconds(1))
        crowd.levels = [127, 127, 127, 127]
        crowd.run(.seconds(60))
        crowd.step()
        #expect(crowd.heard == [0, 1])
    }

    @Test func anotherOneMustStayLouderThanAVoice() {
        // For less than 60 ms, by less than 5 dB, or while the others have only begun: no.
        for (level, duration) in [(UInt8(10), Interval.milliseconds(40)), (26, .seconds(3))] {
            var crowd = VoiceCrowd(3, places: 2)
            crowd.levels = [30, 30, 127]
            crowd.run(.seconds(3))
            crowd.levels[2] = level
            crowd.run(duration)
            #expect(crowd.replacements == 0, "level \(level)")
            crowd.levels[2] = 127
            crowd.run(.seconds(1))
            #expect(crowd.replacements == 0, "level \(level)")
        }
        var crowd = VoiceCrowd(3, places: 2)
        crowd.run(.seconds(1))
        crowd.levels = [30, 28, 10]
        crowd.step()
        crowd.run(.milliseconds(900))
        #expect(crowd.replacements == 0)
        crowd.run(.milliseconds(200))
        #expect(crowd.replacements == 1)
        #expect(Set(crowd.holders) == [1, 2])
    }

    @Test func aLouderVoiceIsHeardSoon() {
        var crowd = VoiceCrowd(3, places: 2)
        crowd.levels = [30, 26, 127]
        crowd.run(.seconds(3))
        let clip = crowd.clip(of: 2, level: 15)
        #expect(clip >= .milliseconds(60) && clip <= .milliseconds(200), "\(clip.milliseconds) ms")
        #expect(Set(crowd.holders) == [1, 2])
    }

    /// Voices go up and down with their syllables, each in its own time.
    @Test(arguments: UInt64(1)...5)
    func equalVoicesDoNotFlap(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var crowd = VoiceCrowd(4, places: 2)
        for _ in 0..<(30 * 50) {
            for person in 0..<4 {
                crowd.levels[person] = UInt8(Int.random(in: 22...40, using: &random))
            }
            crowd.step()
        }
        #expect(crowd.replacements <= 5, "seed \(seed)")
    }

    @Test func nobodyLosesAPlaceMoreThanOnceASecondToALouderVoice() {
        var crowd = VoiceCrowd(3, places: 1)
        for second in 0..<20 {
            crowd.levels = [UInt8(second % 2 == 0 ? 10 : 40), UInt8(second % 2 == 0 ? 40 : 10), 127]
            crowd.run(.milliseconds(500))
        }
        #expect(crowd.replacements <= 10)
        #expect(crowd.replacements >= 3)
    }

    @Test func ranksPutVoicesBeforeTheSilentAndTheLastOnesFirst() {
        var crowd = VoiceCrowd(5, places: 4)
        for person in 0..<4 {
            crowd.levels[person] = 25
            crowd.run(.seconds(1))
            crowd.levels[person] = 127
        }
        #expect(crowd.holders.first == 3)
        crowd.run(.seconds(1))
        crowd.levels[1] = 30
        crowd.step()
        #expect(crowd.holders == [1, 3, 2, 0])
        crowd.levels[0] = 30
        crowd.step()
        #expect(crowd.holders == [1, 0, 3, 2])
        // The first one falls silent: who speaks still comes before.
        crowd.levels[1] = 127
        crowd.run(.milliseconds(360))
        #expect(crowd.holders == [0, 1, 3, 2])
        for rank in 0..<4 { #expect(crowd.voices.rank(of: crowd.voices.place(rank: rank)) == rank) }
    }

    @Test func aPlaceThatIsGivenBackIsFree() {
        var crowd = VoiceCrowd(5, places: 3)
        crowd.levels = [30, 30, 30, 127, 127]
        crowd.run(.seconds(1))
        crowd.voices.release(crowd.people[1].place)
        crowd.people[1].place = -1
        crowd.levels[1] = 127
        #expect(crowd.holders == [0, 2])
        let result5 = crowd.clip(of: 3, level: 50)
        #expect(result5 == .zero)
        #expect(crowd.holders == [0, 2, 3])
        let result6 = crowd.voices.resize(to: 2)
        #expect(result6 == [3])
        #expect(crowd.holders == [0, 2])
    }

    /// A packet that is only looked at moves nothing, however loud it says it is.
    @Test func lookingChangesNothing() {
        var crowd = VoiceCrowd(3, places: 2)
        crowd.levels = [30, 30, 127]
        crowd.run(.seconds(1))
        crowd.levels = [127, 127, 127]
        crowd.run(.seconds(1))
        let before = crowd.holders
        for _ in 0..<100 { #expect(crowd.voices.admits(crowd.people[2], 0x80 | 1, at: crowd.now)) }
        #expect(crowd.holders == before)
        #expect(!crowd.voices.admits(crowd.people[2], 127, at: crowd.now))
        #expect(crowd.voices.admits(crowd.people[0], 127, at: crowd.now))
    }
}
