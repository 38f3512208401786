import RTP
import SDP
import Testing

/// Every text gives a value or an SDPError; every offer gives an answer that can be read, or a
/// NegotiationError.
@Suite struct RobustnessTests {
    /// Reads, and where that works negotiates and reads what was written: there an SDPError fails the test.
    private func survives(_ text: String) throws -> Bool {
        guard let offer = try? Offer(parsing: text) else { return false }
        do {
            let answer = try SessionDescription(parsing: answered(offer).text)
            #expect(answer.media.count == offer.sections.count)
            return true
        } catch is NegotiationError {
            return false
        }
    }

    @Test(arguments: Fixture.all)
    func truncationAtEveryLine(name: String) throws {
        let bytes = Array(try Fixture.text(name).utf8)
        for (index, byte) in bytes.enumerated() where byte == 10 {
            let text = String(decoding: bytes[...index], as: UTF8.self)
            _ = try survives(text)
            _ = try? ICEFragment(parsing: text)
            guard let description = try? SessionDescription(parsing: text) else { continue }
            #expect(description.text == text)
        }
    }

    @Test(arguments: ["gst_whip_offer.sdp", "firefox_AV1.answer.sdp"])
    func truncationAtEveryByte(name: String) throws {
        let bytes = Array(try Fixture.text(name).utf8)
        for count in bytes.indices { _ = try survives(String(decoding: bytes.prefix(count), as: UTF8.self)) }
    }

    @Test(arguments: Fixture.all)
    func randomMutations(name: String) throws {
        let original = Array(try Fixture.text(name).utf8)
        var accepted = 0
        // Some 9 000 rounds in all; the one large fixture gets fewer.
        let rounds: UInt64 = original.count > 8_000 ? 50 : name.hasSuffix("answer.sdp") ? 200 : 300
        for seed in 0..<rounds {
            var rng = SeededGenerator(seed: seed)
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &rng) { mutate(&bytes, using: &rng) }
            do {
                if try survives(String(decoding: bytes, as: UTF8.self)) { accepted += 1 }
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
        #expect(accepted > 0 || name == "firefox_VP8_sim.answer.sdp", "no mutation was ever accepted")
    }

    private func mutate(_ bytes: inout [UInt8], using rng: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: bytes.indices, using: &rng)
        let end = min(bytes.count, place + Int.random(in: 1...40, using: &rng))
        switch Int.random(in: 0..<6, using: &rng) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &rng)
        case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &rng)
        case 2: bytes.removeSubrange(place..<end)
        case 3:
            bytes.insert(
                contentsOf: Array(bytes[place..<end]),
                at: Int.random(in: bytes.indices, using: &rng)
            )
        case 4: bytes.insert(contentsOf: Array("99999999999999999999".utf8), at: place)
        default: swapLines(&bytes, using: &rng)
        }
    }

    private func swapLines(_ bytes: inout [UInt8], using rng: inout SeededGenerator) {
        var lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
        lines.swapAt(
            Int.random(in: lines.indices, using: &rng),
            Int.random(in: lines.indices, using: &rng)
        )
        bytes = Array(lines.joined(separator: [10]))
    }

    @Test func randomBytes() throws {
        var rng = SeededGenerator(seed: 99)
        for _ in 0..<1000 {
            let bytes = (0..<Int.random(in: 0...200, using: &rng)).map { _ in
                UInt8.random(in: 0...255, using: &rng)
            }
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(try !survives(text))
            _ = try? ICEFragment(parsing: text)
        }
    }
}
