import RTP
import Testing

@testable import SFU

@Suite struct VoiceActivityTests {
    private func voice(after levels: [UInt8]) -> VoiceActivity {
        var voice = VoiceActivity()
        for level in levels { _ = voice.note(level, at: .zero) }
        return voice
    }

    @Test func speechIsLoudOrSaysSo() {
        let quiet = voice(after: Array(repeating: 127, count: 50))
        #expect(quiet.isVoice(0x80 | 20))
        #expect(quiet.isVoice(0x80 | 60))
        #expect(quiet.isVoice(50))
        #expect(!quiet.isVoice(51))
        #expect(!quiet.isVoice(0x80 | 61))
        #expect(!quiet.isVoice(0x80 | 127))
    }

    @Test func steadyNoiseIsNoVoiceWhateverItsBitSays() {
        let noisy = voice(after: (0..<1000).map { 0x80 | (52 + UInt8($0 % 5)) })
        #expect(!noisy.isVoice(0x80 | 52))
        #expect(noisy.isVoice(0x80 | 35))
        // Speech with pauses stays speech, and so does what is loud all the time.
        let speech = voice(after: (0..<3000).map { $0 % 100 < 80 ? 0x80 | 40 : 0x80 | 70 })
        #expect(speech.isVoice(0x80 | 42))
        let music = voice(after: Array(repeating: 0x80 | 20, count: 3000))
        #expect(music.isVoice(0x80 | 20))
    }

    @Test func theEnvelopeFollowsPeaksAndNoSinglePacket() {
        var voice = voice(after: Array(repeating: 0x80 | 40, count: 50))
        #expect(voice.envelope == 87 << 4)
        _ = voice.note(0x80 | 10, at: .zero)
        #expect(voice.envelope > 87 << 4 && voice.envelope < 105 << 4)
        let peak = voice.envelope
        for _ in 0..<10 { _ = voice.note(127, at: .zero) }
        #expect(voice.envelope < peak && voice.envelope > peak - (5 << 4))
    }

    @Test func onlyNumbersNextToAnAuthenticOneMayBeLeftOut() {
        var voice = VoiceActivity()
        #expect(!voice.mayLeaveOut(1))
        let result1 = voice.open(0xfff0)
        #expect(result1)
        #expect(!voice.mayLeaveOut(0xfff0))
        #expect(!voice.mayLeaveOut(0xffef))
        #expect(voice.mayLeaveOut(0xfff1))
        #expect(voice.mayLeaveOut(0x0020))
        #expect(!voice.mayLeaveOut(0xfff0 &+ UInt16(Limits.Audio.unreadPackets)))
        let result2 = voice.open(0xffe0)
        #expect(!result2)
        let result3 = voice.open(3)
        #expect(result3)
        #expect(voice.mayLeaveOut(4))
        voice.restart()
        #expect(!voice.mayLeaveOut(4))
        let result4 = voice.open(1)
        #expect(result4)
    }

    @Test func whatIsLeftOutUnreadIsNoVoice() {
        var voice = VoiceActivity()
        voice.noteUnread(0x80 | 10)
        #expect(!voice.isSpeaking(at: .zero))
        _ = voice.note(0x80 | 10, at: .zero)
        #expect(voice.isSpeaking(at: .zero + .milliseconds(599)))
        #expect(!voice.isSpeaking(at: .zero + .milliseconds(600)))
    }
}
