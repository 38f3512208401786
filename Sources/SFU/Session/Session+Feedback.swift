// RTCP of a session: what it tells us about our streams and its own, and what we tell it.
import PeerTransport
import RTP
import Seam

extension Session {
    // MARK: In

    /// Reads one decrypted compound packet (RFC 3550 §6.1).
    /// - Returns: Whether it was well-formed to its end; what came before the flaw counts.
    func receiveRTCP(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        ntp: UInt64,
        counters: UnsafeMutablePointer<Counters>,
        at now: Instant,
        into outbox: Outbox
    ) -> Bool {
        var walker = RTCPWalker(packet, length: length)
        var hasReport = false
        while let block = walker.next() {
            switch block.type {
            case RTCPType.senderReport:
                if let report = SenderReport(block) {
                    uplink.receive(report, ntp: ntp, at: now)
                    hasReport = true
                }
                receivedReports(block, ntp: ntp, at: now)
            case RTCPType.receiverReport:
                receivedReports(block, ntp: ntp, at: now)
            case RTCPType.transportFeedback:
                receivedTransportFeedback(block, ntp: ntp, counters, now, outbox)
            case RTCPType.payloadFeedback:
                receivedPayloadFeedback(block, counters, at: now)
            default: break
            }
        }
        if hasReport && room.isShared {
            room.pass(
                packet,
                length: length,
                RelayedPacket(number: uplink.number, isReport: true, arrival: now)
            )
        }
        return !walker.isMalformed
    }

    private func receivedReports(_ block: RTCPBlock, ntp: UInt64, at now: Instant) {
        guard var reports = ReportBlocks(block) else { return }
        var lost: UInt8?
        defer { if let lost { receivedLoss(lost, at: now) } }
        while let report = reports.next() {
            guard let slot = downlink.pointee.slot(ssrc: report.ssrc) else { continue }
            slot.pointee.fractionLost = report.fractionLost
            slot.pointee.note(jitter: report.jitter)
            lost = max(lost ?? 0, report.fractionLost)
            slot.pointee.redundancy.note(fractionLost: report.fractionLost, at: now)
            guard report.lastSenderReport != 0 else { continue }
            guard
                let sample = NTPTime.roundTrip(
                    now: NTPTime(rawValue: ntp).middle32,
                    lastReport: report.lastSenderReport,
                    delay: report.delaySinceLastSenderReport
                )
            else { continue }
            slot.pointee.roundTrip = sample
            roundTrip = Interval(microseconds: (roundTrip.microseconds * 7 + sample.microseconds) / 8)
        }
    }

    private func receivedTransportFeedback(
        _ block: RTCPBlock,
        ntp: UInt64,
        _ counters: UnsafeMutablePointer<Counters>,
        _ now: Instant,
        _ outbox: Outbox
    ) {
        guard var nack = GenericNACK(block) else {
            counters.pointee.transportFeedbackReceived &+= 1
            if let feedback = TransportFeedbackParser(block) { received(feedback, counters, at: now) }
            return
        }
        counters.pointee.nacksReceived &+= 1
        guard let slot = downlink.pointee.slot(ssrc: nack.mediaSSRC) else { return }
        let sendTime = UInt32(truncatingIfNeeded: ntp >> 14) & 0xff_ffff
        while let number = nack.next() {
            if downlink.pointee.resend(number, on: slot, absoluteSendTime: sendTime, at: now, into: outbox) {
                counters.pointee.packetsResent &+= 1
            }
        }
    }

    private func receivedPayloadFeedback(
        _ block: RTCPBlock,
        _ counters: UnsafeMutablePointer<Counters>,
        at now: Instant
    ) {
        if let request = PictureLossIndication(block) {
            counters.pointee.keyFrameRequestsReceived &+= 1
            wantKeyFrame(on: request.mediaSSRC, at: now)
        } else if var request = FullIntraRequest(block) {
            counters.pointee.keyFrameRequestsReceived &+= 1
            while let item = request.next() { wantKeyFrame(on: item.ssrc, at: now) }
        } else if let estimate = ReceiverEstimatedBitrate(block) {
            received(receiverEstimate: estimate.bitrate, at: now)
        }
    }

    private func wantKeyFrame(on ssrc: UInt32, at now: Instant) {
        guard let slot = downlink.pointee.slot(ssrc: ssrc), !slot.pointee.isPaused else { return }
        slot.pointee.lostPicture(at: now)
        // It was sent before the key frame could arrive that is on its way.
        if let sent = slot.pointee.keyFrameSentAt,
            now - sent < min(slot.pointee.roundTrip ?? .zero, .seconds(1))
        {
            return
        }
        slot.pointee.publication?.requestKeyFrame(layer: Int(slot.pointee.target.encoding), isUrgent: false)
    }

    // MARK: Out

    /// Sends what is due: repair requests, transport feedback, reports. `scratch` has room for a datagram.
    func advanceFeedback(
        to now: Instant,
        ntp: UInt64,
        scratch: UnsafeMutablePointer<UInt8>,
        counters: UnsafeMutablePointer<Counters>,
        into outbox: Outbox
    ) {
        guard transport.canSend else {
            // When it can again, what came until now is of no use to anybody.
            feedback?.skipPending()
            nextRepair = .distantFuture
            nextFeedback = .distantFuture
            nextReport = .distantFuture
            return
        }
        if now >= nextRepair { askForRepair(at: now, scratch, counters, outbox) }
        if now >= nextFeedback { sendTransportFeedback(at: now, scratch, counters, outbox) }
        if nextReport == .distantFuture { nextReport = now + .milliseconds(200) }
        if now >= nextReport {
            sendReports(at: now, ntp: ntp, scratch, counters, outbox)
            nextReport = (now + reportInterval).onSlowBeat
        }
    }

    private var reportInterval: Interval {
        let onlyListens = uplink.publications.isEmpty && !downlink.pointee.showsVideo
        return onlyListens ? Limits.Media.listenerReportInterval : Limits.Media.reportInterval
    }

    /// There may be more to report about than before.
    func hastenReport(at now: Instant) {
        guard nextReport < .distantFuture else { return }
        nextReport = min(nextReport, now + reportInterval)
    }

    private func askForRepair(
        at now: Instant,
        _ scratch: UnsafeMutablePointer<UInt8>,
        _ counters: UnsafeMutablePointer<Counters>,
        _ outbox: Outbox
    ) {
        var writer = RTCPWriter(scratch, capacity: Limits.Media.rtpPacketBytes)
        _ = writer.appendReceiverReport(ssrc: reportSSRC)
        let empty = writer.length
        nextRepair = .distantFuture
        for publication in uplink.publications {
            for layer in 0..<publication.layerCount {
                let stream = publication.layers + layer
                guard stream.pointee.ssrc != 0 else { continue }
                if askForPackets(stream, isBounded: publication.kind == .audio, at: now, &writer) {
                    counters.pointee.nacksSent &+= 1
                }
                // A loss that is given up on is a picture that will not decode.
                if stream.pointee.nack.takeGaveUp() && publication.kind == .video && stream.pointee.isStarted
                {
                    stream.pointee.keyFrames.want()
                }
                let isLive = stream.pointee.isLive(at: now)
                if isLive, stream.pointee.keyFrames.shouldSend(at: now),
                    writer.appendPLI(sender: reportSSRC, media: stream.pointee.ssrc)
                {
                    counters.pointee.keyFrameRequestsSent &+= 1
                }
                let next = stream.pointee.nack.nextDeadline(roundTrip: repairTime(of: stream))
                nextRepair = min(nextRepair, next)
                // An encoding that stopped has no key frame to give.
                if isLive { nextRepair = min(nextRepair, stream.pointee.keyFrames.nextDeadline) }
            }
        }
        guard writer.length > empty else { return }
        transport.sendRTCP(scratch, length: writer.length, at: now, into: outbox)
        nextRepair = max(nextRepair, now + Limits.Feedback.repairInterval)
    }

    /// From a request to the packet. A peer that only sends gives no receiver reports to tell the round trip by.
    private func repairTime(of stream: UnsafeMutablePointer<ReceiveStream>) -> Interval {
        stream.pointee.nack.roundTrip ?? roundTrip
    }

    private func askForPackets(
        _ stream: UnsafeMutablePointer<ReceiveStream>,
        isBounded: Bool,
        at now: Instant,
        _ writer: inout RTCPWriter
    ) -> Bool {
        guard !stream.pointee.nack.isEmpty else { return false }
        var due: [Int64] = []
        stream.pointee.nack.due(at: now, roundTrip: repairTime(of: stream), isBounded: isBounded, into: &due)
        guard !due.isEmpty else { return false }
        let numbers = due.map { UInt16(truncatingIfNeeded: $0) }
        return numbers.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return false }
            return writer.appendNACK(
                sender: reportSSRC,
                media: stream.pointee.ssrc,
                base,
                count: buffer.count
            ) > 0
        }
    }

    private func sendTransportFeedback(
        at now: Instant,
        _ scratch: UnsafeMutablePointer<UInt8>,
        _ counters: UnsafeMutablePointer<Counters>,
        _ outbox: Outbox
    ) {
        nextFeedback = .distantFuture
        for _ in 0..<Limits.Feedback.messagesAtOnce where feedback?.hasPending == true {
            var writer = RTCPWriter(scratch, capacity: Limits.Media.rtpPacketBytes)
            guard feedback?.write(to: &writer, senderSSRC: reportSSRC, mediaSSRC: firstMediaSSRC) == true
            else {
                return
            }
            counters.pointee.transportFeedbackSent &+= 1
            feedbackSchedule.sent(writer.length, at: now)
            transport.sendRTCP(scratch, length: writer.length, at: now, into: outbox)
        }
        if feedback?.hasPending == true { nextFeedback = now + Limits.Feedback.shortestInterval }
    }

    private var firstMediaSSRC: UInt32 {
        for publication in uplink.publications {
            for layer in 0..<publication.layerCount where publication.layers[layer].ssrc != 0 {
                return publication.layers[layer].ssrc
            }
        }
        return 0
    }

    /// RR about what we receive, SR and CNAME for what we send (RFC 3550 §6.4).
    private func sendReports(
        at now: Instant,
        ntp: UInt64,
        _ scratch: UnsafeMutablePointer<UInt8>,
        _ counters: UnsafeMutablePointer<Counters>,
        _ outbox: Outbox
    ) {
        var writer = RTCPWriter(scratch, capacity: Limits.Media.rtpPacketBytes)
        _ = writer.appendReceiverReport(ssrc: reportSSRC)
        for publication in uplink.publications {
            for layer in 0..<publication.layerCount where publication.layers[layer].isStarted {
                let stream = publication.layers + layer
                if let report = stream.pointee.statistics.makeReportBlock(ssrc: stream.pointee.ssrc, at: now)
                {
                    _ = writer.append(report)
                }
            }
        }
        appendName(reportSSRC, to: &writer)
        if limitBitrates(at: now, &writer) { counters.pointee.bitrateNoticesSent &+= 1 }
        for i in 0..<downlink.pointee.slotCount {
            let slot = downlink.pointee.slots[i]
            // A stream that is idle has nothing to be synchronised.
            guard let sent = slot.pointee.lastSentAt, now - sent < .seconds(2),
                let timestamp = slot.pointee.reportTimestamp(at: ntp)
            else { continue }
            if writer.room < Session.senderReportRoom {
                transport.sendRTCP(scratch, length: writer.length, at: now, into: outbox)
                writer = RTCPWriter(scratch, capacity: Limits.Media.rtpPacketBytes)
            }
            slot.pointee.wantsReport = false
            _ = writer.append(
                SenderReport(
                    ssrc: slot.pointee.ssrc,
                    ntpTime: NTPTime(rawValue: ntp),
                    rtpTimestamp: timestamp,
                    packetCount: slot.pointee.packetCount,
                    octetCount: slot.pointee.octetCount
                )
            )
            appendName(slot.pointee.ssrc, to: &writer)
        }
        transport.sendRTCP(scratch, length: writer.length, at: now, into: outbox)
    }

    /// A sender that exceeds the maximum of a source is told what all of them may send together (REMB). Returns whether it
    /// was.
    private func limitBitrates(at now: Instant, _ writer: inout RTCPWriter) -> Bool {
        // Reports are sent early, too.
        guard now - bitratesLookedAt >= Limits.BitrateLimit.lookInterval else { return false }
        bitratesLookedAt = now
        var sum: UInt64? = 0
        var isExceeded = false
        var sources: [UInt32] = []
        for publication in uplink.publications {
            publication.lookAtBitrate(at: now)
            let maximum = publication.limit.maximum
            sum = maximum == 0 ? nil : sum.map { $0 + UInt64(maximum) }
            if publication.limit.isExceeded { isExceeded = true }
            for layer in 0..<publication.layerCount where publication.layers[layer].ssrc != 0 {
                sources.append(publication.layers[layer].ssrc)
            }
        }
        guard !sources.isEmpty, let told = bitrateNotice.next(sum: sum, isExceeded: isExceeded) else {
            return false
        }
        return sources.withUnsafeBufferPointer { ssrcs in
            guard let base = ssrcs.baseAddress else { return false }
            return writer.appendREMB(sender: reportSSRC, bitrate: told, base, count: min(ssrcs.count, 64))
        }
    }

    /// A report and the longest CNAME.
    private static let senderReportRoom = 28 + 16 + 256

    private func appendName(_ ssrc: UInt32, to writer: inout RTCPWriter) {
        cname.withUnsafeBufferPointer { name in
            guard let base = name.baseAddress else { return }
            _ = writer.appendCNAME(ssrc: ssrc, base, count: name.count)
        }
    }
}
