// One WebRTC session of the load: its socket, ICE, DTLS and SRTP, what it publishes and what it receives. Must not
// know HTTP, other sessions, or when the measurement begins.
import CLinux
import PeerTransport
import RTP

/// What all clients share.
final class ClientResources {
    let context: DTLSContext
    let certificate: DTLSCertificate
    let integrity: STUNIntegrity
    let scratch: UnsafeMutablePointer<UInt8>
    static let scratchBytes = 2048

    init() throws {
        certificate = try DTLSCertificate.generate()
        context = try DTLSContext(certificate: certificate)
        guard let integrity = STUNIntegrity() else { throw LoadError("OpenSSL has no HMAC-SHA1") }
        self.integrity = integrity
        scratch = .allocate(capacity: Self.scratchBytes)
    }

    deinit { scratch.deallocate() }
}

/// What a client tells whoever counts.
struct ReceivedSample {
    /// Nanoseconds from the publisher's call of send to the kernel's receipt for this client.
    var latency: Int64
    /// Nanoseconds of the monotonic clock.
    var arrival: Int64
    /// Where the packet is voiced.
    var voice: Stamp.Voice?
}

final class Client {
    enum State: Equatable {
        case idle, checking, securing, connected
        case failed(String)
    }

    /// Which packets are decrypted, besides the first of a stream.
    enum Sampling {
        case oneInSixteen, all, none
    }

    private static let streamsAtMost = 20
    private static let socketBufferBytes: Int32 = 1 << 20
    private static let sampleEvery: UInt16 = 16

    let index: Int
    let credentials: ICECredentials
    private(set) var state = State.idle
    private(set) var socket: Int32 = -1
    private(set) var streams: [ReceivedStream] = []
    private(set) var undecryptable = 0
    private(set) var authenticated = 0
    private(set) var foreignPackets = 0
    /// Nanoseconds of the monotonic clock; nil: none yet.
    private(set) var firstPacketAt: Int64?
    var sources: [MediaSource] = []
    /// A microphone; whoever has it says what is in its packets.
    var voice: VoiceSource?
    var sampling = Sampling.oneInSixteen
    private(set) var sourceStartedAt: Int64?
    private(set) var keyFrameRequests = 0

    private let resources: ClientResources
    private var answer: Answer?
    private var ice: ICEClient?
    private var dtls: DTLSEndpoint?
    private var srtp: SRTPContext?
    private var nextReport = Instant.distantFuture
    /// The last frame of the microphone, and when it went out, nanoseconds of the wall clock.
    private var spoken: (frame: Int64, at: Int64)?
    private let reportSSRC = UInt32.random(in: 1 ... .max)

    init(index: Int, resources: ClientResources) {
        self.index = index
        self.resources = resources
        var generator = SystemRandomNumberGenerator()
        credentials = ICECredentials.generate(worker: 0, using: &generator)
    }

    deinit { close() }

    var received: Int64 { streams.reduce(0) { $0 + $1.received } }
    var expected: Int64 { streams.reduce(0) { $0 + $1.expected } }
    var duplicates: Int64 { streams.reduce(0) { $0 + $1.duplicates } }

    // MARK: Life

    /// The server answered: opens the socket and starts checking.
    /// - Throws: `LoadError` where the system gives no socket.
    func open(_ answer: Answer, at now: Instant) throws {
        var local = answer.candidate.localCounterpart
        let descriptor = clinux_udp_open(&local, Int32(CLINUX_UDP_TIMESTAMP))
        guard descriptor >= 0 else {
            throw LoadError("no UDP socket: \(String(cString: clinux_error_text(-descriptor)))")
        }
        socket = descriptor
        _ = clinux_receive_buffer(descriptor, Self.socketBufferBytes)
        self.answer = answer
        ice = ICEClient(local: credentials, remote: answer.ice, integrity: resources.integrity)
        dtls = try DTLSEndpoint(context: resources.context, role: .client)
        state = .checking
        advance(to: now)
    }

    func fail(_ reason: String) {
        if case .failed = state { return }
        state = .failed(reason)
    }

    /// Says goodbye to the peer and gives the socket back.
    func close() {
        guard socket >= 0 else { return }
        dtls?.close { send($0) }
        clinux_close(socket)
        socket = -1
    }

    /// Checks, handshake timers and reports that are due.
    func advance(to now: Instant) {
        guard socket >= 0, var ice else { return }
        if now >= ice.nextCheck {
            let check = ice.check(at: now)
            check.withUnsafeBufferPointer { send($0) }
        }
        self.ice = ice
        if state == .securing, let dtls {
            if now >= dtls.nextDeadline { dtls.advance(to: now) { send($0) } }
            if dtls.state == .failed { fail("DTLS: \(dtls.failure.map { "\($0)" } ?? "failed")") }
        }
        if state == .connected, now >= nextReport { sendReport(at: now) }
    }

    // MARK: Receiving

    /// - Parameters:
    ///   - arrival: the kernel's receipt, nanoseconds of the monotonic clock.
    /// - Returns: a sample, where the packet was one of those that are decrypted and carries a stamp.
    func receive(_ datagram: UnsafeMutableBufferPointer<UInt8>, arrival: Int64, at now: Instant)
        -> ReceivedSample?
    {
        guard let base = datagram.baseAddress, datagram.count >= 12 else { return nil }
        switch base[0] {
        case 0...3:
            if ice?.receive(UnsafeBufferPointer(datagram), at: now) == true, state == .checking {
                state = .securing
                dtls?.start(at: now) { send($0) }
            }
        case 20...63:
            receiveDTLS(UnsafeBufferPointer(datagram), at: now)
        case 128...191:
            if RTPHeader.isRTCP(base, length: datagram.count) {
                receiveRTCP(base, length: datagram.count, at: now)
            } else {
                return receiveRTP(base, length: datagram.count, arrival: arrival, at: now)
            }
        default:
            foreignPackets += 1
        }
        return nil
    }

    private func receiveDTLS(_ datagram: UnsafeBufferPointer<UInt8>, at now: Instant) {
        guard let dtls, let answer else { return }
        dtls.receive(datagram, at: now) { send($0) }
        switch dtls.state {
        case .handshaking: break
        case .failed: fail("DTLS: \(dtls.failure.map { "\($0)" } ?? "failed")")
        case .closed: fail("the server has ended the session")
        case .connected where state == .securing:
            guard dtls.peerMatches(answer.fingerprints) else {
                return fail("the server's certificate is not the one of the answer")
            }
            do {
                srtp = try dtls.makeSRTPContext()
            } catch {
                return fail("no SRTP keys: \(error)")
            }
            state = .connected
            nextReport = now + .milliseconds(500 + Int64(index % 50) * 20)
        case .connected: break
        }
    }

    private func receiveRTP(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        arrival: Int64,
        at now: Instant
    ) -> ReceivedSample? {
        guard let srtp, let header = RTPHeader(parsing: packet, length: length),
            let place = place(of: header.ssrc, payloadType: header.payloadType)
        else {
            foreignPackets += 1
            return nil
        }
        let isFirst = !streams[place].isStarted
        streams[place].receive(
            sequence: header.sequenceNumber,
            timestamp: header.timestamp,
            at: Instant(microseconds: arrival / 1000)
        )
        if firstPacketAt == nil { firstPacketAt = clinux_monotonic_ns() }
        guard isFirst || isSampled(header.sequenceNumber) else { return nil }
        guard case .ok(let plain) = srtp.unprotectRTP(packet, length: length) else {
            undecryptable += 1
            return nil
        }
        authenticated += 1
        let padding = header.paddingLength(in: packet, length: plain) ?? 0
        let payload = packet + header.headerLength
        let length = plain - header.headerLength - padding
        if voice != nil {
            return Stamp.readVoice(payload, length: length)
                .map { ReceivedSample(latency: arrival - $0.sentAt, arrival: arrival, voice: $0) }
        }
        return Stamp.read(payload, length: length)
            .map { ReceivedSample(latency: arrival - $0, arrival: arrival, voice: nil) }
    }

    private func isSampled(_ sequence: UInt16) -> Bool {
        switch sampling {
        case .oneInSixteen:
            sequence % Self.sampleEvery == UInt16(truncatingIfNeeded: index) % Self.sampleEvery
        case .all: true
        case .none: false
        }
    }

    private func place(of ssrc: UInt32, payloadType: UInt8) -> Int? {
        for i in streams.indices where streams[i].ssrc == ssrc { return i }
        guard streams.count < Self.streamsAtMost else { return nil }
        streams.append(
            ReceivedStream(ssrc: ssrc, isVideo: answer?.videoTypes.contains(payloadType) ?? false)
        )
        return streams.count - 1
    }

    private func receiveRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, at now: Instant) {
        guard let srtp, case .ok(let plain) = srtp.unprotectRTCP(packet, length: length) else {
            undecryptable += 1
            return
        }
        var walker = RTCPWalker(packet, length: plain)
        while let block = walker.next() {
            if let report = SenderReport(block),
                let place = streams.firstIndex(where: { $0.ssrc == report.ssrc })
            {
                streams[place].receive(report, at: now)
            }
            if let request = PictureLossIndication(block) { requestKeyFrame(request.mediaSSRC) }
            if var requests = FullIntraRequest(block) {
                while let request = requests.next() { requestKeyFrame(request.ssrc) }
            }
        }
    }

    private func requestKeyFrame(_ ssrc: UInt32) {
        guard let place = sources.firstIndex(where: { $0.ssrc == ssrc }) else { return }
        keyFrameRequests += 1
        sources[place].requestKeyFrame()
    }

    // MARK: Sending

    /// When the next frame is due, nanoseconds of the monotonic clock; nil: nothing to send.
    var nextFrame: Int64? {
        guard state == .connected, !sources.isEmpty else { return nil }
        guard let start = sourceStartedAt else { return 0 }
        return sources.map { start + $0.frame * $0.interval }.min()
    }

    /// Sends every frame that is due. How many packets that were.
    func publish(at nanoseconds: Int64) -> Int {
        guard let srtp, state == .connected else { return 0 }
        let start = sourceStartedAt ?? nanoseconds
        sourceStartedAt = start
        var count = 0
        let packet = resources.scratch
        for place in sources.indices {
            let ssrc = sources[place].ssrc
            while start + sources[place].frame * sources[place].interval <= nanoseconds {
                sources[place].produce(sentAt: clinux_monotonic_ns(), into: packet) { header, length, index in
                    let protected = srtp.sender.protect(
                        packet,
                        headerLength: header,
                        length: length,
                        ssrc: ssrc,
                        index: index
                    )
                    send(UnsafeBufferPointer(start: packet, count: protected))
                    count += 1
                }
            }
        }
        return count
    }

    /// Sends the microphone's packet of this frame. False: not connected, or no microphone.
    func speak(_ content: VoiceSource.Content, frame: Int64) -> Bool {
        guard let srtp, state == .connected, voice != nil else { return false }
        let packet = resources.scratch
        guard let written = voice?.write(content, frame: frame, into: packet), let voice else { return false }
        let protected = srtp.sender.protect(
            packet,
            headerLength: written.header,
            length: written.length,
            ssrc: voice.ssrc,
            index: written.index
        )
        send(UnsafeBufferPointer(start: packet, count: protected))
        spoken = (frame, clinux_realtime_ns())
        return true
    }

    /// An SR for each source, or an RR with a block for each stream (RFC 3550 §6.4); both where there is a microphone.
    private func sendReport(at now: Instant) {
        nextReport = now + (sources.isEmpty ? .seconds(5) : .seconds(1))
        guard let srtp else { return }
        let packet = resources.scratch
        var writer = RTCPWriter(packet, capacity: 1200)
        for source in sources {
            guard let start = sourceStartedAt, source.packets > 0 else { continue }
            let elapsed = now.microseconds * 1000 - start
            let clock = clinux_realtime_ns() / 1000
            writer.append(
                SenderReport(
                    ssrc: source.ssrc,
                    ntpTime: NTPTime(
                        Instant(microseconds: clock),
                        epochOffset: .seconds(NTPTime.unixEpochSeconds)
                    ),
                    rtpTimestamp: source.timestamp(at: elapsed),
                    packetCount: source.packets,
                    octetCount: source.octets
                )
            )
        }
        if let voice, let spoken {
            writer.append(
                SenderReport(
                    ssrc: voice.ssrc,
                    ntpTime: NTPTime(
                        Instant(microseconds: spoken.at / 1000),
                        epochOffset: .seconds(NTPTime.unixEpochSeconds)
                    ),
                    rtpTimestamp: voice.timestamp(of: spoken.frame),
                    packetCount: voice.packets,
                    octetCount: voice.octets
                )
            )
        }
        if sources.isEmpty {
            writer.appendReceiverReport(ssrc: reportSSRC)
            for place in streams.indices {
                if let block = streams[place].makeReportBlock(at: now) { writer.append(block) }
            }
        }
        guard !writer.isEmpty else { return }
        let length = srtp.protectRTCP(packet, length: writer.length)
        send(UnsafeBufferPointer(start: packet, count: length))
    }

    private func send(_ datagram: UnsafeBufferPointer<UInt8>) {
        guard let base = datagram.baseAddress, !datagram.isEmpty, let answer else { return }
        DatagramSender.send(base, count: datagram.count, from: socket, to: answer.candidate)
    }
}
