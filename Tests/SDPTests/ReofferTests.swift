import RTP
import SDP
import Testing

@Suite struct ReofferTests {
    static let slot = OfferText.vp8 + ["a=recvonly"]

    @Test func slotsKeepTheirSSRCs() throws {
        var text = OfferText(OfferText.opus + ["a=recvonly"], Self.slot)
        let first = try answered(text.offer, seed: 1).session
        text.sections += [Self.slot, OfferText.vp8 + ["a=sendonly"]]
        let second = try answered(text.offer, previous: first.media, seed: 2).session
        #expect(second.media.count == 4)
        #expect(second.media.prefix(2).map { $0.slot } == first.media.map { $0.slot })
        #expect(second.media[3].slot == nil)
        let third = try answered(text.offer, previous: second.media, seed: 3).session
        #expect(third == second)
    }

    @Test func newSSRCsAreUnlikeAllOthers() throws {
        var text = OfferText(Self.slot, OfferText.vp8 + ["a=sendonly"])
        let first = try answered(text.offer, seed: 7).session
        let slot = try #require(first.media[0].slot)
        let rtx = try #require(slot.rtxSSRC)
        // The same seed offers the taken numbers again, and the peer announces the third.
        var rng = SeededGenerator(seed: 7)
        let numbers = (0..<4).map { _ in UInt32.random(in: 1...UInt32.max, using: &rng) }
        #expect([slot.ssrc, rtx] == Array(numbers.prefix(2)))
        text.sections[1] += ["a=ssrc:\(numbers[2]) cname:x"]
        text.sections.append(Self.slot)
        let second = try answered(text.offer, previous: first.media, seed: 7).session
        #expect(second.media[0].slot == slot)
        #expect(second.media[2].slot?.ssrc == numbers[3])
    }

    @Test func aGeneratorThatRepeatsItselfIsAnError() throws {
        struct Stuck: RandomNumberGenerator {
            mutating func next() -> UInt64 { 0x0123_4567_89ab_cdef }
        }
        var rng = Stuck()
        let offer = try OfferText(Self.slot).offer
        #expect(throws: NegotiationError.noUniqueSSRC) {
            try negotiate(offer, policy: AnswerPolicy(), previous: [], using: &rng)
        }
    }

    @Test func aSlotThatStoppedGetsNewSSRCs() throws {
        var text = OfferText(Self.slot)
        let first = try answered(text.offer, seed: 1).session
        text.sections[0] = OfferText.vp8 + ["a=inactive"]
        let second = try answered(text.offer, previous: first.media, seed: 2).session
        #expect(second.media[0].slot == nil)
        text.sections[0] = Self.slot
        let third = try answered(text.offer, previous: second.media, seed: 3).session
        #expect(third.media[0].slot != nil)
        #expect(third.media[0].slot != first.media[0].slot)
    }

    @Test func aMidOfAnotherKindStartsAnew() throws {
        let first = try answered(OfferText(Self.slot).offer, seed: 1).session
        let audio = try OfferText(OfferText.opus + ["a=recvonly"]).offer
        let second = try answered(audio, previous: first.media, seed: 2).session
        #expect(second.media[0].slot?.ssrc != first.media[0].slot?.ssrc)
    }

    @Test func retransmissionMayComeAndGo() throws {
        let plain = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000", "a=recvonly"]
        let first = try answered(OfferText(plain).offer, seed: 1).session
        #expect(first.media[0].slot?.rtxSSRC == nil)
        let second = try answered(OfferText(Self.slot).offer, previous: first.media, seed: 2).session
        #expect(second.media[0].slot?.ssrc == first.media[0].slot?.ssrc)
        #expect(second.media[0].slot?.rtxSSRC != nil)
        let third = try answered(OfferText(plain).offer, previous: second.media, seed: 3).session
        #expect(third.media[0].slot == first.media[0].slot)
    }

    @Test func stoppedSectionsKeepTheirPlace() throws {
        var text = OfferText(Self.slot, OfferText.opus)
        let first = try answered(text.offer).session
        text.sections[0][0] = "m=video 0 UDP/TLS/RTP/SAVPF 96 97"
        let (second, answer) = try answered(text.offer, previous: first.media)
        #expect(second.sections.map { $0.rejection } == [.stopped, nil])
        #expect(try SessionDescription(parsing: answer).media.map { $0.port } == [0, 9])
        #expect(try SessionDescription(parsing: answer).media.map { $0.has("candidate") } == [false, true])
    }
}
