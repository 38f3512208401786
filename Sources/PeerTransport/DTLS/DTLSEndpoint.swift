// One DTLS 1.2 association (RFC 6347) with use_srtp (RFC 5764): datagrams in, datagrams out, keys at the end.
// Knows no socket, no ICE and no signaling. The one machine of the house that is not a pure value: OpenSSL reads its
// own wall clock. Retransmission nevertheless runs on our instants, so that it works on virtual time: OpenSSL's timer
// is set so long that it never fires by itself, and when our deadline passes we move its deadline into the past and let
// it repeat the flight under new record numbers. OpenSSL 3.2 and later hide that deadline; there its own timer runs
// with the same durations, and where it still calls the time too early the stored datagrams are sent again as they were.
import COpenSSL
import RTP

public enum DTLSRole: Sendable { case client, server }

/// Why an association failed, for logs and metrics.
public enum DTLSFailure: Equatable, Sendable {
    case timeout
    /// A fatal alert of the peer (RFC 5246 §7.2), by number.
    case alert(Int)
    /// The peer offers no SRTP profile that we know.
    case noSRTPProfile
    /// `rejectCertificate` was called.
    case certificateRejected
    /// OpenSSL's reason.
    case protocolError(String)
}

/// Belongs to one shard.
public final class DTLSEndpoint {
    public enum State: Equatable, Sendable {
        case handshaking
        /// Keys exist. Whether the peer is the right one, `peerMatches` says.
        case connected
        /// close_notify, by either side, or a fatal alert of a peer that was connected.
        case closed
        case failed
    }

    public private(set) var state = State.handshaking
    /// Set where `state` is `.failed`, and after a peer's fatal alert.
    public private(set) var failure: DTLSFailure?
    public let role: DTLSRole

    private let context: DTLSContext
    /// nil once the handshake is forgotten, as is `pipe`.
    private var ssl: OpaquePointer?
    /// Freed by OpenSSL together with `ssl`.
    private var pipe: UnsafeMutablePointer<sfu_dtls_pipe>?
    /// Stands in for them from then on.
    private var remainder: DTLSRemainder?
    private var giveUpAt: Instant?
    private var retransmitAt = Instant.distantFuture
    private var timeout = Limits.DTLS.firstTimeout
    private var repetitions = 0
    /// After an error of its own OpenSSL processes nothing more; what was agreed stays valid.
    private var isDeaf = false

    /// - Throws: `DTLSError.endpoint` where OpenSSL has no memory.
    public convenience init(context: DTLSContext, role: DTLSRole) throws {
        try self.init(context: context, role: role, openSSLKeepsTime: false)
    }

    init(context: DTLSContext, role: DTLSRole, openSSLKeepsTime: Bool) throws {
        ERR_clear_error()
        var pipe: UnsafeMutablePointer<sfu_dtls_pipe>?
        let ssl = sfu_dtls_new(
            context.handle,
            context.datagramMethod,
            role == .client ? 1 : 0,
            context.linkMTU,
            UInt32(Limits.DTLS.firstTimeout.microseconds),
            UInt32(Limits.DTLS.longestTimeout.microseconds),
            openSSLKeepsTime ? 1 : 0,
            context.liveConnections,
            &pipe
        )
        guard let ssl, let pipe else { throw DTLSError.endpoint(DTLSCertificate.lastReason()) }
        self.context = context
        self.role = role
        self.ssl = ssl
        self.pipe = pipe
    }

    deinit { SSL_free(ssl) }

    /// Frees what the handshake alone needed, 40 KB of OpenSSL's: to be called once the keys are taken, since keys and
    /// certificate cannot be asked for afterwards. Before the end of the handshake nothing happens.
    public func forgetHandshake() {
        guard state == .connected, let ssl, let pipe else { return }
        ERR_clear_error()
        guard let rest = DTLSRemainder(ssl, pipe) else { return ERR_clear_error() }
        remainder = consume rest
        SSL_free(ssl)
        self.ssl = nil
        self.pipe = nil
    }

    /// When `advance` wants to be called.
    public var nextDeadline: Instant {
        guard state == .handshaking, let giveUpAt else { return .distantFuture }
        return min(giveUpAt, retransmitAt)
    }

    /// The path is validated: the client speaks now, the server waits. Calling it again changes nothing.
    public func start(at now: Instant, send: (UnsafeBufferPointer<UInt8>) -> Void) {
        guard state == .handshaking, giveUpAt == nil else { return }
        giveUpAt = now + Limits.DTLS.handshakeWithin
        if role == .client, let ssl, let pipe { handshake(ssl, pipe, at: now, send: send) }
    }

    /// A datagram whose first byte is 20–63 (RFC 7983). Garbage is ignored.
    public func receive(
        _ datagram: UnsafeBufferPointer<UInt8>,
        at now: Instant,
        send: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard let bytes = datagram.baseAddress, datagram.count >= 13, 20...63 ~= bytes[0], !isDeaf else {
            return
        }
        guard state == .handshaking || state == .connected else { return }
        start(at: now, send: send)
        guard state == .handshaking || state == .connected else { return }
        guard let ssl, let pipe else { return receiveAfterwards(datagram, send: send) }
        pipe.pointee.inbound = bytes
        pipe.pointee.inbound_length = datagram.count
        if state == .handshaking { handshake(ssl, pipe, at: now, send: send) }
        if state == .connected { readRecords(ssl, pipe, send: send) }
        // The pipe may be gone by now.
        self.pipe?.pointee.inbound = nil
    }

    private func receiveAfterwards(
        _ datagram: UnsafeBufferPointer<UInt8>,
        send: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        switch remainder?.receive(datagram, send: send) ?? .nothing {
        case .nothing: break
        case .closed:
            remainder?.sayGoodbye(send)
            state = .closed
        case .alert(let number):
            failure = .alert(number)
            state = .closed
        }
    }

    /// Repeats the flight or gives up where its time has come.
    public func advance(to now: Instant, send: (UnsafeBufferPointer<UInt8>) -> Void) {
        guard state == .handshaking, let giveUpAt, let ssl, let pipe else { return }
        guard now < giveUpAt else { return fail(.timeout) }
        guard now >= retransmitAt else { return }
        repetitions += 1
        guard repetitions <= Limits.DTLS.flightRepetitions else {
            retransmitAt = .distantFuture
            return
        }
        timeout = min(timeout * 2, Limits.DTLS.longestTimeout)
        retransmitAt = now + timeout
        ERR_clear_error()
        guard sfu_dtls_retransmit(ssl, pipe) >= 0 else {
            return fail(.protocolError(DTLSCertificate.lastReason()))
        }
        sendFlight(pipe, send)
    }

    /// Says goodbye with close_notify. Nothing is sent where there is no association yet.
    public func close(send: (UnsafeBufferPointer<UInt8>) -> Void) {
        guard state == .handshaking || state == .connected else { return }
        if state == .connected { sayGoodbye(send) }
        state = .closed
    }

    /// The peer is not who the signaling said: fatal `bad_certificate` (RFC 8122 §6.2), and the end.
    public func rejectCertificate(send: (UnsafeBufferPointer<UInt8>) -> Void) {
        guard state == .handshaking || state == .connected else { return }
        if state == .connected { sendFatalAlert(SSL_AD_BAD_CERTIFICATE, send) }
        fail(.certificateRejected)
    }

    /// Whether the peer's certificate has one of these fingerprints. Only those of the strongest hash that we know
    /// count (RFC 8122 §5); none of a known hash means no.
    public func peerMatches(_ fingerprints: [Fingerprint]) -> Bool {
        for algorithm in Fingerprint.acceptedAlgorithms {
            let candidates = fingerprints.filter { $0.algorithm.lowercased() == algorithm }
            guard !candidates.isEmpty else { continue }
            guard let digest = peerDigest(algorithm) else { return false }
            return candidates.contains { $0.digest == digest }
        }
        return false
    }

    func peerDigest(_ algorithm: String) -> [UInt8]? {
        guard state == .connected, let ssl, let x509 = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(x509) }
        return Fingerprint(of: x509, algorithm: algorithm)?.digest
    }

    /// Keys for both directions (RFC 5764 §4.2).
    /// - Throws: `DTLSError.notConnected`, or what `SRTPContext.init` throws.
    public func makeSRTPContext() throws -> SRTPContext {
        guard let keys = exportKeys() else { throw DTLSError.notConnected }
        let isClient = role == .client
        return try SRTPContext(
            profile: keys.profile,
            localKey: isClient ? keys.clientKey : keys.serverKey,
            localSalt: isClient ? keys.clientSalt : keys.serverSalt,
            remoteKey: isClient ? keys.serverKey : keys.clientKey,
            remoteSalt: isClient ? keys.serverSalt : keys.clientSalt
        )
    }

    struct ExportedKeys: Equatable {
        var profile: SRTPProfile
        var clientKey, serverKey, clientSalt, serverSalt: [UInt8]
    }

    func exportKeys() -> ExportedKeys? {
        guard state == .connected, let ssl, let profile = negotiatedProfile else { return nil }
        let (key, salt) = (profile.keyLength, profile.saltLength)
        var block = [UInt8](repeating: 0, count: 2 * (key + salt))
        let label = "EXTRACTOR-dtls_srtp"
        guard SSL_export_keying_material(ssl, &block, block.count, label, label.utf8.count, nil, 0, 0) == 1
        else { return nil }
        return ExportedKeys(
            profile: profile,
            clientKey: Array(block[..<key]),
            serverKey: Array(block[key..<2 * key]),
            clientSalt: Array(block[(2 * key)..<(2 * key + salt)]),
            serverSalt: Array(block[(2 * key + salt)...])
        )
    }

    /// The profile of the use_srtp extension, once the hellos are exchanged.
    var negotiatedProfile: SRTPProfile? {
        guard let ssl, let selected = SSL_get_selected_srtp_profile(ssl) else { return nil }
        return SRTPProfile(identifier: UInt16(truncatingIfNeeded: selected.pointee.id))
    }

    // MARK: - Turning the handshake

    private func handshake(
        _ ssl: OpaquePointer,
        _ pipe: UnsafeMutablePointer<sfu_dtls_pipe>,
        at now: Instant,
        send: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        let failed = result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ
        let reason = failed ? takeFailure() : nil
        if sendNewFlight(pipe, send) {
            timeout = Limits.DTLS.firstTimeout
            retransmitAt = now + timeout
            repetitions = 0
        }
        if let reason { return fail(reason) }
        guard result == 1 else {
            if sfu_dtls_awaits_answer(ssl) != 1 { retransmitAt = .distantFuture }
            return
        }
        state = .connected
        guard negotiatedProfile != nil else {
            sendFatalAlert(SSL_AD_HANDSHAKE_FAILURE, send)
            return fail(.noSRTPProfile)
        }
        readRecords(ssl, pipe, send: send)
    }

    /// Alerts and repeated flights; application data is dropped. OpenSSL answers a repeated last flight itself.
    private func readRecords(
        _ ssl: OpaquePointer,
        _ pipe: UnsafeMutablePointer<sfu_dtls_pipe>,
        send: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard borrowBuffers(ssl) else { return }
        defer { SSL_free_buffers(ssl) }
        let outcome = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2048) { scratch -> Int32 in
            while true {
                ERR_clear_error()
                let result = SSL_read(ssl, scratch.baseAddress, Int32(scratch.count))
                if result <= 0 { return SSL_get_error(ssl, result) }
            }
        }
        _ = sendNewFlight(pipe, send)
        switch outcome {
        case SSL_ERROR_WANT_READ:
            break
        case SSL_ERROR_ZERO_RETURN:
            sayGoodbye(send)
            state = .closed
        default:
            let reason = takeFailure()
            if case .alert = reason {
                failure = reason
                state = .closed
            }
            isDeaf = true
        }
    }

    /// Between datagrams a connection holds no record buffers, 33 KB. OpenSSL writes alerts into them unchecked, so
    /// they must be there for whatever may write.
    private func borrowBuffers(_ ssl: OpaquePointer) -> Bool { SSL_alloc_buffers(ssl) == 1 }

    /// Reads OpenSSL's error queue. Reasons above 1000 are alerts that came from the peer.
    private func takeFailure() -> DTLSFailure {
        let reason = Int(sfu_err_reason(ERR_peek_error()))
        if reason > Int(SSL_AD_REASON_OFFSET), reason <= Int(SSL_AD_REASON_OFFSET) + 255 {
            ERR_clear_error()
            return .alert(reason - Int(SSL_AD_REASON_OFFSET))
        }
        return .protocolError(DTLSCertificate.lastReason())
    }

    private func fail(_ reason: DTLSFailure) {
        state = .failed
        failure = reason
        retransmitAt = .distantFuture
    }

    private func sayGoodbye(_ send: (UnsafeBufferPointer<UInt8>) -> Void) {
        guard let ssl, let pipe else {
            remainder?.sayGoodbye(send)
            return
        }
        guard borrowBuffers(ssl) else { return }
        defer { SSL_free_buffers(ssl) }
        ERR_clear_error()
        SSL_shutdown(ssl)
        ERR_clear_error()
        _ = sendNewFlight(pipe, send)
    }

    /// OpenSSL sends such an alert only from within the handshake, and we learn of a wrong fingerprint after it.
    private func sendFatalAlert(_ description: Int32, _ send: (UnsafeBufferPointer<UInt8>) -> Void) {
        forgetHandshake()
        remainder?.sendFatalAlert(description, send)
    }

    // MARK: - Datagrams out

    /// Sends what OpenSSL wrote since the last call. Returns whether there was anything.
    private func sendNewFlight(
        _ pipe: UnsafeMutablePointer<sfu_dtls_pipe>,
        _ send: (UnsafeBufferPointer<UInt8>) -> Void
    ) -> Bool {
        guard pipe.pointee.flight_sent == 0, pipe.pointee.flight_length > 0 else { return false }
        sendFlight(pipe, send)
        return true
    }

    private func sendFlight(
        _ pipe: UnsafeMutablePointer<sfu_dtls_pipe>,
        _ send: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        pipe.pointee.flight_sent = 1
        guard let flight = pipe.pointee.flight else { return }
        DTLSFlight.forEachDatagram(
            of: UnsafeBufferPointer(start: flight, count: pipe.pointee.flight_length),
            send
        )
    }
}
