// Reads transport-wide feedback: what became of each packet, and how it was spaced when it came.
import RTP

extension BandwidthEstimator {
    /// One message of the peer; it may be late, repeated, forged or nonsense. Numbers that were never sent are counted
    /// and ignored.
    mutating func receive(_ feedback: TransportFeedbackParser, at now: Instant) -> OnFeedback {
        var result = OnFeedback()
        // No browser reports on so many at once; each costs time.
        let most = max(history.capacity, Limits.Bandwidth.reportedPackets)
        guard history.highest >= 0, Int(feedback.statusCount) <= most else {
            result.unsent = Int(feedback.statusCount)
            return result
        }
        let order = clock.receive(feedback.feedbackCount)
        passOver(feedback, order, &result)
        if let newest = newest(of: feedback) {
            begin(newest, at: now)
        }
        var parser = feedback
        var isNews = false
        var isOurs = false
        while let status = parser.next() {
            guard let sequence = history.find(status.sequence) else {
                result.unsent += 1
                continue
            }
            isOurs = true
            nextReport = max(nextReport, sequence + 1)
            if status.isReceived {
                isNews = arrive(sequence, clock.unwrap(status.arrival), &result, now) || isNews
            } else {
                lose(sequence, &result)
            }
        }
        if !isOurs && order != .old { clock.refuse() }
        guard isNews || result.lost > 0 else { return result }
        wasReported = true
        path.keepsLeast = shared.keepsLeastDelay(at: now)
        path.settle(at: now)
        own.settle()
        var missing = 0
        if case .after(let count) = order { missing = count }
        result.change = evaluate(missing: missing, lost: result.lost, at: now)
        return result
    }

    /// Packets between the last message and this one. Where messages were lost, so were the words about them, not they.
    private mutating func passOver(
        _ feedback: TransportFeedbackParser,
        _ order: FeedbackClock.OnMessage,
        _ result: inout OnFeedback
    ) {
        let behind = UInt16(truncatingIfNeeded: history.highest) &- feedback.baseSequence
        let base = history.highest - Int64(behind)
        guard Int(behind) < history.capacity, base > nextReport, nextReport > 0 else { return }
        if case .after = order { acknowledged.skip() }
        for sequence in max(nextReport, history.highest - Int64(history.capacity) + 1)..<base
        where history[sequence].state == .sent {
            if case .next = order {
                lose(sequence, &result)
            } else {
                _ = history.settle(sequence, .unknown)
            }
        }
    }

    /// The last packet that came, unless it was reported before.
    private func newest(of feedback: TransportFeedbackParser) -> TransportFeedbackParser.Status? {
        var parser = feedback
        var found: TransportFeedbackParser.Status?
        while let status = parser.next() {
            guard status.isReceived, let sequence = history.find(status.sequence),
                history[sequence].state != .received
            else { continue }
            found = status
        }
        return found
    }

    private mutating func begin(_ newest: TransportFeedbackParser.Status, at now: Instant) {
        guard let sequence = history.find(newest.sequence) else { return }
        let sent = history.time(of: history[sequence])
        let arrival = clock.peek(newest.arrival)
        guard path.begin(newestSent: sent, arrival: arrival, at: now) == .jumped else { return }
        groups.reset()
        trend.reset()
        acknowledged.reset()
        departed.reset()
        arrived.reset()
        cliff.reset()
        shared.reset()
        dispersion.reset()
        own.reset()
    }

    /// Returns whether that was not known.
    private mutating func arrive(
        _ sequence: Int64,
        _ arrival: Int64,
        _ result: inout OnFeedback,
        _ now: Instant
    ) -> Bool {
        let packet = history[sequence]
        let before = history.settle(sequence, .received)
        guard before != .received else {
            result.repeated += 1
            return false
        }
        result.received += 1
        let sent = history.time(of: packet)
        if before == .lost {
            result.recovered += 1
            loss.revise(packet.size)
        } else {
            loss.note(packet.size, isLost: false, sent: sent.microseconds)
            departed.add(packet.size, at: sent.microseconds)
        }
        arrived.add(packet.size, at: arrival)
        acknowledged.receive(packet.size, arrival: arrival)
        path.note(sent: sent, arrival: arrival)
        own.note(packet.size, sent: sent.microseconds, capacity: control.capacity.value)
        if let deltas = groups.receive(sent: sent.microseconds, arrival: arrival) {
            trend.update(deltas, arrival: arrival)
        }
        if packet.cluster != 0 {
            probed.receive(packet.cluster, size: packet.size, sent: sent.microseconds, arrival: arrival)
        }
        let isFast = dispersion.receive(
            packet.size,
            sent: sent.microseconds,
            arrival: arrival,
            estimate: estimate
        )
        if isFast && goal > estimate { probes.hint(at: now) }
        return true
    }

    private mutating func lose(_ sequence: Int64, _ result: inout OnFeedback) {
        let packet = history[sequence]
        guard packet.state == .sent || packet.state == .unknown else { return }
        _ = history.settle(sequence, .lost)
        result.lost += 1
        if packet.cluster != 0 { probed.lose(packet.cluster) }
        let sent = history.time(of: packet).microseconds
        loss.note(packet.size, isLost: true, sent: sent)
        departed.add(packet.size, at: sent)
    }
}
