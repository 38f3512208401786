import RTP
import Testing

@testable import SFU

/// Layers that dependency descriptors tell.
@Suite struct LayerFilterDescriptorTests {
    private final class Feed {
        private let stream: OneStream
        private let plan: DescriptorPlan
        var filter = LayerFilter()
        private var next: Int64 = 0
        private var timestamp: UInt32 = 0
        private var number: UInt16 = 0xfff0

        init(_ plan: DescriptorPlan, spatial: UInt8 = 0, temporal: UInt8 = 0) throws {
            self.plan = plan
            stream = try OneStream()
            filter.want(spatial: spatial, temporal: temporal)
        }

        struct Outcome: Equatable {
            var isIn: Bool
            var mask: UInt32
        }

        /// A frame of one packet. A loss: it takes its number and does not come.
        /// - Parameter isNew: it begins a picture.
        @discardableResult
        func frame(
            _ template: Int,
            isNew: Bool = true,
            isKey: Bool = false,
            isLost: Bool = false,
            indications: String? = nil,
            differences: [Int]? = nil,
            chains: [Int]? = nil,
            active: UInt32? = nil
        ) -> Outcome {
            defer {
                next += 1
                number &+= 1
            }
            if isNew { timestamp += 3000 }
            guard !isLost else { return Outcome(isIn: false, mask: 0) }
            let bytes = plan.bytes(
                template,
                number: number,
                withStructure: isKey,
                indications: indications,
                differences: differences,
                chains: chains,
                mask: active
            )
            guard var record = record(bytes) else {
                Issue.record("unreadable descriptor")
                return Outcome(isIn: false, mask: 0)
            }
            return withUnsafeMutablePointer(to: &record) { record in
                if isKey && filter.choice.target < 0 { filter.begin(with: record, of: stream.source) }
                let isIn = filter.admits(record, of: stream.source)
                return Outcome(isIn: isIn, mask: filter.mask(for: record))
            }
        }

        private func record(_ bytes: [UInt8]) -> PacketRecord? {
            let source = stream.source
            guard let read = source.pointee.structures.read(bytes, sequence: next) else { return nil }
            if read.hasStructure, let structure = source.pointee.structures.newest {
                source.pointee.layers.restructure(top: structure.pointee.maxSpatialLayer)
            }
            var it = PacketRecord()
            it.sequence = next
            it.timestamp = timestamp
            it.flags.insert(.indications)
            it.frame.apply(read)
            it.structureNumber = source.pointee.structures.number(of: read, sequence: next)
            it.activeTargets = source.pointee.structures.newest?.pointee.activeDecodeTargets ?? 0
            it.indications = read.indications
            it.frameNumber = read.frameNumber
            for i in 0..<read.differenceCount {
                let difference = read.differences[i]
                it.references |= difference <= 64 ? 1 << UInt64(difference - 1) : .max
            }
            for chain in 0..<read.chainCount {
                it.chainDifferences |= UInt32(read.chainDifferences[chain]) << UInt32(8 * chain)
            }
            return it
        }
    }

    private typealias Outcome = Feed.Outcome
    private func out(_ mask: UInt32 = 0) -> Outcome { Outcome(isIn: true, mask: mask) }

    /// A cycle of L1T3 behind a key or switch frame: 2 1 2 0 2 1 2.
    private func cycle(_ feed: Feed) -> [Bool] {
        [4, 2, 4, 1, 4, 3, 4].map { feed.frame($0).isIn }
    }

    private let onlyT0 = [false, false, false, true, false, false, false]

    // MARK: Up

    @Test func layersAreAddedAtASwitchAndNowhereElse() throws {
        let feed = try Feed(.l1t3, temporal: 0)
        #expect(feed.frame(0, isKey: true) == out(0b001))
        #expect(cycle(feed) == onlyT0)
        feed.filter.want(spatial: 0, temporal: 2)
        // The base frame is "required" for the higher targets.
        #expect(feed.frame(1) == out(0b001))
        #expect([4, 2, 4].map { feed.frame($0).isIn } == [false, false, false])
        // Now it is "switch" for all of them.
        #expect(feed.frame(1, indications: "SSS") == out(0b111))
        #expect(cycle(feed) == [true, true, true, true, true, true, true])
    }

    @Test func aSwitchWhoseReferencesWereLeftOutIsNone() throws {
        let feed = try Feed(.l1t3, temporal: 0)
        feed.frame(0, isKey: true)
        _ = cycle(feed)
        feed.filter.want(spatial: 0, temporal: 1)
        // It says "switch", but refers to the frame right before it, which was of the highest layer.
        #expect(feed.frame(1, indications: "SSR", differences: [1]) == out(0b001))
        feed.frame(4)
        #expect(feed.frame(1, indications: "SSR", differences: [2], chains: [2]) == out(0b011))
    }

    /// The chain protects what follows: if its last frame is missing, the target cannot be decoded.
    @Test func aSwitchBehindABrokenChainIsNone() throws {
        let feed = try Feed(.l1t3, temporal: 0)
        feed.frame(0, isKey: true)
        [4, 2, 4].forEach { feed.frame($0) }
        feed.frame(1, isLost: true)
        [4, 3, 4].forEach { feed.frame($0) }
        feed.filter.want(spatial: 0, temporal: 2)
        // Its own reference is the key frame, which came; the chain's last frame did not.
        #expect(feed.frame(1, indications: "SSS", differences: [8]) == out(0b001))
        [4, 2, 4].forEach { feed.frame($0) }
        #expect(feed.frame(1, indications: "SSS") == out(0b111))
    }

    /// A reference that is more than 64 frames back is not known to have come.
    @Test func referencesAreRememberedForSixtyFourFrames() throws {
        for distance in [60, 68] {
            let feed = try Feed(.l1t3, temporal: 0)
            feed.frame(0, isKey: true)
            for index in 1..<distance { feed.frame(index % 4 == 0 ? 1 : 4) }
            feed.filter.want(spatial: 0, temporal: 2)
            let outcome = feed.frame(1, indications: "SSS", differences: [distance])
            #expect(outcome == out(distance <= 64 ? 0b111 : 0b001), "distance \(distance)")
        }
    }

    // MARK: Down

    @Test func whatIsContainedIsReachedAtAnyPicture() throws {
        let feed = try Feed(.l1t3, temporal: 2)
        #expect(feed.frame(0, isKey: true) == out())
        feed.filter.want(spatial: 0, temporal: 1)
        #expect(feed.frame(4) == Outcome(isIn: false, mask: 0b011))
        #expect(feed.frame(2) == out(0b011))
        feed.filter.want(spatial: 0, temporal: 0)
        #expect(feed.frame(4) == Outcome(isIn: false, mask: 0b001))
        #expect(!feed.filter.needsKeyFrame(top: 0))
    }

    @Test func aLowerLayerOfEachPictureIsReachedWithoutAKeyFrame() throws {
        let feed = try Feed(.l2t1, spatial: 1)
        feed.frame(0, isKey: true)
        feed.frame(2, isNew: false)
        feed.filter.want(spatial: 0, temporal: 0)
        #expect(!feed.filter.needsKeyFrame(top: 1))
        #expect(feed.frame(1) == out(0b01))
        #expect(!feed.frame(3, isNew: false).isIn)
        feed.filter.want(spatial: 1, temporal: 0)
        #expect(feed.filter.needsKeyFrame(top: 1))
    }

    @Test func aLowerLayerThatIsLeftOutNeedsAKeyFrame() throws {
        let feed = try Feed(.l2t1Key, spatial: 1)
        feed.frame(0, isKey: true)
        feed.frame(2, isNew: false)
        #expect(!feed.frame(1).isIn)
        #expect(feed.frame(3, isNew: false) == out())
        feed.filter.want(spatial: 0, temporal: 0)
        // Its frames say "switch", but the one before was left out.
        #expect(!feed.frame(1).isIn)
        #expect(feed.frame(3, isNew: false).isIn)
        #expect(feed.filter.needsKeyFrame(top: 1))
        #expect(feed.frame(0, isKey: true) == out(0b01))
        #expect(!feed.frame(2, isNew: false).isIn)
        #expect(!feed.filter.needsKeyFrame(top: 1))
        #expect(feed.frame(1) == out(0b01))
    }

    /// Right behind the key picture the lower layer has all that it needs.
    @Test func rightBehindAKeyPictureTheLowerLayerIsReached() throws {
        let feed = try Feed(.l2t1Key, spatial: 1)
        feed.frame(0, isKey: true)
        feed.frame(2, isNew: false)
        feed.filter.want(spatial: 0, temporal: 0)
        #expect(feed.frame(1) == out(0b01))
    }

    /// What goes on is decided where the picture starts: its lower frames are out already.
    @Test func nothingIsTakenAwayInTheMiddleOfAPicture() throws {
        let feed = try Feed(.l2t1, spatial: 1)
        feed.frame(0, isKey: true)
        feed.frame(2, isNew: false)
        feed.frame(1)
        feed.filter.want(spatial: 0, temporal: 0)
        #expect(feed.frame(3, isNew: false).isIn)
        #expect(feed.frame(1) == out(0b01))
        // Nor is a temporal layer.
        let other = try Feed(.l2t2, spatial: 1, temporal: 1)
        other.frame(0, isKey: true)
        other.frame(3, isNew: false)
        #expect(other.frame(2).isIn)
        other.filter.want(spatial: 1, temporal: 0)
        #expect(other.frame(5, isNew: false) == out())
        #expect(other.frame(1) == out(0b0101))
        #expect(other.frame(4, isNew: false).isIn)
        #expect(!other.frame(2).isIn && !other.frame(5, isNew: false).isIn)
    }

    /// The frame that lets more pictures follow may be the highest of its picture.
    @Test func temporalLayersAreAddedInTheMiddleOfAPicture() throws {
        let feed = try Feed(.l2t2, spatial: 1, temporal: 0)
        feed.frame(0, isKey: true)
        #expect(feed.frame(3, isNew: false) == out(0b0101))
        feed.filter.want(spatial: 1, temporal: 1)
        #expect(feed.frame(1) == out(0b0101))
        #expect(feed.frame(4, isNew: false, indications: "--SS", differences: [1, 2]) == out(0b1111))
        #expect(feed.frame(2).isIn && feed.frame(5, isNew: false).isIn)
    }

    // MARK: Masks

    /// A mask that nobody was told cannot excuse what was left out under it: one packet goes out before the next one.
    @Test func aMaskIsToldBeforeItIsReplaced() throws {
        let feed = try Feed(.l1t3, temporal: 2)
        feed.frame(0, isKey: true)
        feed.filter.want(spatial: 0, temporal: 1)
        // Left out under the new mask, which did not go out with it.
        feed.frame(4)
        feed.filter.want(spatial: 0, temporal: 0)
        #expect(feed.frame(2) == out(0b011))
        feed.frame(4)
        #expect(feed.frame(1) == out(0b001))
    }

    @Test func whatTheSenderDoesNotMakeIsNotExpected() throws {
        let feed = try Feed(.l1t3, temporal: 1)
        #expect(feed.frame(0, isKey: true) == out(0b011))
        #expect(feed.frame(4, active: 0b001) == Outcome(isIn: false, mask: 0b001))
        #expect(feed.frame(1) == out(0b001))
        #expect(feed.frame(1, active: 0b111) == out(0b011))
        // It makes nothing of it: the mask stays as it was.
        #expect(feed.frame(1, active: 0b100) == out(0b011))
    }

    @Test func everythingNeedsNoMask() throws {
        let feed = try Feed(.l1t3, temporal: 2)
        #expect(feed.frame(0, isKey: true) == out())
        #expect(feed.frame(4) == out())
        // Once one was told, it is taken back by another one, up to the next structure.
        feed.filter.want(spatial: 0, temporal: 0)
        #expect(feed.frame(1) == out(0b001))
        feed.filter.want(spatial: 0, temporal: 2)
        #expect(feed.frame(1, indications: "SSS", differences: [1], chains: [1]) == out(0b111))
        #expect(feed.frame(0, isKey: true) == out())
    }
}
