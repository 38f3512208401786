// Clips, onsets and speaker changes, from turns and arrivals that are written down here.
import Testing

@testable import Load

@Suite struct VoiceTallyTests {
    private static let millisecond: Int64 = 1_000_000

    /// A turn of 50 frames that were all sent, the first at 1 s, one in 20 ms.
    private func tally(listeners: Int = 1, speaker: Int = 2) -> VoiceTally {
        var tally = VoiceTally(listeners: listeners)
        begin(&tally, speaker, at: 100, frames: 50)
        return tally
    }

    private func begin(_ tally: inout VoiceTally, _ speaker: Int, at first: Int64, frames: Int64) {
        tally.begin(Conversation.Turn(speaker: speaker, first: first, frames: frames))
        for frame in first..<first + frames { tally.sent(speaker, frame: frame, at: time(frame)) }
    }

    private func time(_ frame: Int64) -> Int64 { (1000 + (frame - 100) * 20) * Self.millisecond }

    @Test func nothingIsClippedWhereAllCame() {
        var tally = tally()
        for frame in Int64(100)..<150 {
            tally.heard(2, frame: frame, by: 0, at: time(frame) + 3 * Self.millisecond)
        }
        let outcome = tally.outcome(through: 150)
        #expect(outcome.turns == 1 && outcome.voicedSent == 50 && outcome.voicedHeard == 50)
        #expect(outcome.clipped == 0 && outcome.clipSum == 0 && outcome.unheard == 0)
        #expect(outcome.onset.percentiles([0.5]) == [3 * Self.millisecond])
    }

    @Test func theBeginningThatNeverCameIsClipped() {
        var tally = tally(listeners: 2)
        for frame in Int64(106)..<150 { tally.heard(2, frame: frame, by: 0, at: time(frame)) }
        let outcome = tally.outcome(through: 150)
        // The second listener heard nothing: the whole turn is missing.
        #expect(outcome.clipped == 2 && outcome.unheard == 1 && outcome.clip.count == 2)
        #expect(outcome.clip.percentiles([0.5, 1]) == [120 * Self.millisecond, 1000 * Self.millisecond])
        #expect(outcome.clipSum == 1120 * Self.millisecond)
        #expect(outcome.onset.count == 1 && outcome.onset.maximum == 120 * Self.millisecond)
    }

    @Test func aFirstPacketThatComesLateIsNotClipped() {
        var tally = tally()
        tally.heard(2, frame: 101, by: 0, at: time(101))
        tally.heard(2, frame: 100, by: 0, at: time(101) + Self.millisecond)
        let outcome = tally.outcome(through: 150)
        #expect(outcome.clipped == 0)
        #expect(outcome.onset.maximum == 20 * Self.millisecond)
    }

    @Test func latePacketsBelongToTheTurnBefore() {
        var tally = tally()
        for frame in Int64(100)..<149 { tally.heard(2, frame: frame, by: 0, at: time(frame)) }
        begin(&tally, 2, at: 200, frames: 30)
        tally.heard(2, frame: 149, by: 0, at: time(200))
        tally.heard(2, frame: 205, by: 0, at: time(205))
        // Silence between the two is of neither.
        tally.heard(2, frame: 170, by: 0, at: time(205))
        let outcome = tally.outcome(through: 230)
        #expect(outcome.voicedHeard == 51 && outcome.clipped == 1)
        #expect(outcome.clipSum == 100 * Self.millisecond)
    }

    @Test func turnsThatGoOnDoNotCount() {
        let tally = tally()
        #expect(tally.outcome(through: 149).turns == 0)
        #expect(tally.turns == 1)
    }

    @Test func changesAreCountedWhereTheyAreNews() {
        var tally = VoiceTally(listeners: 2)
        tally.told(1, active: [2], dominant: 2, at: 0)
        tally.shown(2, in: "1", to: 1, at: 0)
        begin(&tally, 2, at: 100, frames: 50)
        let start = time(100)
        for listener in 0..<2 {
            tally.told(listener, active: [0, 2], dominant: 0, at: start + 50 * Self.millisecond)
            tally.told(listener, active: [2], dominant: 2, at: start + 400 * Self.millisecond)
            tally.shown(2, in: "3", to: listener, at: start + 20 * Self.millisecond)
        }
        let outcome = tally.outcome(through: 150)
        #expect(outcome.active.count == 1 && outcome.active.maximum == 50 * Self.millisecond)
        #expect(outcome.dominant.count == 1 && outcome.dominant.maximum == 400 * Self.millisecond)
        #expect(outcome.slot.count == 1 && outcome.slot.maximum == 20 * Self.millisecond)
        #expect(outcome.neverActive == 0)
    }

    @Test func whoIsNeverToldOfIsCounted() {
        var tally = tally()
        tally.told(0, active: [1], dominant: nil, at: time(110))
        #expect(tally.outcome(through: 150).neverActive == 1)
    }
}
