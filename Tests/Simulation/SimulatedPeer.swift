// A whole WebRTC client on virtual time: ICE checks, DTLS, SRTP, publishing with simulcast and RTX, receiving with
// NACK, RTX and reports. Speaks real bytes; the call that owns it moves time and datagrams.
import PeerTransport
import RTP
import Seam

public final class SimulatedPeer {
    public let name: String
    /// The room that it joined.
    public internal(set) var room = ""
    public let session: SessionID
    public let user: UserID
    public let participant: ParticipantID
    public var path: NetworkPath
    /// Still reaches the peer after it moved.
    public private(set) var formerPath: NetworkPath?
    /// To the server and from it.
    public var up: SimulatedLink
    public var down: SimulatedLink
    public var publishers: [SimulatedPublisher] = []
    public private(set) var receivers: [UInt32: SimulatedReceiver] = [:]
    public private(set) var slots: [(mid: String, kind: MediaKind, ssrc: UInt32, rtx: UInt32?)] = []
    /// Everything that could be decrypted and parsed, in order of arrival.
    public private(set) var received: [ReceivedPacket] = []
    public private(set) var feedbackCount = 0
    public private(set) var senderReports: [(at: Instant, report: SenderReport)] = []
    /// Datagrams that fail authentication, and those that came before: a repair that crossed the packet itself.
    public private(set) var undecryptable = 0
    public private(set) var replays = 0
    /// Keeps what it receives; off for runs that count allocations.
    public var keepsPackets = true
    public var usesRTX = true
    public var sendsNACK = true
    /// Sends again what the server asks for.
    public var answersNACK = true
    /// Numbers of its own that it was asked for, by SSRC and in order.
    public private(set) var asked: [(ssrc: UInt32, number: UInt16)] = []
    /// Reports on audio that it receives, once a second, and what it reported. `reportedLoss`: whatever it sees.
    public var reportsReception = false
    /// And on video.
    public var reportsPictures = false
    public var reportedLoss: UInt8?
    public private(set) var reported: [(at: Instant, block: ReportBlock)] = []
    /// RED packets that are cut off or whose blocks are not of the Opus that was negotiated with them.
    public private(set) var wrongRED = 0
    /// How long it takes a missing packet for merely late. Browsers learn this from what they see.
    public var reorderGuard = Interval.milliseconds(20)
    /// Keeps the datagrams with media as they came, for `datagrams`.
    public var keepsDatagrams = false
    public private(set) var datagrams: [[UInt8]] = []
    public private(set) var receiverReports: [(at: Instant, block: ReportBlock)] = []
    /// Asks again for what has come, as a receiver does whose request crossed the repair.
    public var asksTwice = false
    /// What becomes of a packet on its first way to the server, before the link has its turn.
    public enum Fate {
        case pass, lose
        case delay(Interval)
    }
    public var fate: ((OriginalPacket) -> Fate)?
    public var sendsSenderReports = true
    /// Sends no media and no reports.
    public var isSilent = false
    /// Keeps what it sends, as it is on the wire.
    public var keepsRaw = false
    public private(set) var raw: [[UInt8]] = []
    /// Hears the server's RTCP, for media that the test itself sends.
    public var onRTCP: ((RTCPBlock) -> Void)?
    /// Datagrams with media, and when the last one came.
    public private(set) var mediaCount = 0
    public private(set) var lastMediaAt = Instant.zero

    /// Codecs of slots that do not take the usual ones, by their place.
    private var codecs: [Int: [CodecParameters]] = [:]
    /// Header extensions of what it publishes and receives, and whether both forms may be mixed.
    public var negotiatedExtensions = SimulatedPeer.extensions
    public var allowsMixedExtensions = true
    /// What the server put on the wire to this peer, by SSRC: extended numbers, lost ones too.
    public private(set) var numbersSent: [UInt32: (unwrapper: SequenceUnwrapper, numbers: Set<Int64>)] = [:]
    /// Copies of a packet that were not like the one before.
    public private(set) var unlikeCopies = 0
    private var firstCopies: [UInt64: Int] = [:]
    /// Checks go out; without them consent ends.
    public var checks = true
    private var ice: SimulatedICEClient?
    public private(set) var credentials: ICECredentials
    private let dtls: DTLSEndpoint
    private let certificate: DTLSCertificate
    private var srtp: SRTPContext?
    private var isValidated = false
    private var hasStarted = false
    private var nextCheck = Instant.zero
    private var nextRepair = Instant.zero
    private var nextReport = Instant.zero
    /// Reports on all packets with a transport-wide number, this often; nil: never.
    public var transportFeedback: Interval?
    private var feedback = TransportFeedbackGenerator(capacity: 4096)
    private var nextFeedback = Instant.zero
    /// What becomes of its transport feedback: the messages that go out in its place.
    public var onFeedback: (([UInt8]) -> [[UInt8]])?
    /// Its own clock, which those reports are made with.
    public var clock = Interval.zero
    /// Hears what the server sends: the datagram, whether the link took it, how long that waits there.
    public var onDown: ((_ datagram: [UInt8], _ isTaken: Bool, _ wait: Interval, _ at: Instant) -> Void)?
    private var startedAt: Instant?
    private var transportSequence: UInt16 = 0
    private var generator: SimulatedICEClient.Generator
    private let reportSSRC: UInt32
    private var hasClosed = false

    public var isConnected: Bool { srtp != nil }

    public init(
        name: String,
        certificate: DTLSCertificate,
        number: UInt32,
        up: LinkConditions,
        down: LinkConditions,
        seed: UInt64
    ) throws {
        self.name = name
        self.certificate = certificate
        session = SessionID("se_\(name)")
        user = UserID(name)
        participant = ParticipantID("pa_\(name)")
        path = NetworkPath(remote: IPAddress(v4: 0x0a00_0000 | number), remotePort: 40_000)
        self.up = SimulatedLink(up, seed: seed &* 3 &+ 1)
        self.down = SimulatedLink(down, seed: seed &* 3 &+ 2)
        generator = SimulatedICEClient.Generator(seed: seed)
        credentials = ICECredentials.generate(worker: 63, using: &generator)
        reportSSRC = UInt32(truncatingIfNeeded: generator.next()) | 1
        dtls = try DTLSEndpoint(context: try DTLSContext(certificate: certificate), role: .client)
    }

    // MARK: Signaling

    public var remoteTransport: RemoteTransport {
        RemoteTransport(ice: credentials, fingerprints: [certificate.fingerprint], setup: .actpass)
    }

    /// What the server answered.
    public func opened(_ local: LocalTransport) {
        ice = SimulatedICEClient(local: credentials, remote: local.ice, seed: generator.next())
        nextCheck = .zero
        isValidated = false
    }

    /// New credentials for an ICE restart; the server's answer goes to `opened`.
    public func restartICE() -> RemoteTransport {
        credentials = ICECredentials.generate(worker: 63, using: &generator)
        return remoteTransport
    }

    public func publish(_ format: MediaSource.Format, nearWraps: Bool = false) -> SimulatedPublisher {
        let publisher = SimulatedPublisher(
            source: MediaSource(id: UInt32(truncatingIfNeeded: generator.next()), format: format),
            mid: "p\(publishers.count)",
            id: PublicationID("tr_\(name)\(publishers.count)"),
            seed: generator.next(),
            startsNearWraps: nearWraps
        )
        publishers.append(publisher)
        return publisher
    }

    /// - Parameter codecs: what it decodes there; all that it knows where it says nothing.
    public func addSlot(
        _ kind: MediaKind,
        rtx: Bool = true,
        codec: CodecParameters? = nil,
        codecs chosen: [CodecParameters]? = nil
    ) {
        if let chosen = chosen ?? codec.map({ [$0] }) { codecs[slots.count] = chosen }
        let ssrc = UInt32(truncatingIfNeeded: generator.next()) | 1
        let rtx = kind == .video && rtx ? ssrc &+ 1 : nil
        slots.append((mid: "s\(slots.count)", kind: kind, ssrc: ssrc, rtx: rtx))
    }

    public func media(generation: UInt32 = 1) -> SessionMedia {
        var sections: [SectionMedia] = publishers.map { publisher in
            SectionMedia(
                section: MediaSection(
                    mid: publisher.mid,
                    kind: publisher.kind,
                    codecs: publisher.codecs,
                    extensions: negotiatedExtensions,
                    receive: publisher.encodings,
                    allowsMixedExtensions: allowsMixedExtensions
                ),
                publication: publisher.id,
                source: publisher.kind == .audio ? .mic : publisher.isScreen ? .screen : .camera,
                maxBitsPerSecond: publisher.maxBitsPerSecond
            )
        }
        sections += slots.map { slot in
            let place = slots.firstIndex { $0.mid == slot.mid } ?? 0
            let usual =
                slot.kind == .audio
                ? [SimulatedPeer.opus]
                : [SimulatedPeer.vp8, SimulatedPeer.vp9, SimulatedPeer.h264, SimulatedPeer.av1]
            var chosen = codecs[place] ?? usual
            if slot.rtx == nil { for i in chosen.indices { chosen[i].rtxPayloadType = nil } }
            return SectionMedia(
                section: MediaSection(
                    mid: slot.mid,
                    kind: slot.kind,
                    codecs: chosen,
                    extensions: negotiatedExtensions,
                    slot: SlotParameters(ssrc: slot.ssrc, rtxSSRC: slot.rtx),
                    allowsMixedExtensions: allowsMixedExtensions
                )
            )
        }
        return SessionMedia(generation: generation, sections: sections, cname: name)
    }

    // MARK: Time

    public var nextDeadline: Instant {
        guard !hasClosed else { return .distantFuture }
        var next = nextCheck
        if hasStarted && srtp == nil { next = min(next, dtls.nextDeadline) }
        if srtp != nil && !isSilent {
            next = min(next, min(nextRepair, nextReport))
            if transportFeedback != nil { next = min(next, nextFeedback) }
            if let startedAt {
                for publisher in publishers where publisher.isRunning {
                    next = min(next, startedAt + publisher.source.nextTime)
                }
            }
        }
        return next
    }

    public func advance(to now: Instant) {
        guard !hasClosed else { return }
        if now >= nextCheck, ice != nil { check(at: now) }
        if hasStarted && srtp == nil && now >= dtls.nextDeadline {
            dtls.advance(to: now) { up.send(Array($0), at: now) }
        }
        guard srtp != nil, !isSilent, let startedAt else { return }
        for publisher in publishers where publisher.isRunning {
            while startedAt + publisher.source.nextTime <= now {
                let packets = publisher.source.produce()
                for packet in packets { send(packet, of: publisher, at: now) }
            }
        }
        if now >= nextRepair {
            nextRepair = now + .milliseconds(10)
            if sendsNACK { askForRepair(at: now) }
        }
        if let transportFeedback, now >= nextFeedback {
            nextFeedback = now + transportFeedback
            while feedback.hasPending { if !sendFeedback(at: now) { break } }
        }
        if now >= nextReport {
            nextReport = now + .seconds(1)
            report(at: now)
        }
    }

    private func check(at now: Instant) {
        nextCheck = now + (isValidated ? .seconds(2) : .milliseconds(50))
        guard checks else { return }
        guard var client = ice else { return }
        up.send(client.check(SimulatedICEClient.Check(usesCandidate: true)), at: now)
        ice = client
    }

    // MARK: Receiving

    public func receive(_ datagram: [UInt8], at now: Instant) {
        guard let first = datagram.first else { return }
        if first <= 3 {
            if case .success = ice?.receive(datagram) { validated(at: now) }
        } else if first >= 20 && first <= 63 {
            datagram.withUnsafeBufferPointer { bytes in
                dtls.receive(bytes, at: now) { up.send(Array($0), at: now) }
            }
            if dtls.state == .connected && srtp == nil {
                srtp = try? dtls.makeSRTPContext()
                startedAt = now
                for publisher in publishers { publisher.startedAt = now }
                nextReport = now + .milliseconds(300)
                nextRepair = now
            }
        } else if first >= 128 {
            receiveMedia(datagram, at: now)
        }
    }

    private func validated(at now: Instant) {
        isValidated = true
        nextCheck = max(nextCheck, now + .seconds(2))
        guard !hasStarted else { return }
        hasStarted = true
        dtls.start(at: now) { up.send(Array($0), at: now) }
    }

    private func receiveMedia(_ datagram: [UInt8], at now: Instant) {
        guard let srtp else { return }
        if datagram.count > 1 && datagram[1] & 0xe0 != 0xc0 {
            mediaCount += 1
            lastMediaAt = now
            if keepsDatagrams { datagrams.append(datagram) }
        }
        var bytes = datagram
        let count = bytes.count
        bytes.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            if RTPHeader.isRTCP(base, length: count) {
                switch srtp.unprotectRTCP(base, length: count) {
                case .ok(let length): receiveRTCP(base, length: length, at: now)
                case .replay: replays += 1
                default: undecryptable += 1
                }
            } else {
                switch srtp.unprotectRTP(base, length: count) {
                case .ok(let length): receiveRTP(base, length: length, at: now)
                case .replay: replays += 1
                default: undecryptable += 1
                }
            }
        }
    }

    private func receiveRTP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, at now: Instant) {
        guard let header = RTPHeader(parsing: packet, length: length),
            let padding = header.paddingLength(in: packet, length: length)
        else { return }
        let values = ExtensionValues.parse(
            packet,
            header: header,
            map: HeaderExtensionMap(negotiatedExtensions)
        )
        if transportFeedback != nil, values.has(.transportSequence) {
            feedback.record(values.transportSequence, at: now + clock)
        }
        var payload = Array(
            UnsafeBufferPointer(
                start: packet + header.headerLength,
                count: length - header.headerLength - padding
            )
        )
        guard let slot = slots.first(where: { $0.ssrc == header.ssrc || $0.rtx == header.ssrc }) else {
            return
        }
        var number = header.sequenceNumber
        var isRecovered = false
        if slot.rtx == header.ssrc {
            // A probe's padding.
            guard payload.count >= 2 else { return }
            if payload.count == 2 {
                let void = UInt16(payload[0]) << 8 | UInt16(payload[1])
                receivers[slot.ssrc]?.receiveVoid(void)
                return
            }
            number = UInt16(payload[0]) << 8 | UInt16(payload[1])
            payload.removeFirst(2)
            isRecovered = true
        } else if payload.isEmpty {
            receivers[slot.ssrc]?.receiveVoid(number)
            return
        }
        let receiver =
            receivers[slot.ssrc] ?? SimulatedReceiver(clockRate: slot.kind == .audio ? 48_000 : 90_000)
        receivers[slot.ssrc] = receiver
        let place = receiver.receive(number, isRecovered: isRecovered, at: now)
        if slot.rtx == nil || !isRecovered {
            receiver.statistics.receive(sequence: number, timestamp: header.timestamp, at: now)
        }
        guard keepsPackets else { return }
        let red = redundancy(slot.mid, header, payload)
        if let primary = red?.last { payload = primary.payload }
        let sequence = place ?? receiver.place(number)
        let mid =
            values.mid.isEmpty
            ? nil
            : String(
                decoding: UnsafeBufferPointer(
                    start: values.mid.start(in: packet),
                    count: Int(values.mid.length)
                ),
                as: UTF8.self
            )
        var it = ReceivedPacket(
            ssrc: slot.ssrc,
            sequence: sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payloadType: header.payloadType,
            payload: payload,
            at: now
        )
        it.isRED = red != nil
        it.redundant = red?.dropLast() ?? []
        it.padding = padding
        it.isRecovered = isRecovered
        it.audioLevel = values.audioLevelIfPresent
        it.mid = mid
        it.playoutDelay = values.has(.playoutDelay) ? values.playoutDelay : nil
        it.orientation = values.has(.videoOrientation) ? values.videoOrientation : nil
        it.foreign = [.rid, .repairedRid, .videoLayersAllocation].filter { values.has($0) }
        it.contentType = values.has(.videoContentType) ? values.videoContentType : nil
        it.captureTime = values.absoluteCaptureTimeIfPresent
        it.captureClockOffset = values.hasCaptureClockOffset ? values.captureClockOffset : nil
        func bytes(_ kind: HeaderExtension, _ range: ByteRange) -> [UInt8]? {
            guard values.has(kind) else { return nil }
            return Array(UnsafeBufferPointer(start: range.start(in: packet), count: Int(range.length)))
        }
        it.descriptor = bytes(.dependencyDescriptor, values.dependencyDescriptor)
        it.colorSpace = bytes(.colorSpace, values.colorSpace)
        let key = UInt64(slot.ssrc) << 32 | UInt64(UInt32(truncatingIfNeeded: sequence))
        guard place != nil else {
            // A copy: whatever way it came, it must be the same packet.
            if let first = firstCopies[key], first < received.count, received[first].ssrc == slot.ssrc,
                received[first].sequence == sequence, !received[first].isSame(as: it)
            {
                unlikeCopies += 1
            }
            return
        }
        firstCopies[key] = received.count
        received.append(it)
    }

    /// The blocks of a RED packet, the primary last; nil: it is none.
    private func redundancy(_ mid: String, _ header: RTPHeader, _ payload: [UInt8]) -> [RedundantBlock]? {
        let place = slots.firstIndex { $0.mid == mid } ?? 0
        guard
            let red = codecs[place]?.first(where: { $0.name == .red && $0.payloadType == header.payloadType })
        else { return nil }
        guard let blocks = RedundantAudio.parse(payload, timestamp: header.timestamp),
            blocks.allSatisfy({ $0.payloadType == red.redundantPayloadType })
        else {
            wrongRED += 1
            return []
        }
        return blocks
    }

    /// The server sent this, whether it arrives or not.
    func noteSent(_ datagram: [UInt8]) {
        guard keepsPackets, datagram.count >= 12, datagram[0] >= 128, datagram[1] & 0xe0 != 0xc0 else {
            return
        }
        let ssrc = datagram[8..<12].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        var entry = numbersSent[ssrc] ?? (SequenceUnwrapper(), [])
        numbersSent[ssrc] = nil
        entry.numbers.insert(entry.unwrapper.unwrap(UInt16(datagram[2]) << 8 | UInt16(datagram[3])))
        numbersSent[ssrc] = entry
    }

    /// A datagram with this tag came to the server.
    func delivered(_ tag: Int, at now: Instant) {
        guard tag >= 0, publishers.indices.contains(tag >> 32) else { return }
        publishers[tag >> 32].delivered(tag & 0xffff_ffff, at: now)
    }

    private func receiveRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, at now: Instant) {
        var walker = RTCPWalker(packet, length: length)
        while let block = walker.next() {
            onRTCP?(block)
            if let report = SenderReport(block) {
                senderReports.append((now, report))
                receivers[report.ssrc]?.statistics.receive(report, at: now)
            }
            if var blocks = ReportBlocks(block) {
                while let block = blocks.next() { receiverReports.append((now, block)) }
            }
            if let pli = PictureLossIndication(block) {
                for publisher in publishers { publisher.requestKeyFrame(ssrc: pli.mediaSSRC) }
            }
            if var nack = GenericNACK(block) {
                let publisher = publishers.first { $0.owns(nack.mediaSSRC) }
                while let number = nack.next() {
                    asked.append((nack.mediaSSRC, number))
                    guard let publisher, answersNACK else { continue }
                    resend(number, ssrc: nack.mediaSSRC, of: publisher, at: now)
                }
            }
            if block.isFeedback(RTCPType.transportFeedback, RTCPFeedbackFormat.transportWideCC) {
                feedbackCount += 1
            }
        }
    }

    // MARK: Out of the ordinary

    /// Goes on with other transport-wide numbers.
    public func skipTransportNumbers(_ count: UInt16) { transportSequence &+= count }

    /// Goes on from another address, as a phone that changes networks does.
    public func move(to path: NetworkPath, keepsOldPath: Bool = true) {
        formerPath = keepsOldPath ? self.path : nil
        self.path = path
        nextCheck = .zero
    }

    /// DTLS close_notify.
    public func close(at now: Instant) {
        dtls.close { up.send(Array($0), at: now) }
        hasClosed = true
    }

    /// Sends bytes as they are.
    public func send(raw bytes: [UInt8], at now: Instant) { up.send(bytes, at: now) }

    /// Sends a packet under the peer's keys, whatever it says. `index`: ROC and sequence number.
    public func send(
        protected bytes: [UInt8],
        headerLength: Int,
        ssrc: UInt32,
        index: UInt64,
        at now: Instant
    ) {
        let packet = ComposedPacket(bytes: bytes, headerLength: headerLength, index: index, ssrc: ssrc)
        protectAndSend(packet, tag: -1, at: now)
    }

    /// Sends a compound packet under the peer's keys, whatever it says.
    public func send(protectedRTCP bytes: [UInt8], at now: Instant) {
        guard let srtp, bytes.count >= 8 else { return }
        var copy = bytes + [UInt8](repeating: 0, count: 64)
        let length = copy.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map { srtp.protectRTCP($0, length: bytes.count) } ?? 0
        }
        if length > 0 { up.send(Array(copy.prefix(length)), at: now) }
    }

    /// Media goes out no more; everything else does.
    public func stopSending() {
        for publisher in publishers { publisher.isRunning = false }
    }

    /// Encrypts what a publisher sends next, frame after frame, without sending it.
    public func record(_ publisher: SimulatedPublisher, frames: Int) -> [[UInt8]] {
        var datagrams: [[UInt8]] = []
        for _ in 0..<frames {
            for packet in publisher.source.produce() {
                let composed = publisher.compose(
                    packet,
                    transportSequence: nextTransportSequence(),
                    at: .zero
                )
                if let datagram = protect(composed) { datagrams.append(datagram) }
            }
        }
        return datagrams
    }

    private func protect(_ packet: ComposedPacket) -> [UInt8]? {
        guard let srtp else { return nil }
        var bytes = packet.bytes + [UInt8](repeating: 0, count: 64)
        let length = bytes.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map {
                srtp.sender.protect(
                    $0,
                    headerLength: packet.headerLength,
                    length: packet.bytes.count,
                    ssrc: packet.ssrc,
                    index: packet.index
                )
            } ?? 0
        }
        return length > 0 ? Array(bytes.prefix(length)) : nil
    }

    public func forgetReceived() {
        received.removeAll()
        firstCopies.removeAll()
        datagrams.removeAll()
    }

    // MARK: Sending

    private func send(
        _ packet: SourcePacket,
        of publisher: SimulatedPublisher,
        at now: Instant
    ) {
        let composed = publisher.compose(packet, transportSequence: nextTransportSequence(), at: now)
        let tag = tag(of: composed, by: publisher)
        guard let fate, composed.original >= 0 else { return protectAndSend(composed, tag: tag, at: now) }
        switch fate(publisher.originals[composed.original]) {
        case .pass: protectAndSend(composed, tag: tag, at: now)
        case .lose: break
        case .delay(let extra): protectAndSend(composed, tag: tag, extra: extra, at: now)
        }
    }

    private func tag(of packet: ComposedPacket, by publisher: SimulatedPublisher) -> Int {
        guard packet.original >= 0, let index = publishers.firstIndex(where: { $0 === publisher }) else {
            return -1
        }
        return index << 32 | packet.original
    }

    private func resend(_ number: UInt16, ssrc: UInt32, of publisher: SimulatedPublisher, at now: Instant) {
        guard
            let composed = publisher.recompose(
                number,
                ssrc: ssrc,
                asRTX: usesRTX,
                transportSequence: nextTransportSequence()
            )
        else { return }
        protectAndSend(composed, tag: tag(of: composed, by: publisher), at: now)
    }

    private func nextTransportSequence() -> UInt16 {
        transportSequence &+= 1
        return transportSequence
    }

    private func protectAndSend(_ packet: ComposedPacket, tag: Int, extra: Interval = .zero, at now: Instant)
    {
        guard let datagram = protect(packet) else { return }
        if keepsRaw { raw.append(datagram) }
        up.send(datagram, tag: tag, extra: extra, at: now)
    }

    private func sendRTCP(at now: Instant, _ body: (inout RTCPWriter) -> Void) {
        guard let srtp else { return }
        var bytes = [UInt8](repeating: 0, count: 1500)
        let length = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return 0 }
            var writer = RTCPWriter(base, capacity: 1200)
            _ = writer.appendReceiverReport(ssrc: reportSSRC)
            body(&writer)
            return srtp.protectRTCP(base, length: writer.length)
        }
        if length > 0 { up.send(Array(bytes.prefix(length)), at: now) }
    }

    private func sendFeedback(at now: Instant) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 1500)
        let length = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return 0 }
            var writer = RTCPWriter(base, capacity: 1200)
            return feedback.write(to: &writer, senderSSRC: reportSSRC, mediaSSRC: 0) ? writer.length : 0
        }
        guard length > 0 else { return false }
        let message = Array(bytes.prefix(length))
        for message in onFeedback?(message) ?? [message] { send(protectedRTCP: message, at: now) }
        return true
    }

    private func askForRepair(at now: Instant) {
        for (ssrc, receiver) in receivers.sorted(by: { $0.key < $1.key }) {
            let due = receiver.due(at: now, reorderGuard: reorderGuard, again: asksTwice)
            guard !due.isEmpty else { continue }
            sendRTCP(at: now) { writer in
                due.withUnsafeBufferPointer { numbers in
                    guard let base = numbers.baseAddress else { return }
                    _ = writer.appendNACK(sender: reportSSRC, media: ssrc, base, count: numbers.count)
                }
            }
        }
    }

    /// Asks for a key frame on a slot, as a decoder that lost its picture does.
    public func requestKeyFrame(slot ssrc: UInt32, at now: Instant) {
        sendRTCP(at: now) { _ = $0.appendPLI(sender: reportSSRC, media: ssrc) }
    }

    private func reportReception(at now: Instant) {
        for slot in slots where slot.kind == .audio || reportsPictures {
            guard var block = receivers[slot.ssrc]?.statistics.makeReportBlock(ssrc: slot.ssrc, at: now)
            else {
                continue
            }
            if let reportedLoss { block.fractionLost = reportedLoss }
            reported.append((now, block))
            sendRTCP(at: now) { _ = $0.append(block) }
        }
    }

    private func report(at now: Instant) {
        if reportsReception { reportReception(at: now) }
        guard sendsSenderReports else { return }
        for publisher in publishers {
            for report in publisher.senderReports(startedAt: startedAt ?? now, at: now) {
                sendRTCP(at: now) { _ = $0.append(report) }
            }
        }
    }
}
