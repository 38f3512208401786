import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct QualityWordsTests {
    @Test(
        arguments: [
            (0, "0 kbit/s"), (499, "0 kbit/s"), (7200, "7 kbit/s"), (99_600, "100 kbit/s"),
            (622_999, "620 kbit/s"),
            (994_000, "990 kbit/s"), (996_000, "1\u{202f}000 kbit/s"), (1_943_000, "1\u{202f}900 kbit/s"),
            (12_345_000, "12\u{202f}000 kbit/s"), (.max, "4\u{202f}300\u{202f}000 kbit/s"),
        ] as [(UInt32, String)]
    )
    func ratesAreAsExactAsEstimates(bits: UInt32, words: String) {
        #expect(QualityWords.rate(bits) == words)
    }

    @Test func lossIsInPercent() {
        #expect(
            [0, 4, 15, 19, 20, 41, 46, 1000].map(QualityWords.percent) == [
                "0 %", "0.4 %", "1.5 %", "1.9 %", "2 %", "4 %", "5 %", "100 %",
            ]
        )
    }

    @Test func layersAreExplained() {
        let down = DirectionQuality(score: 30, lossPermille: 42)
        func words(
            _ shown: UInt16,
            _ better: UInt16,
            _ needed: UInt32,
            _ available: UInt32,
            _ down: DirectionQuality?
        ) -> String {
            QualityWords.layer(
                shown: shown,
                better: better,
                needed: needed,
                available: available,
                down: down
            )
        }
        #expect(
            words(360, 720, 1_900_000, 622_000, down)
                == "360p: your downlink is about 620 kbit/s, 4 % loss; 720p needs about 1\u{202f}900 kbit/s."
        )
        #expect(
            words(360, 0, 1_900_000, 622_000, nil)
                == "360p: your downlink is about 620 kbit/s; the next layer needs about 1\u{202f}900 kbit/s."
        )
        #expect(words(360, 720, 0, 0, down) == "360p: your downlink has no room for more.")
        #expect(
            words(0, 180, 210_000, 90_000, down)
                == "Paused: your downlink is about 90 kbit/s, 4 % loss; 180p needs about 210 kbit/s."
        )
        #expect(words(0, 0, 0, 0, nil) == "Paused: your downlink has no room for it.")
    }

    @Test func everyReasonHasASentence() {
        var sentences: Set<String> = []
        for reason in DirectionQuality.Reason.allCases {
            for isUp in [true, false] {
                let quality = DirectionQuality(
                    score: 20,
                    reason: reason,
                    lossPermille: 41,
                    roundTripMs: 900,
                    jitterMs: 60,
                    estimateBitsPerSecond: 622_000
                )
                let sentence = QualityWords.sentence(quality, isUp: isUp)
                #expect(sentence.hasSuffix(".") && sentence.count < 80, "\(sentence)")
                sentences.insert(sentence)
            }
        }
        #expect(
            sentences.count == 2 * DirectionQuality.Reason.allCases.count - 1,
            "layer is of the uplink alone"
        )
    }
}
