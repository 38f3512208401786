import RTP
import Testing

@testable import SFU

@Suite struct LevelTests {
    @Test func logarithmsAreRight() {
        #expect(abs(Decibels.ln(1)) < 1e-12)
        #expect(abs(Decibels.ln(2) - 0.693_147_180_559_945_3) < 1e-9)
        #expect(abs(Decibels.ln(10) - 2.302_585_092_994_046) < 1e-9)
        #expect(abs(Decibels.ln(1716) - 7.447_751_280_047_908) < 1e-9)
        #expect(abs(Decibels.ln(1e-10) + 23.025_850_929_940_457) < 1e-9)
        #expect(Decibels.ln(0) == -.infinity && Decibels.ln(-1) == -.infinity)
        #expect(abs(Decibels.of(power: 0.5) + 3.010_299_956_639_812) < 1e-8)
        #expect(abs(Decibels.amplitude(below: 20) - 0.1) < 1e-9)
        #expect(Decibels.amplitude(below: 500) == Decibels.amplitude(below: 127))
    }

    private func shown(_ levels: [UInt8?], for windows: Int) -> [UInt8] {
        var level = SmoothedLevel(at: .zero)
        var shown: [UInt8] = []
        for tick in 0..<(windows * 20) {
            if let byte = levels[tick % levels.count] { level.note(byte & 0x7f, isVoice: byte & 0x80 != 0) }
            if tick % 20 == 19 { shown.append(level.level(at: .zero + .milliseconds(Int64(tick + 1) * 20))) }
        }
        return shown
    }

    @Test func aSteadyVoiceIsShownAsItIs() {
        let levels = shown([0x80 | 30], for: 6)
        #expect(levels.first == 93)
        #expect(levels.last == 97)
    }

    @Test func halfAVoiceIsShownLowerAndLessThanTwoFifthsNot() {
        #expect(shown([0x80 | 30, 90], for: 8).last == 91)
        #expect(shown([0x80 | 30, 90, 90], for: 8).last == 0)
        #expect(shown([90], for: 3).last == 0)
        #expect(shown([nil], for: 3).last == 0)
    }

    @Test func whoFallsSilentIsNotShownForLong() {
        var level = SmoothedLevel(at: .zero)
        for _ in 0..<20 { level.note(20, isVoice: true) }
        let result1 = level.level(at: .zero + .milliseconds(400))
        #expect(result1 > 90)
        let result2 = level.level(at: .zero + .milliseconds(700))
        #expect(result2 > 90)
        let result3 = level.level(at: .zero + .milliseconds(800))
        #expect(result3 == 0)
    }
}
