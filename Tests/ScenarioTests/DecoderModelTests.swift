// The decoder that tells what a viewer sees.
import RTP
import Seam
import Simulation
import Testing

@Suite struct DecoderModelTests {
    private func forwarded(_ format: String, keyAt: UInt32 = 60) throws -> [ReceivedPacket] {
        let (publisher, packets) = originals(of: .video(try Formats.named(format)), pictures: 90) {
            source,
            picture in
            if picture == Int(keyAt) { source.requestKeyFrame(layer: 0) }
        }
        var forwarder = IdealForwarder(publisher)
        forwarder.forward(packets) { _ in IdealForwarder.Choice(layer: 0) }
        return forwarder.packets
    }

    @Test(arguments: ["VP8 L1T3", "H264", "VP9 L3T3", "AV1 L3T3_KEY"])
    func aFrameThatIsMissingStopsThePictureUntilTheNextKeyFrame(format: String) throws {
        let packets = try forwarded(format)
        #expect(DecoderModel(packets).freezes(longerThan: .milliseconds(40)).isEmpty)
        let broken = packets.filter { !($0.stamp?.frame == 24 && $0.stamp?.part == 0) }
        let model = DecoderModel(broken)
        let freezes = model.freezes(longerThan: .milliseconds(200))
        #expect(freezes.count == 1, "\(format)")
        let again = model.first(after: try #require(freezes.first).from)
        #expect(again?.stamp.frame == 60 && again?.stamp.isKey == true, "\(format)")
    }

    @Test func aFrameThatNobodyNeedsIsMissedAlone() throws {
        let packets = try forwarded("VP8 L1T3").filter { $0.stamp?.frame != 25 }
        let model = DecoderModel(packets)
        #expect(model.freezes(longerThan: .milliseconds(100)).isEmpty)
        #expect(!model.shown.contains { $0.stamp.frame == 25 })
        #expect(model.shown.count == 89)
    }

    @Test func whatComesLateIsDecodedAndShownNoMore() throws {
        var packets = try forwarded("VP8 L1T3")
        // A base frame comes 300 ms late: what needs it waits, and is shown at once when it comes.
        for i in packets.indices where packets[i].stamp?.frame == 24 {
            packets[i].at = packets[i].at + .milliseconds(300)
        }
        let model = DecoderModel(packets)
        let freezes = model.freezes(longerThan: .milliseconds(200))
        #expect(freezes.count == 1)
        #expect(freezes.first.map { $0.length < .milliseconds(350) } == true)
        #expect(zip(model.shown, model.shown.dropFirst()).allSatisfy { $0.stamp.frame < $1.stamp.frame })
    }

    @Test func theLayerOnTheScreenIsTheHighestThatIsWhole() throws {
        let packets = try forwarded("VP9 L3T3", keyAt: 200)
        let model = DecoderModel(packets.filter { !($0.stamp?.spatial == 2 && ($0.stamp?.frame ?? 0) >= 40) })
        #expect(model.picture(at: .zero + .milliseconds(1000))?.spatial == 2)
        #expect(model.picture(at: .zero + .milliseconds(2000))?.spatial == 1)
        #expect(abs(model.rate(from: .zero + .seconds(1), to: .zero + .seconds(2)) - 30) <= 1)
    }
}
