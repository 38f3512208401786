import RTP
import Testing

@testable import SFU

/// Layers that are told by their ids: VP8, H.264, and VP9 without dependency descriptors.
@Suite struct LayerFilterTests {
    private final class Feed {
        let stream: OneStream
        var filter = LayerFilter()
        private var next: Int64 = 100
        private var picture: UInt32 = 0
        /// What was offered, by number, to be offered again.
        private var packets: [Int64: PacketRecord] = [:]

        init(top: UInt8 = 0) throws {
            stream = try OneStream()
            stream.source.pointee.layers.restructure(top: top)
        }

        struct Frame {
            var spatial: UInt8 = 0
            var temporal: UInt8 = 0
            var isKey = false
            /// VP8 Y, and what is like it.
            var isSync = false
            /// VP9 U.
            var isSwitch = false
            /// VP9 D.
            var usesLower = false
            /// VP9 Z.
            var isAlone = false
            var packets = 1
        }

        /// The numbers of a picture's packets that go out.
        @discardableResult
        func picture(_ frames: Frame...) -> [Int64] {
            picture += 3000
            var out: [Int64] = []
            for frame in frames {
                for index in 0..<frame.packets {
                    let record = record(frame, index, isLast: frame.spatial == frames.last?.spatial)
                    if offer(record.sequence) { out.append(record.sequence) }
                }
            }
            return out
        }

        private func record(_ frame: Frame, _ index: Int, isLast: Bool) -> PacketRecord {
            var it = PacketRecord()
            it.sequence = next
            it.timestamp = picture
            it.frame.spatialLayer = frame.spatial
            it.frame.temporalLayer = frame.temporal
            it.frame.startsFrame = index == 0
            it.frame.endsFrame = index == frame.packets - 1
            it.frame.isKeyFrameStart = frame.isKey && frame.spatial == 0 && index == 0
            it.frame.isInterPredicted = !frame.isKey
            it.frame.isLayerSync = frame.isSync
            it.frame.isSwitchingUpPoint = frame.isSwitch
            it.frame.isInterLayerPredicted = frame.usesLower
            it.frame.isNotReferenceForUpperLayers = frame.isAlone
            if isLast && it.frame.endsFrame { it.flags.insert(.marker) }
            next += 1
            packets[it.sequence] = it
            return it
        }

        /// Leaves a number out, as a loss does.
        func lose(_ count: Int64 = 1) { next += count }

        /// Whether this packet goes out.
        func offer(_ sequence: Int64) -> Bool {
            guard var record = packets[sequence] else { return false }
            return withUnsafeMutablePointer(to: &record) {
                let isIn = filter.admits($0, of: stream.source)
                return isIn
            }
        }

        /// A packet that comes behind newer ones, without its place among them.
        func late(_ frame: Frame, at sequence: Int64, timestamp: UInt32) -> Bool {
            var record = record(frame, 0, isLast: true)
            record.sequence = sequence
            record.timestamp = timestamp
            return withUnsafeMutablePointer(to: &record) {
                filter.admits($0, of: stream.source)
            }
        }

        func ends(_ sequence: Int64, withMarker: Bool = true) -> Bool {
            guard var record = packets[sequence] else { return false }
            if !withMarker { record.flags.remove(.marker) }
            return withUnsafeMutablePointer(to: &record) { filter.endsPicture($0) }
        }

        func want(_ spatial: UInt8 = 0, temporal: UInt8 = LayerTarget.allTemporal) {
            filter.want(spatial: spatial, temporal: temporal)
        }

        /// A source begins with a key picture.
        func begin(_ frames: Frame...) {
            picture += 3000
            var isFirst = true
            for frame in frames {
                for index in 0..<frame.packets {
                    var record = record(frame, index, isLast: frame.spatial == frames.last?.spatial)
                    if isFirst {
                        withUnsafeMutablePointer(to: &record) { filter.begin(with: $0, of: stream.source) }
                    }
                    isFirst = false
                    _ = offer(record.sequence)
                }
            }
        }
    }

    private typealias Frame = Feed.Frame
    private let key = Frame(isKey: true)

    // MARK: Temporal layers

    @Test func temporalLayersGoWithTheNextPicture() throws {
        let feed = try Feed()
        feed.want(temporal: 2)
        feed.begin(key)
        #expect(feed.picture(Frame(temporal: 2, packets: 2)).count == 2)
        // In the middle of a picture nothing changes.
        var part = Frame(temporal: 2)
        part.packets = 2
        let first = feed.picture(part)
        feed.want(temporal: 0)
        #expect(first.count == 2 && feed.offer(first[1]))
        #expect(feed.picture(Frame(temporal: 1)).isEmpty)
        #expect(feed.picture(Frame(temporal: 0)).count == 1)
    }

    /// VP8 Y: a frame of the next layer that needs the base layer alone. One layer at a time.
    @Test func aSyncFrameLeadsOneLayerUp() throws {
        let feed = try Feed()
        feed.want(temporal: 0)
        feed.begin(key)
        feed.want(temporal: 2)
        #expect(feed.picture(Frame(temporal: 1)).isEmpty)
        #expect(feed.picture(Frame(temporal: 2, isSync: true)).isEmpty)
        #expect(feed.picture(Frame(temporal: 1, isSync: true)).count == 1)
        #expect(feed.picture(Frame(temporal: 1)).count == 1)
        #expect(feed.picture(Frame(temporal: 2)).isEmpty)
        #expect(feed.picture(Frame(temporal: 2, isSync: true)).count == 1)
        #expect(feed.filter.choice.temporal == 2)
    }

    /// VP9 U speaks of the pictures behind the one that has it (RFC 9628 §4.2).
    @Test func everyLayerFollowsASwitchingUpPoint() throws {
        let feed = try Feed()
        feed.want(temporal: 0)
        feed.begin(key)
        feed.want(temporal: 2)
        #expect(feed.picture(Frame(temporal: 1, isSwitch: true)).isEmpty)
        // It did not go out: nothing follows from it.
        #expect(feed.picture(Frame(temporal: 2)).isEmpty)
        feed.picture(Frame(temporal: 0, isSwitch: true))
        #expect(feed.picture(Frame(temporal: 2)).count == 1)
        #expect(feed.picture(Frame(temporal: 1)).count == 1)
    }

    @Test func aPictureThatIsMissingBehindASwitchingUpPointMayBeNeeded() throws {
        let feed = try Feed()
        feed.want(temporal: 0)
        feed.begin(key)
        feed.want(temporal: 2)
        feed.picture(Frame(temporal: 0, isSwitch: true))
        feed.lose()
        #expect(feed.picture(Frame(temporal: 2)).isEmpty)
        #expect(feed.picture(Frame(temporal: 1)).isEmpty)
        // So is one whose first packet is missing.
        feed.picture(Frame(temporal: 0, isSwitch: true))
        #expect(feed.picture(Frame(temporal: 1)).count == 1)
    }

    @Test func aKeyPictureTakesAllThatIsWanted() throws {
        let feed = try Feed()
        feed.want(temporal: 0)
        feed.begin(key)
        feed.want(temporal: 2)
        #expect(feed.picture(Frame(temporal: 2)).isEmpty)
        feed.picture(key)
        #expect(feed.picture(Frame(temporal: 2)).count == 1)
        #expect(!feed.filter.needsKeyFrame(top: 0))
    }

    // MARK: Late packets

    @Test func latePacketsAreJudgedByWhatHeldAtTheirPlace() throws {
        let feed = try Feed()
        feed.want(temporal: 2)
        feed.begin(key)
        feed.picture(Frame(temporal: 0))
        feed.lose()
        let missing: Int64 = 102
        feed.want(temporal: 0)
        feed.picture(Frame(temporal: 0))
        feed.lose()
        let other: Int64 = 104
        feed.picture(Frame(temporal: 0))
        let t2 = Frame(temporal: 2)
        #expect(feed.late(t2, at: missing, timestamp: 7000) && !feed.late(t2, at: other, timestamp: 10_000))
        #expect(feed.filter.choice(at: missing).temporal == 2 && feed.filter.choice(at: other).temporal == 0)
    }

    /// Eight changes are remembered; what is older counts as the oldest of them.
    @Test func epochsAreRememberedByNumber() throws {
        let feed = try Feed()
        feed.want(temporal: 7)
        feed.begin(key)
        var changes: [(start: Int64, temporal: UInt8)] = [(.min, 7)]
        for temporal in [UInt8(6), 5, 4, 3, 2, 1, 0] {
            feed.want(temporal: temporal)
            if let number = feed.picture(Frame(temporal: 0)).first { changes.append((number, temporal)) }
            feed.picture(Frame(temporal: 0))
        }
        for temporal in [UInt8(5), 4, 3] {
            feed.want(temporal: temporal)
            if let number = feed.picture(key).first { changes.append((number, temporal)) }
        }
        #expect(changes.count == 11)
        for (index, change) in changes.enumerated() {
            let expected = changes[max(index, 2)].temporal
            let place = change.start == .min ? 100 : change.start
            #expect(feed.filter.choice(at: place).temporal == expected, "change \(index)")
            guard index > 2 else { continue }
            #expect(feed.filter.choice(at: place - 1).temporal == changes[index - 1].temporal)
        }
    }

    // MARK: Spatial layers

    @discardableResult
    private func svcPicture(_ feed: Feed, isKey: Bool = false, isAlone: Bool = false) -> [Int64] {
        feed.picture(
            Frame(spatial: 0, isKey: isKey, isAlone: isAlone, packets: 2),
            Frame(spatial: 1, isKey: isKey, usesLower: !isAlone, isAlone: isAlone),
            Frame(spatial: 2, isKey: isKey, usesLower: !isAlone, isAlone: isAlone || !isKey, packets: 2)
        )
    }

    private func begin(_ feed: Feed) {
        feed.begin(
            Frame(spatial: 0, isKey: true, packets: 2),
            Frame(spatial: 1, isKey: true, usesLower: true),
            Frame(spatial: 2, isKey: true, usesLower: true, packets: 2)
        )
    }

    /// Each layer has been decoded all the time: fewer of them can be shown at any picture, more at key pictures.
    @Test func fewerLayersGoOnAtAnyPictureAndMoreAtAKeyPicture() throws {
        let feed = try Feed(top: 2)
        feed.want(2)
        begin(feed)
        #expect(svcPicture(feed).count == 5)
        feed.want(0)
        #expect(!feed.filter.needsKeyFrame(top: 2))
        #expect(svcPicture(feed).count == 2)
        feed.want(1)
        #expect(feed.filter.needsKeyFrame(top: 2) && !feed.filter.needsKeyFrame(top: 0))
        #expect(svcPicture(feed).count == 2)
        #expect(svcPicture(feed, isKey: true).count == 3)
        #expect(!feed.filter.needsKeyFrame(top: 2))
        #expect(svcPicture(feed).count == 3)
    }

    /// Where only key pictures are predicted across layers, one layer of the others is enough, and nothing but a key
    /// picture leads to another one.
    @Test func aLayerThatStandsAloneIsLeftAtAKeyPictureOnly() throws {
        let feed = try Feed(top: 2)
        feed.want(2)
        begin(feed)
        #expect(svcPicture(feed, isAlone: true).count == 2)
        feed.want(0)
        #expect(feed.filter.needsKeyFrame(top: 2))
        #expect(svcPicture(feed, isAlone: true).count == 2 && feed.filter.choice.spatial == 2)
        #expect(svcPicture(feed, isKey: true).count == 2)
        #expect(!feed.filter.needsKeyFrame(top: 2))
        #expect(svcPicture(feed, isAlone: true).count == 2 && feed.filter.choice.spatial == 0)
        // Behind it, nothing was left out yet.
        feed.want(1)
        svcPicture(feed, isKey: true)
        feed.want(0)
        #expect(!feed.filter.needsKeyFrame(top: 2))
    }

    /// The sender gives up its highest layer: the one below is now the end of each picture, and says that nobody needs
    /// it.
    @Test func theHighestLayerThatIsLeftGoesOut() throws {
        let feed = try Feed(top: 2)
        feed.want(2)
        begin(feed)
        #expect(svcPicture(feed).count == 5)
        let rest = feed.picture(Frame(spatial: 0), Frame(spatial: 1, usesLower: true, isAlone: true))
        #expect(rest.count == 2 && feed.ends(rest[1]))
        feed.want(1)
        #expect(!feed.filter.needsKeyFrame(top: 2))
        // So does a key picture that ends below what is wanted.
        feed.want(2)
        let key = feed.picture(
            Frame(spatial: 0, isKey: true),
            Frame(spatial: 1, isKey: true, usesLower: true, isAlone: true)
        )
        #expect(key.count == 2 && feed.filter.choice.spatial == 2)
    }

    /// A lower layer that is lost is not seen to be left out: the one that is shown tells that it needs nothing of it.
    @Test func aLayerThatStandsAloneTellsSoItself() throws {
        let feed = try Feed(top: 1)
        feed.want(1)
        feed.begin(Frame(isKey: true), Frame(spatial: 1, isKey: true, usesLower: true))
        feed.want(0)
        #expect(!feed.filter.needsKeyFrame(top: 1))
        feed.lose()
        #expect(feed.picture(Frame(spatial: 1)).count == 1)
        #expect(feed.filter.needsKeyFrame(top: 1))
    }

    @Test func theMarkerIsAtTheEndOfTheHighestFrame() throws {
        let feed = try Feed(top: 2)
        feed.want(2)
        begin(feed)
        let whole = svcPicture(feed)
        #expect(whole.map { feed.ends($0) } == [false, false, false, false, true])
        feed.want(1)
        let part = svcPicture(feed)
        #expect(part.map { feed.ends($0) } == [false, false, true])
        // At its place, the picture before goes on to the highest layer.
        #expect(whole.map { feed.ends($0, withMarker: false) } == [false, false, false, false, true])
    }
}
