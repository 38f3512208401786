// A conversation is the same for the same seed, keeps its bounds, and lets everybody speak.
import Testing

@testable import Load

@Suite struct ConversationTests {
    private func turns(seed: UInt64, speakers: Int, overlap: Int, frames: Int64) -> [Conversation.Turn] {
        var conversation = Conversation(seed: seed, speakers: speakers, overlap: overlap, from: 10)
        return (0..<frames).compactMap { conversation.advance(to: $0) }
    }

    @Test func aSeedIsAConversation() {
        let first = turns(seed: 7, speakers: 5, overlap: 2, frames: 5000)
        #expect(first == turns(seed: 7, speakers: 5, overlap: 2, frames: 5000))
        #expect(first != turns(seed: 8, speakers: 5, overlap: 2, frames: 5000))
        #expect(first.first?.first == 10)
        #expect(Set(first.map(\.speaker)) == Set(0..<5))
    }

    @Test(arguments: [1, 2, 3])
    func noMoreThanAllowedSpeakAtOnce(overlap: Int) {
        var conversation = Conversation(seed: 3, speakers: 5, overlap: overlap, from: 0)
        var most = 0
        for frame in 0..<Int64(10_000) {
            _ = conversation.advance(to: frame)
            most = max(most, (0..<5).count { conversation.isSpeaking($0, in: frame) })
        }
        #expect(most == min(overlap, 2))
    }

    @Test func turnsDoNotOverlapThemselves() {
        var ends: [Int: Int64] = [:]
        for turn in turns(seed: 11, speakers: 3, overlap: 2, frames: 20_000) {
            #expect(turn.first >= ends[turn.speaker] ?? 0)
            #expect(30...125 ~= turn.frames)
            ends[turn.speaker] = turn.end
        }
    }

    @Test func oneSpeakerSpeaksAgain() {
        let turns = turns(seed: 1, speakers: 1, overlap: 1, frames: 2000)
        #expect(turns.count > 5 && turns.allSatisfy { $0.speaker == 0 })
    }

    @Test func levelsAreThoseOfVoices() {
        var conversation = Conversation(seed: 1, speakers: 1, overlap: 1, from: 0)
        for _ in 0..<1000 { #expect(20...36 ~= conversation.level()) }
    }
}
