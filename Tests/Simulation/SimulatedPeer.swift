// A whole WebRTC client on virtual time: ICE checks, DTLS, SRTP, publishing with simulcast and RTX, receiving with
// NACK, RTX and reports. Speaks real bytes; the call that owns it moves time and datagrams.
import PeerTransport
import RTP
import Seam

/// A packet that a peer got, decrypted, RTX undone.
public struct ReceivedPacket: Sendable {
    public var ssrc: UInt32
    public var sequence: Int64
    public var timestamp: UInt32
    public var marker: Bool
    public var payloadType: UInt8
    public var payload: [UInt8]
    public var padding: Int
    public var isRecovered: Bool
    public var audioLevel: UInt8?
    public var mid: String?
    public var at: Instant
    public var stamp: Stamp?
}

public final class SimulatedPeer {
    public static let extensions: [HeaderExtensionID] = [
        HeaderExtensionID(.audioLevel, id: 1), HeaderExtensionID(.absoluteSendTime, id: 2),
        HeaderExtensionID(.transportSequence, id: 3), HeaderExtensionID(.mid, id: 4),
        HeaderExtensionID(.rid, id: 10), HeaderExtensionID(.repairedRid, id: 11),
    ]
    public static let opus = CodecParameters(
        payloadType: 111,
        name: .opus,
        clockRate: 48_000,
        channels: 2,
        feedback: [.nack, .transportCC]
    )
    public static let vp8 = CodecParameters(
        payloadType: 96,
        name: .vp8,
        clockRate: 90_000,
        rtxPayloadType: 97,
        feedback: [.nack, .pli, .fir, .transportCC]
    )

    public let name: String
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
    /// How long it takes a missing packet for merely late. Browsers learn this from what they see.
    public var reorderGuard = Interval.milliseconds(20)
    /// Keeps the datagrams with media as they came, for `datagrams`.
    public var keepsDatagrams = false
    public private(set) var datagrams: [[UInt8]] = []
    public private(set) var receiverReports: [(at: Instant, block: ReportBlock)] = []
    /// Asks again for what has come, as a receiver does whose request crossed the repair.
    public var asksTwice = false
    /// Sends no media and no reports.
    public var isSilent = false
    /// Keeps what it sends, as it is on the wire.
    public var keepsRaw = false
    public private(set) var raw: [[UInt8]] = []
    /// Datagrams with media, and when the last one came.
    public private(set) var mediaCount = 0
    public private(set) var lastMediaAt = Instant.zero

    /// Codecs of slots that do not take the usual one, by their place.
    private var codecs: [Int: CodecParameters] = [:]
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

    public func publish(_ format: MediaSource.Format) -> SimulatedPublisher {
        let publisher = SimulatedPublisher(
            source: MediaSource(id: UInt32(truncatingIfNeeded: generator.next()), format: format),
            mid: "p\(publishers.count)",
            id: PublicationID("tr_\(name)\(publishers.count)"),
            seed: generator.next()
        )
        publishers.append(publisher)
        return publisher
    }

    public func addSlot(_ kind: MediaKind, rtx: Bool = true, codec: CodecParameters? = nil) {
        if let codec { codecs[slots.count] = codec }
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
                    codecs: [publisher.kind == .audio ? SimulatedPeer.opus : SimulatedPeer.vp8],
                    extensions: SimulatedPeer.extensions,
                    receive: publisher.encodings
                ),
                publication: publisher.id,
                source: publisher.kind == .audio ? .mic : .camera
            )
        }
        sections += slots.map { slot in
            let place = slots.firstIndex { $0.mid == slot.mid } ?? 0
            var codec = codecs[place] ?? (slot.kind == .audio ? SimulatedPeer.opus : SimulatedPeer.vp8)
            if slot.rtx == nil { codec.rtxPayloadType = nil }
            return SectionMedia(
                section: MediaSection(
                    mid: slot.mid,
                    kind: slot.kind,
                    codecs: [codec],
                    extensions: SimulatedPeer.extensions,
                    slot: SlotParameters(ssrc: slot.ssrc, rtxSSRC: slot.rtx)
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
                for packet in packets { send(packet, of: publisher, startedAt: startedAt, at: now) }
            }
        }
        if now >= nextRepair {
            nextRepair = now + .milliseconds(10)
            if sendsNACK { askForRepair(at: now) }
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
                guard case .ok(let length) = srtp.unprotectRTCP(base, length: count) else {
                    undecryptable += 1
                    return
                }
                receiveRTCP(base, length: length, at: now)
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
            map: HeaderExtensionMap(SimulatedPeer.extensions)
        )
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
            guard payload.count > 2 else { return }
            number = UInt16(payload[0]) << 8 | UInt16(payload[1])
            payload.removeFirst(2)
            isRecovered = true
        }
        let receiver = receivers[slot.ssrc] ?? SimulatedReceiver()
        receivers[slot.ssrc] = receiver
        guard let sequence = receiver.receive(number, isRecovered: isRecovered, at: now) else { return }
        guard keepsPackets else { return }
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
        received.append(
            ReceivedPacket(
                ssrc: slot.ssrc,
                sequence: sequence,
                timestamp: header.timestamp,
                marker: header.marker,
                payloadType: header.payloadType,
                payload: payload,
                padding: padding,
                isRecovered: isRecovered,
                audioLevel: values.audioLevelIfPresent,
                mid: mid,
                at: now,
                stamp: MediaSource.stamp(of: payload[...], kind: slot.kind)
            )
        )
    }

    private func receiveRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, at now: Instant) {
        var walker = RTCPWalker(packet, length: length)
        while let block = walker.next() {
            if let report = SenderReport(block) { senderReports.append((now, report)) }
            if var blocks = ReportBlocks(block) {
                while let block = blocks.next() { receiverReports.append((now, block)) }
            }
            if let pli = PictureLossIndication(block) {
                for publisher in publishers { publisher.requestKeyFrame(ssrc: pli.mediaSSRC) }
            }
            if var nack = GenericNACK(block) {
                let publisher = publishers.first { $0.owns(nack.mediaSSRC) }
                while let number = nack.next() {
                    guard let publisher else { continue }
                    resend(number, ssrc: nack.mediaSSRC, of: publisher, at: now)
                }
            }
            if block.isFeedback(RTCPType.transportFeedback, RTCPFeedbackFormat.transportWideCC) {
                feedbackCount += 1
            }
        }
    }

    // MARK: Out of the ordinary

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
        protectAndSend((bytes, headerLength, index, ssrc), at: now)
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
                let (bytes, header, index, ssrc) = publisher.compose(
                    packet,
                    transportSequence: nextTransportSequence()
                )
                if let datagram = protect(bytes, header, index, ssrc) { datagrams.append(datagram) }
            }
        }
        return datagrams
    }

    private func protect(_ packet: [UInt8], _ headerLength: Int, _ index: UInt64, _ ssrc: UInt32) -> [UInt8]?
    {
        guard let srtp else { return nil }
        var bytes = packet + [UInt8](repeating: 0, count: 64)
        let length = bytes.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map {
                srtp.sender.protect(
                    $0,
                    headerLength: headerLength,
                    length: packet.count,
                    ssrc: ssrc,
                    index: index
                )
            } ?? 0
        }
        return length > 0 ? Array(bytes.prefix(length)) : nil
    }

    public func forgetReceived() {
        received.removeAll()
        datagrams.removeAll()
    }

    // MARK: Sending

    private func send(
        _ packet: SourcePacket,
        of publisher: SimulatedPublisher,
        startedAt: Instant,
        at now: Instant
    ) {
        let bytes = publisher.compose(packet, transportSequence: nextTransportSequence())
        protectAndSend(bytes, at: now)
    }

    private func resend(_ number: UInt16, ssrc: UInt32, of publisher: SimulatedPublisher, at now: Instant) {
        guard
            let bytes = publisher.recompose(
                number,
                ssrc: ssrc,
                asRTX: usesRTX,
                transportSequence: nextTransportSequence()
            )
        else { return }
        protectAndSend(bytes, at: now)
    }

    private func nextTransportSequence() -> UInt16 {
        transportSequence &+= 1
        return transportSequence
    }

    private func protectAndSend(
        _ packet: (bytes: [UInt8], headerLength: Int, index: UInt64, ssrc: UInt32),
        at now: Instant
    ) {
        guard let datagram = protect(packet.bytes, packet.headerLength, packet.index, packet.ssrc) else {
            return
        }
        if keepsRaw { raw.append(datagram) }
        up.send(datagram, at: now)
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

    private func report(at now: Instant) {
        for publisher in publishers {
            for report in publisher.senderReports(startedAt: startedAt ?? now, at: now) {
                sendRTCP(at: now) { _ = $0.append(report) }
            }
        }
    }
}
