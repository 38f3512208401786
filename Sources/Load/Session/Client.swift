// One WebRTC session of the load: its socket, ICE, DTLS and SRTP, what it publishes and what it receives. Must not
// know signaling, other sessions, or when the measurement begins.
import CLinux
import PeerTransport
import RTP

/// What all clients share.
final class ClientResources {
    let context: DTLSContext
    let certificate: DTLSCertificate
    let integrity: STUNIntegrity
    /// Lets the kernel hand over segmented sends whole.
    let mergesDatagrams: Bool
    let scratch: UnsafeMutablePointer<UInt8>
    static let scratchBytes = 2048

    init(mergesDatagrams: Bool = true) throws {
        certificate = try DTLSCertificate.generate()
        context = try DTLSContext(certificate: certificate)
        guard let integrity = STUNIntegrity() else { throw LoadError("OpenSSL has no HMAC-SHA1") }
        self.integrity = integrity
        self.mergesDatagrams = mergesDatagrams
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
    var stamp: Stamp
}

final class Client {
    enum State: Equatable {
        case idle, checking, securing, connected
        case failed(String)
    }

    /// Which packets are decrypted, besides the first of a stream.
    enum Sampling: Equatable {
        case oneIn(UInt16), all, none
    }

    let index: Int
    let credentials: ICECredentials
    private(set) var state = State.idle
    private(set) var socket: Int32 = -1
    var streams: [ReceivedStream] = []
    var lastStream = 0
    /// Of retransmissions, by SSRC.
    var repairNumbers: [UInt32: SequenceUnwrapper] = [:]
    var undecryptable = 0
    var authenticated = 0
    var foreignPackets = 0
    /// Bytes of received RTP, with what SRTP adds.
    var receivedBytes: Int64 = 0
    var nacks = 0
    /// The kernel's receipt, nanoseconds of the monotonic clock; nil: none yet.
    var firstPacketAt: Int64?
    var keyFrameRequests = 0
    var sources: [any MediaSource] = []
    /// A microphone; whoever has it says what is in its packets.
    var voice: VoiceSource?
    var sampling = Sampling.oneIn(16)
    var sourceStartedAt: Int64?
    var nextReport = Instant.distantFuture
    var nextFeedback = Instant.distantFuture
    /// Something that was missed is to be asked for.
    var hasLosses = false
    /// The last frame of the microphone, and when it went out, nanoseconds of the wall clock.
    var spoken: (frame: Int64, at: Int64)?
    let reportSSRC = UInt32.random(in: 1 ... .max)
    let resources: ClientResources
    private(set) var remote: RemoteDescription?
    /// What each payload type is.
    private(set) var formats = InlineArray<128, Format>(repeating: .audio)
    /// Id of transport-wide sequence numbers; 0: there are none.
    private(set) var transportSequenceID: UInt8 = 0
    private(set) var srtp: SRTPContext?
    private(set) var sampler: SRTPSampler?
    private(set) var feedback: Feedback?
    private var peer = clinux_address()
    private var ice: ICEClient?
    private var dtls: DTLSEndpoint?
    /// Keys came from a file: nothing but media is sent.
    private(set) var isKeyed = false

    enum Format: UInt8 {
        case audio, video
        /// What is missing may be asked for.
        case repairedVideo
        /// Retransmissions (RFC 4588).
        case repair
    }

    /// Arrivals for transport-wide feedback.
    final class Feedback {
        var generator = TransportFeedbackGenerator()
        /// What came last, of retransmissions, too: the server may begin with padding there.
        var media: UInt32 = 0
    }

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
    var recovered: Int64 { streams.reduce(0) { $0 + $1.recovered } }
    var withheld: Int64 { streams.reduce(0) { $0 + $1.withheld } }

    // MARK: Life

    /// The server's description has come: opens the socket and starts checking.
    /// - Throws: `LoadError` where the system gives no socket, or what OpenSSL refuses.
    func open(_ remote: RemoteDescription, at now: Instant) throws {
        try bind(remote.candidate.localCounterpart)
        peer = remote.candidate
        take(remote)
        ice = ICEClient(local: credentials, remote: remote.ice, integrity: resources.integrity)
        dtls = try DTLSEndpoint(context: resources.context, role: remote.role)
        state = .checking
        advance(to: now)
    }

    private func take(_ remote: RemoteDescription) {
        self.remote = remote
        transportSequenceID = remote.transportSequenceID
        if transportSequenceID > 0 { feedback = Feedback() }
        for type in remote.videoTypes where type < 128 { formats[Int(type)] = .video }
        for (repair, repaired) in remote.repairs where repair < 128 && repaired < 128 {
            formats[Int(repair)] = .repair
            formats[Int(repaired)] = .repairedVideo
        }
    }

    /// Keys and addresses are known beforehand: connected at once.
    /// - Throws: `LoadError` where the system gives no socket, or `SRTPError`.
    func open(_ keyed: KeyFile.Peer, of file: KeyFile) throws {
        try bind(keyed.address)
        peer = file.server
        let keyLength = file.profile.keyLength
        srtp = try SRTPContext(
            profile: file.profile,
            localKey: Array(keyed.outgoing.prefix(keyLength)),
            localSalt: Array(keyed.outgoing.dropFirst(keyLength)),
            remoteKey: Array(keyed.incoming.prefix(keyLength)),
            remoteSalt: Array(keyed.incoming.dropFirst(keyLength))
        )
        sampler = srtp.flatMap { SRTPSampler(of: $0) }
        isKeyed = true
        for codec in VideoCodec.allCases { formats[Int(codec.payloadType)] = .video }
        state = .connected
    }

    private func bind(_ address: clinux_address) throws {
        var local = address
        let flags = CLINUX_UDP_TIMESTAMP | (resources.mergesDatagrams ? CLINUX_UDP_GRO : 0)
        let descriptor = clinux_udp_open(&local, Int32(flags))
        guard descriptor >= 0 else {
            throw LoadError("no UDP socket: \(String(cString: clinux_error_text(-descriptor)))")
        }
        socket = descriptor
        _ = clinux_receive_buffer(descriptor, Int32(Limits.Load.socketBufferBytes))
    }

    /// The port that the kernel has given; nil: no socket.
    var localPort: UInt16? {
        var name = clinux_address()
        guard socket >= 0, clinux_socket_name(socket, &name) == 0 else { return nil }
        return name.port
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

    /// Checks, handshake timers, reports and feedback that are due.
    func advance(to now: Instant) {
        guard socket >= 0, !isKeyed else { return }
        if let next = ice?.nextCheck, now >= next, let check = ice?.check(at: now) {
            check.withUnsafeBufferPointer { send($0) }
        }
        if state == .securing, let dtls {
            if now >= dtls.nextDeadline { dtls.advance(to: now) { send($0) } }
            if dtls.state == .failed { fail("DTLS: \(dtls.failure.map { "\($0)" } ?? "failed")") }
        }
        guard state == .connected else { return }
        if now >= nextReport { sendReport(at: now) }
        if hasLosses { askAgain(at: now) }
        if now >= nextFeedback { sendFeedback(at: now) }
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
        case 0...3: receiveSTUN(UnsafeBufferPointer(datagram), at: now)
        case 20...63: receiveDTLS(UnsafeBufferPointer(datagram), at: now)
        case 128...191:
            if RTPHeader.isRTCP(base, length: datagram.count) {
                receiveRTCP(base, length: datagram.count, at: Instant(microseconds: arrival / 1000))
            } else {
                return receiveRTP(base, length: datagram.count, arrival: arrival)
            }
        default: foreignPackets += 1
        }
        return nil
    }

    private func receiveSTUN(_ datagram: UnsafeBufferPointer<UInt8>, at now: Instant) {
        if ice?.receive(datagram, at: now) == true {
            guard state == .checking else { return }
            state = .securing
            dtls?.start(at: now) { send($0) }
        } else if let answer = ice?.answer(datagram, from: peer) {
            answer.withUnsafeBufferPointer { send($0) }
        }
    }

    private func receiveDTLS(_ datagram: UnsafeBufferPointer<UInt8>, at now: Instant) {
        guard let dtls, let remote else { return }
        dtls.receive(datagram, at: now) { send($0) }
        switch dtls.state {
        case .handshaking: break
        case .failed: fail("DTLS: \(dtls.failure.map { "\($0)" } ?? "failed")")
        case .closed: fail("the server has ended the session")
        case .connected where state != .connected:
            guard dtls.peerMatches(remote.fingerprints) else {
                return fail("the server's certificate is not the one of its description")
            }
            do {
                let context = try dtls.makeSRTPContext()
                srtp = context
                sampler = SRTPSampler(of: context)
            } catch {
                return fail("no SRTP keys: \(error)")
            }
            state = .connected
            nextReport = now + .milliseconds(500 + Int64(index % 50) * 20)
            if feedback != nil { nextFeedback = now + Limits.Load.feedbackEvery }
        case .connected: break
        }
    }

    func send(_ datagram: UnsafeBufferPointer<UInt8>) {
        guard let base = datagram.baseAddress, !datagram.isEmpty, socket >= 0 else { return }
        DatagramSender.send(base, count: datagram.count, from: socket, to: peer)
    }
}
