import RTP
import Testing

@testable import SFU

@Suite struct LayerActivityTests {
    private let start = Instant(microseconds: 3_000_000)

    private func packet(
        spatial: UInt8 = 0,
        temporal: UInt8 = 0,
        timestamp: UInt32 = 0,
        length: UInt16 = 1000,
        startsFrame: Bool = true
    ) -> PacketRecord {
        var it = PacketRecord()
        it.timestamp = timestamp
        it.length = length
        it.frame.spatialLayer = spatial
        it.frame.temporalLayer = temporal
        it.frame.startsFrame = startsFrame
        return it
    }

    /// Pictures of these spatial layers at a rate, with temporal layers 0 2 1 2.
    private func send(
        _ activity: inout LayerActivity,
        _ layers: ClosedRange<UInt8> = 0...0,
        pictures: Int64,
        every interval: Interval = .milliseconds(33),
        from begin: Instant,
        first: Int64 = 0
    ) {
        let pattern: [UInt8] = [0, 2, 1, 2]
        for picture in first..<first + pictures {
            let now = begin + Interval(microseconds: interval.microseconds * (picture - first))
            for spatial in layers {
                let record = packet(
                    spatial: spatial,
                    temporal: pattern[Int(picture) % 4],
                    timestamp: UInt32(truncatingIfNeeded: picture * 3000)
                )
                _ = activity.note(record, isScreen: false, at: now)
            }
        }
    }

    private func alive(_ activity: LayerActivity, at reference: Instant, isScreen: Bool = false) -> UInt8 {
        activity.alive(isScreen: isScreen, reference: reference)
    }

    // MARK: Who is alive

    @Test func aLayerLivesAsLongAsItIsHeard() {
        var activity = LayerActivity()
        #expect(alive(activity, at: start) == 0)
        let first = activity.note(packet(), isScreen: false, at: start)
        let second = activity.note(packet(timestamp: 3000), isScreen: false, at: start + .milliseconds(33))
        let upper = activity.note(packet(spatial: 1), isScreen: false, at: start + .milliseconds(33))
        #expect(first && !second && upper)
        let last = start + .milliseconds(33)
        let patience = activity.patience(isScreen: false)
        #expect(alive(activity, at: last + patience - .microseconds(1)) == 0b11)
        #expect(alive(activity, at: last + patience) == 0)
        let part = packet(timestamp: 9000, startsFrame: false)
        let again = activity.note(part, isScreen: false, at: last + patience)
        #expect(again && alive(activity, at: last + patience) == 0b01)
        #expect(activity.newest == last + patience)
    }

    /// Five pictures at the rate that it had, within bounds.
    @Test(
        arguments: [
            (33, 250), (50, 250), (100, 500), (200, 1000), (900, 2000),
        ] as [(Int64, Int64)]
    )
    func patienceFollowsTheRate(_ interval: Int64, _ patience: Int64) {
        var activity = LayerActivity()
        send(&activity, pictures: 60, every: .milliseconds(interval), from: start)
        let measured = activity.patience(isScreen: false).microseconds
        #expect(abs(measured - patience * 1000) <= patience * 10, "\(measured)")
    }

    @Test func aPauseIsNoRate() {
        var activity = LayerActivity()
        send(&activity, pictures: 40, from: start)
        let before = activity.pictureInterval
        send(&activity, pictures: 1, from: start + .seconds(30), first: 40)
        #expect(activity.pictureInterval == before)
    }

    /// The packets of one picture, of whatever layers, are one picture.
    @Test func packetsOfOnePictureCountOnce() {
        var activity = LayerActivity()
        for step in Int64(0)..<40 {
            for part in Int64(0)..<3 {
                let record = packet(spatial: UInt8(part), timestamp: UInt32(step), startsFrame: part != 1)
                let now = start + .milliseconds(step * 33 + part)
                _ = activity.note(record, isScreen: false, at: now)
            }
        }
        let now = start + .milliseconds(40 * 33)
        let rate = activity.picturesPerSecond(upTo: 3, at: now)
        #expect((27...31).contains(rate), "\(rate)")
        #expect(abs(activity.pictureInterval.microseconds - 33_000) < 100)
    }

    @Test func aScreenMayStandStill() {
        var activity = LayerActivity()
        _ = activity.note(packet(), isScreen: true, at: start)
        let late = start + Limits.Media.screenLayerTimeout - .microseconds(1)
        #expect(alive(activity, at: late, isScreen: true) == 1 && alive(activity, at: late) == 0)
        let wasSilent = activity.note(packet(timestamp: 1), isScreen: true, at: late)
        #expect(!wasSilent)
        #expect(alive(activity, at: late + Limits.Media.screenLayerTimeout, isScreen: true) == 0)
    }

    // MARK: What the sender says

    @Test func whatTheSenderStoppedIsGoneAtOnce() {
        var activity = LayerActivity()
        send(&activity, 0...2, pictures: 30, from: start)
        let now = start + .milliseconds(29 * 33)
        #expect(alive(activity, at: now) == 0b111)
        let isNews = activity.announce(0b001, at: now)
        let again = activity.announce(0b001, at: now + .seconds(1))
        #expect(isNews && !again && activity.announced == 0b001)
        #expect(alive(activity, at: now) == 0b001)
    }

    /// Packets on their way do not contradict it, those that still come after half a second do.
    @Test func theSenderIsBelievedUntilItsPacketsSayOtherwise() {
        var activity = LayerActivity()
        send(&activity, 0...1, pictures: 30, from: start)
        let now = start + .milliseconds(29 * 33)
        _ = activity.announce(0b01, at: now)
        _ = activity.note(packet(spatial: 1, timestamp: 1), isScreen: false, at: now + .milliseconds(500))
        #expect(alive(activity, at: now + .milliseconds(500)) & 0b10 == 0)
        _ = activity.note(packet(spatial: 1, timestamp: 2), isScreen: false, at: now + .milliseconds(501))
        #expect(alive(activity, at: now + .milliseconds(501)) & 0b10 != 0)
    }

    /// Its word does not bring a layer to life of which nothing comes.
    @Test func whatIsAnnouncedMustCome() {
        var activity = LayerActivity()
        _ = activity.announce(0b111, at: start)
        _ = activity.note(packet(), isScreen: false, at: start)
        #expect(alive(activity, at: start) == 0b001)
    }

    @Test func anotherSenderSaidNothingYet() {
        var activity = LayerActivity()
        send(&activity, 0...1, pictures: 8, from: start)
        _ = activity.announce(0b01, at: start)
        activity.restart()
        #expect(activity.announced == nil && activity.topTemporal == 0)
        #expect(alive(activity, at: start + .milliseconds(7 * 33)) == 0b11)
    }

    // MARK: Sizes

    @Test func theHighestLayerIsSeenOrAnnounced() {
        var activity = LayerActivity()
        _ = activity.note(packet(spatial: 1), isScreen: false, at: start)
        #expect(activity.top == 1)
        activity.resize(2, width: 1280, height: 720)
        #expect(activity.top == 2 && activity.widths[2] == 1280 && activity.heights[2] == 720)
        activity.resize(1, width: 0, height: 360)
        activity.resize(4, width: 9, height: 9)
        activity.resize(-1, width: 9, height: 9)
        #expect(activity.widths[1] == 0 && activity.top == 2)
        _ = activity.note(packet(spatial: 7), isScreen: false, at: start)
        #expect(activity.top == 3)
    }

    @Test func aNewStructureEndsTheLayersThatItHasNot() {
        var activity = LayerActivity()
        send(&activity, 0...2, pictures: 4, from: start)
        let now = start + .milliseconds(99)
        activity.restructure(top: 0)
        #expect(activity.top == 0 && alive(activity, at: now) == 0b001)
        activity.restructure(top: 9)
        #expect(activity.top == 3)
    }

    // MARK: Rates

    @Test func ratesAreOfTheLastSecondByLayer() {
        var activity = LayerActivity()
        send(&activity, 0...1, pictures: 90, every: .microseconds(33_333), from: start)
        let now = start + .microseconds(33_333 * 90)
        let rates = (0...3).map { activity.picturesPerSecond(upTo: $0, at: now) }
        #expect(zip(rates, [7.5, 15, 30, 30]).allSatisfy { abs(Double($0) - $1) <= 3 }, "\(rates)")
        #expect(rates[2] == rates[3] && activity.topTemporal == 2)
        // 30 packets of 1000 bytes each second and layer.
        let low = activity.bitsPerSecond(upTo: 0, at: now)
        let all = activity.bitsPerSecond(upTo: 1, at: now)
        #expect((210_000...250_000).contains(low) && all == 2 * low, "\(low)")
        #expect(activity.bitsPerSecond(upTo: 3, at: now) == all)
        #expect(activity.bitsPerSecond(upTo: 1, at: now + .seconds(2)) == 0)
        #expect(activity.picturesPerSecond(upTo: 3, at: now + .seconds(2)) == 0)
    }

    @Test func bucketsAreForgottenOneByOne() {
        var meter = RateMeter()
        for tenth in Int64(0)..<10 { meter.add(1, at: start + .milliseconds(tenth * 100)) }
        var seen: [UInt32] = []
        for tenth in Int64(9)..<21 { seen.append(meter.perSecond(at: start + .milliseconds(tenth * 100))) }
        #expect(seen == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
        // A clock that stands or goes back counts into the newest bucket.
        meter.add(5, at: start)
        #expect(meter.perSecond(at: start + .milliseconds(2000)) == 5)
    }
}
