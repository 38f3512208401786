import RTP
import Testing

@testable import SFU

/// Feedback about numbers from `base` on; nil: not received.
private func feedback(_ base: UInt16, count: UInt8 = 0, _ arrivals: [Int64?]) -> [UInt8] {
    var symbols: [UInt8] = []
    var deltas: [UInt8] = []
    let first = arrivals.compactMap { $0 }.first ?? 0
    let reference = first / 64_000
    var last = reference * 64_000
    for arrival in arrivals {
        guard let arrival else {
            symbols.append(0)
            continue
        }
        let ticks = Int16((arrival - last) / 250)
        symbols.append(2)
        deltas += [UInt8(truncatingIfNeeded: ticks >> 8), UInt8(truncatingIfNeeded: ticks)]
        last = arrival
    }
    var bytes: [UInt8] = [0x8F, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    bytes += [UInt8(base >> 8), UInt8(base & 0xFF), UInt8(arrivals.count >> 8), UInt8(arrivals.count & 0xFF)]
    bytes += [UInt8(truncatingIfNeeded: reference >> 16), UInt8(truncatingIfNeeded: reference >> 8)]
    bytes += [UInt8(truncatingIfNeeded: reference), count]
    for start in stride(from: 0, to: symbols.count, by: 7) {
        var chunk: UInt16 = 0xC000
        for place in 0..<7 where start + place < symbols.count {
            chunk |= UInt16(symbols[start + place]) << UInt16(12 - 2 * place)
        }
        bytes += [UInt8(chunk >> 8), UInt8(chunk & 0xFF)]
    }
    bytes += deltas
    while bytes.count % 4 != 0 { bytes.append(0) }
    bytes[3] = UInt8(bytes.count / 4 - 1)
    return bytes
}

@Suite struct BandwidthEstimatorTests {
    private let start = Instant(microseconds: 5_000_000)

    private func receive(_ bytes: [UInt8], _ estimator: inout BandwidthEstimator, at now: Instant)
        -> BandwidthEstimator.OnFeedback
    {
        var result = BandwidthEstimator.OnFeedback()
        eachFeedback(bytes) { result = estimator.receive($0, at: now) }
        return result
    }

    private func send(
        _ numbers: ClosedRange<UInt16>,
        _ estimator: inout BandwidthEstimator,
        from begin: Instant
    ) {
        for (index, number) in numbers.enumerated() {
            estimator.sent(number, size: 1000, kind: .video, at: begin + .milliseconds(Int64(index) * 10))
        }
    }

    // MARK: Feedback

    @Test func eachPacketIsCountedOnce() {
        var estimator = BandwidthEstimator()
        send(100...104, &estimator, from: start)
        let now = start + .milliseconds(100)
        let first = receive(feedback(100, [0, nil, 20_000, nil, 40_000]), &estimator, at: now)
        #expect(first.received == 3 && first.lost == 2 && first.unsent == 0)
        let again = receive(feedback(100, [0, nil, 20_000, nil, 40_000]), &estimator, at: now)
        #expect(again.received == 0 && again.lost == 0 && again.repeated == 3)
        let late = receive(feedback(101, count: 1, [45_000, 20_000, nil]), &estimator, at: now)
        #expect(late.received == 1 && late.recovered == 1 && late.repeated == 1 && late.lost == 0)
        #expect(estimator.history.inFlight == 0)
    }

    @Test func numbersThatWereNeverSentAreCountedAndIgnored() {
        var estimator = BandwidthEstimator()
        let early = receive(feedback(1, [0, 1000]), &estimator, at: start)
        #expect(early == .init(unsent: 2))
        send(100...101, &estimator, from: start)
        let forged = receive(
            feedback(99, [0, 1000, 2000, 3000, 4000]),
            &estimator,
            at: start + .milliseconds(90)
        )
        #expect(forged.unsent == 3 && forged.received == 2)
        let far = receive(feedback(40_000, count: 1, [0, 1000]), &estimator, at: start + .milliseconds(95))
        #expect(far == .init(unsent: 2))
    }

    @Test func packetsThatAreSkippedAreLostUnlessAMessageIsMissing() {
        var skipped = BandwidthEstimator()
        send(1...10, &skipped, from: start)
        _ = receive(feedback(1, count: 0, [0, 10_000]), &skipped, at: start + .milliseconds(60))
        let next = receive(feedback(5, count: 1, [40_000]), &skipped, at: start + .milliseconds(160))
        #expect(next.lost == 2)
        var missing = BandwidthEstimator()
        send(1...10, &missing, from: start)
        _ = receive(feedback(1, count: 0, [0, 10_000]), &missing, at: start + .milliseconds(60))
        let after = receive(feedback(5, count: 2, [40_000]), &missing, at: start + .milliseconds(160))
        #expect(after.lost == 0 && after.received == 1)
        // The words come after all.
        let late = receive(feedback(3, count: 1, [20_000, nil]), &missing, at: start + .milliseconds(170))
        #expect(late.received == 1 && late.lost == 1 && late.recovered == 0)
    }

    @Test func theReferenceTimeMayWrap() {
        var estimator = BandwidthEstimator()
        let period = TransportFeedbackParser.referencePeriod
        var estimates: [Int] = []
        for round in 0..<40 {
            let begin = start + .milliseconds(Int64(round) * 100)
            let base = UInt16(round * 10)
            send(base...(base + 9), &estimator, from: begin)
            // Half a period is where the signed reference turns negative.
            let arrivals = (0..<10).map { Optional(period / 2 - 2_000_000 + Int64(round * 10 + $0) * 10_000) }
            let result = receive(
                feedback(base, count: UInt8(round), arrivals),
                &estimator,
                at: begin + .milliseconds(130)
            )
            #expect(result.received == 10)
            estimates.append(estimator.estimate)
        }
        #expect(estimates.min().map { $0 >= 300_000 } == true, "\(estimates)")
    }

    // MARK: The other words of a peer

    @Test func withoutFeedbackThePeersEstimateCounts() {
        var settings = BandwidthEstimator.Settings()
        settings.hasFeedback = false
        var estimator = BandwidthEstimator(settings)
        estimator.begin(at: start)
        estimator.want(desired: 2_500_000, nextStep: 2_500_000, at: start)
        send(1...10, &estimator, from: start)
        let raised = estimator.received(receiverEstimate: 1_500_000, at: start)
        #expect(raised == .raised && estimator.target == 1_500_000 && estimator.bound == .receiver)
        let lowered = estimator.received(
            fractionLost: 128,
            roundTrip: .milliseconds(80),
            used: 1_500_000,
            at: start
        )
        #expect(lowered == .lowered && estimator.target == 1_125_000)
        #expect(estimator.roundTrip == .milliseconds(80))
        _ = estimator.advance(to: start + .seconds(1))
        #expect(estimator.probe(at: start + .seconds(1)) == nil)
        #expect(estimator.nextDeadline > start + .seconds(1))
    }

    @Test func thePeersEstimateBoundsThatOfTheFeedback() {
        let downlink = SimulatedDownlink(seed: 1)
        simulate(
            PathConditions(),
            [downlink],
            seconds: 10,
            seed: 1,
            each: { now, _ in
                guard now.microseconds % 1_000_000 == 0 else { return }
                _ = downlink.estimator.received(receiverEstimate: 400_000, at: now)
            }
        )
        #expect(downlink.estimator.target == 400_000)
        #expect(downlink.estimator.bound == .receiver)
    }

    @Test func aStreamConnectionIsLedByItsBacklog() {
        var settings = BandwidthEstimator.Settings()
        settings.isStream = true
        var estimator = BandwidthEstimator(settings)
        estimator.begin(at: start)
        var now = start
        var number: UInt16 = 0
        for round in 0..<100 {
            now = now + .milliseconds(50)
            for _ in 0..<(estimator.target / 160_000 + 1) {
                estimator.sent(number, size: 1000, kind: .video, at: now)
                number &+= 1
            }
            _ = estimator.received(backlog: 0, at: now)
            _ = estimator.advance(to: now)
            if round == 0 { #expect(estimator.bound == .backlog) }
        }
        #expect(estimator.target > 400_000)
        #expect(estimator.probe(at: now) == nil)
        let before = estimator.target
        let collapsed = estimator.received(backlog: 100_000, at: now + .milliseconds(50))
        #expect(collapsed == .collapsed)
        #expect(estimator.target < before)
    }

    // MARK: Time and bounds

    @Test func silenceCutsAndItsEndRestores() {
        let downlink = SimulatedDownlink(seed: 2)
        downlink.receiver.faults.silence = 10_000_000...11_000_000
        simulate(PathConditions(), [downlink], seconds: 14, seed: 2)
        let silent = downlink.slices(from: 10.5, to: 11).map(\.bound)
        #expect(silent.allSatisfy { $0 == .silence })
        #expect(downlink.slices[135].estimate >= downlink.slices[95].estimate * 9 / 10)
    }

    @Test func whileADeepQueueDrainsLittleIsPaced() {
        let downlink = SimulatedDownlink(seed: 5)
        var slow: [Instant] = []
        simulate(
            PathConditions(rates: [(.zero, 5_000_000), (.seconds(6), 600_000)], queue: 22_500),
            [downlink],
            seconds: 12,
            seed: 5,
            each: { now, _ in
                #expect(downlink.estimator.pacing <= downlink.estimator.target)
                if downlink.estimator.pacing < downlink.estimator.target { slow.append(now) }
            }
        )
        #expect(slow.first.map { $0 > .zero + .seconds(6) } == true)
        #expect(slow.last.map { $0 < .zero + .seconds(7) } == true)
    }

    @Test func anotherRouteHalvesAndIsTested() {
        let downlink = SimulatedDownlink(seed: 3)
        simulate(PathConditions(), [downlink], seconds: 10, seed: 3)
        let before = downlink.estimator.estimate
        let change = downlink.estimator.routeChanged(at: .zero + .seconds(10))
        #expect(change == .lowered)
        #expect(downlink.estimator.estimate == before / 2)
        #expect(downlink.estimator.queueDelay == .zero)
        downlink.estimator.want(desired: 4_000_000, nextStep: 4_000_000, at: .zero + .seconds(10))
        _ = downlink.estimator.advance(to: .zero + .seconds(10))
        #expect(downlink.estimator.probe(at: .zero + .seconds(10)) != nil)
    }

    @Test func settingsBoundTheEstimate() {
        var settings = BandwidthEstimator.Settings()
        settings.maximum = 1_000_000
        let downlink = SimulatedDownlink(.following(most: 5_000_000), settings: settings, seed: 4)
        simulate(PathConditions(), [downlink], seconds: 15, seed: 4)
        #expect(downlink.estimator.estimate == 1_000_000)
        #expect(downlink.estimator.bound == .maximum)
        settings.start = 9_000_000
        #expect(BandwidthEstimator(settings).estimate == 1_000_000)
    }

    @Test func audioAloneIsNotProbedFor() {
        var estimator = BandwidthEstimator()
        estimator.begin(at: start)
        estimator.want(desired: 60_000, nextStep: nil, at: start)
        estimator.sent(1, size: 143, kind: .audio, at: start)
        _ = estimator.advance(to: start)
        #expect(estimator.probe(at: start) == nil)
    }

    @Test(arguments: [false, true]) func whereNoVideoIsShownItRests(isStream: Bool) {
        var settings = BandwidthEstimator.Settings()
        settings.isStream = isStream
        var estimator = BandwidthEstimator(settings)
        estimator.begin(at: start)
        estimator.want(desired: 60_000, nextStep: nil, at: start)
        estimator.rest(true, at: start)
        _ = estimator.advance(to: start)
        // Of a stream connection nothing else says what is used.
        let next = start + (isStream ? .milliseconds(500) : Limits.Bandwidth.restInterval)
        #expect(abs((estimator.nextDeadline - next).microseconds) <= Limits.Media.slowBeat.microseconds)
        estimator.rest(false, at: start)
        #expect(estimator.nextDeadline <= start + .milliseconds(505))
    }

    @Test func whoHasNothingToProbeWithIsNotAskedForEver() {
        var estimator = BandwidthEstimator()
        estimator.begin(at: start)
        estimator.want(desired: 2_500_000, nextStep: 2_500_000, at: start)
        estimator.sent(1, size: 143, kind: .audio, at: start)
        _ = estimator.advance(to: start)
        #expect(estimator.probe(at: start) != nil)
        estimator.skipProbe(at: start)
        #expect(estimator.probe(at: start) == nil)
        #expect(estimator.nextDeadline > start)
    }

    /// A session with audio alone, and one with video at 5 Mbit/s.
    @Test func theStateIsSmall() {
        let audio = SimulatedDownlink(.burst(at: .distantFuture, rate: 60_000), seed: 1)
        simulate(PathConditions(), [audio], seconds: 10, seed: 1)
        #expect(audio.estimator.byteCount <= 6 * 1024)
        let video = SimulatedDownlink(.following(most: 4_800_000), seed: 1)
        simulate(PathConditions(), [video], seconds: 20, seed: 1)
        #expect(video.estimator.byteCount <= 24 * 1024)
        #expect(video.estimator.history.capacity >= 1024)
    }
}
