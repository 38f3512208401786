// One peer's transport: joins ICE, DTLS and SRTP, and tells the kinds of datagrams apart by their first byte.
// Must not know sockets, sessions or what the media means. Belongs to one shard.
import RTP

public enum TransportError: Error, Equatable {
    /// OpenSSL offers no HMAC-SHA1.
    case integrityUnavailable
}

public final class Transport {
    private var ice: ICEAgent
    private let dtls: DTLSEndpoint
    private let integrity: STUNIntegrity
    private var remote: RemoteTransport
    private var changes = TransportChangeQueue()
    private var hasStarted = false
    private var hasEnded = false

    // Stored apart from their public faces: what other modules can see is checked for exclusive access at each use.
    private var selected: NetworkPath?
    private var keys: SRTPContext?
    /// The same without a reference count to move on the packet's road; `keys` keeps it alive.
    private var unprotector: Unmanaged<SRTPContext>?
    private var maySend = false
    /// When media last came on the selected path; ICE is told before it is asked anything.
    private var heardAt = Instant.never
    private var deadline: Instant

    /// - Parameter integrity: one HMAC context may serve all transports of a shard; nil: an own one.
    public init(
        local: ICECredentials,
        remote: RemoteTransport,
        role: DTLSRole,
        context: DTLSContext,
        at now: Instant,
        integrity shared: STUNIntegrity? = nil
    ) throws {
        guard let integrity = shared ?? STUNIntegrity() else { throw TransportError.integrityUnavailable }
        self.integrity = integrity
        self.remote = remote
        dtls = try DTLSEndpoint(context: context, role: role)
        ice = ICEAgent(local: local, remote: remote.ice, at: now)
        deadline = ice.nextDeadline
    }

    public var localCredentials: ICECredentials { ice.localCredentials }
    /// Where we send; nil until a path is validated.
    public var selectedPath: NetworkPath? { selected }
    /// Keys are installed, the fingerprint matched and consent is fresh.
    public var canSend: Bool { maySend }
    /// Only once keys are installed and the fingerprint matched.
    public var srtp: SRTPContext? { keys }
    /// When `advance` wants to be called next; changes with every call but those that bring media.
    public var nextDeadline: Instant { deadline }
    /// Why DTLS failed, for logs.
    public var handshakeFailure: DTLSFailure? { dtls.failure }
    /// Paths that passed an authenticated check and may carry this peer's datagrams.
    public var validatedPaths: [NetworkPath] { ice.validatedPaths }

    /// FIFO of facts, to be asked after each call until nil.
    public func nextChange() -> TransportChange? { changes.next() }

    // MARK: The packet's road

    /// RFC 7983 §7. RTP and RTCP are decrypted in place.
    public func receive(
        _ datagram: UnsafeMutableBufferPointer<UInt8>,
        on path: NetworkPath,
        at now: Instant,
        into outbox: Outbox
    ) -> Received {
        guard let bytes = datagram.baseAddress, datagram.count > 0 else { return .dropped(.malformed) }
        let length = datagram.count
        let first = bytes[0]
        if first & 0xc0 == 0x80 { return receiveMedia(bytes, length: length, on: path, at: now) }
        if first <= 3 { return receiveSTUN(bytes, length: length, on: path, at: now, into: outbox) }
        if first >= 20, first <= 63 {
            return receiveDTLS(UnsafeBufferPointer(datagram), on: path, at: now, into: outbox)
        }
        return .dropped(.notForMedia)
    }

    private func receiveMedia(
        _ bytes: UnsafeMutablePointer<UInt8>,
        length: Int,
        on path: NetworkPath,
        at now: Instant
    ) -> Received {
        guard length >= 12 else { return .dropped(.rtpMalformed) }
        let isSelected = path == selected
        guard isSelected || ice.isValidated(path) else { return .dropped(.unknownPath) }
        guard let unprotector else { return .dropped(.srtpBeforeKeys) }
        // RFC 5761 §4: RTCP packet types 192–223.
        let isRTCP = bytes[1] >= 192 && bytes[1] <= 223
        let result = unprotector._withUnsafeGuaranteedRef {
            isRTCP ? $0.unprotectRTCP(bytes, length: length) : $0.unprotectRTP(bytes, length: length)
        }
        switch result {
        case .ok(let clear):
            if isSelected { heardAt = now } else { heard(on: path, at: now) }
            return isRTCP ? .rtcp(length: clear) : .rtp(length: clear)
        case .authentication: return .dropped(.srtpAuthentication)
        case .replay: return .dropped(.srtpReplay)
        case .streamLimit: return .dropped(.streamLimit)
        case .malformed: return .dropped(isRTCP ? .rtcpMalformed : .rtpMalformed)
        }
    }

    /// Off the fast path: authentic media on a path that is not the selected one.
    @inline(never)
    private func heard(on path: NetworkPath, at now: Instant) {
        ice.heardOnSelectedPath(at: heardAt)
        guard case .selected(let path, let isReconnected) = ice.heard(on: path, at: now) else { return }
        select(path)
        if isReconnected { changes.append(.reconnected) }
        settle()
    }

    /// Copies an RTCP compound packet, protects it and puts it on the selected path; without keys or consent,
    /// or where it is larger than a datagram of ours may be, nothing happens.
    public func sendRTCP(
        _ packet: UnsafePointer<UInt8>,
        length: Int,
        at now: Instant,
        into outbox: Outbox
    ) {
        let room = 64
        guard maySend, let keys, let path = selected, length >= 8,
            length <= Limits.Media.datagramBytes - room
        else { return }
        let place = outbox.reserve(length + room)
        place.update(from: packet, count: length)
        let protected = keys.protectRTCP(place, length: length)
        if protected > 0 { outbox.commit(length: protected, on: path) }
    }

    // MARK: STUN

    @inline(never)
    private func receiveSTUN(
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        on path: NetworkPath,
        at now: Instant,
        into outbox: Outbox
    ) -> Received {
        guard let message = STUNMessage(bytes, length: length) else { return .dropped(.stunMalformed) }
        ice.heardOnSelectedPath(at: heardAt)
        let on = ice.receivedMessage(message, on: path, at: now, integrity: integrity)
        reply(on.reply, to: message, on: path, into: outbox)
        if let forgotten = on.forgotten { changes.append(.pathForgotten(forgotten)) }
        if on.isNewPath { changes.append(.pathValidated(path)) }
        if let retired = on.retired { changes.append(.usernameFragmentRetired(retired)) }
        if on.isSelected { select(path) }
        if on.isReconnected { changes.append(.reconnected) }
        if selected != nil, !hasStarted { startHandshake(at: now, into: outbox) }
        settle()
        guard let drop = on.drop else { return .consumed }
        return .dropped(drop)
    }

    /// RFC 8489 §6.3.1. A reply is never larger than its request, so that we amplify nothing.
    private func reply(
        _ reply: STUNReply,
        to request: STUNMessage,
        on path: NetworkPath,
        into outbox: Outbox
    ) {
        let kind: STUNWriter.Kind
        let generation: ICEGeneration?
        switch reply {
        case .none: return
        case .success(let signer): (kind, generation) = (.bindingSuccess, signer)
        case .failure(_, let signer): (kind, generation) = (.bindingFailure, signer)
        }
        var writer = STUNWriter(
            outbox.reserve(request.length),
            capacity: request.length,
            kind: kind,
            transaction: request.transaction
        )
        if case .failure(let code, _) = reply {
            writer.addErrorCode(code)
            if code == .unknownAttribute { writer.addUnknownAttributes(of: request) }
        } else {
            writer.addXORMappedAddress(path.remote, port: path.remotePort)
        }
        if let generation { writer.seal(key: ice.key(generation), integrity: integrity) }
        writer.addFingerprint()
        if writer.length > 0 { outbox.commit(length: writer.length, on: path) }
    }

    // MARK: DTLS

    /// The first validated path: not a byte of DTLS goes to an address before.
    private func startHandshake(at now: Instant, into outbox: Outbox) {
        hasStarted = true
        dtls.start(at: now) { transmit($0, into: outbox) }
        followHandshake(into: outbox)
    }

    @inline(never)
    private func receiveDTLS(
        _ datagram: UnsafeBufferPointer<UInt8>,
        on path: NetworkPath,
        at now: Instant,
        into outbox: Outbox
    ) -> Received {
        guard datagram.count >= 13 else { return .dropped(.dtlsMalformed) }
        guard hasStarted, path == selected || ice.isValidated(path) else {
            return .dropped(.dtlsBeforeCheck)
        }
        guard !hasEnded else { return .dropped(.pathNotReady) }
        // Also after the handshake: a peer that lost our last flight repeats its own.
        dtls.receive(datagram, at: now) { transmit($0, into: outbox) }
        followHandshake(into: outbox)
        settle()
        return .consumed
    }

    private func transmit(_ datagram: UnsafeBufferPointer<UInt8>, into outbox: Outbox) {
        guard ice.maySend, let path = selected, let bytes = datagram.baseAddress, datagram.count > 0,
            datagram.count <= 1 << 16
        else { return }
        outbox.reserve(datagram.count).update(from: bytes, count: datagram.count)
        outbox.commit(length: datagram.count, on: path)
    }

    private func followHandshake(into outbox: Outbox) {
        guard !hasEnded else { return }
        switch dtls.state {
        case .handshaking: break
        case .connected: if keys == nil { installKeys(into: outbox) }
        case .closed: end(.peerClosed)
        case .failed: end(keys == nil ? .handshakeFailed : .peerClosed)
        }
    }

    /// No key is used before the certificate is the one that signaling named (RFC 5763 §5).
    private func installKeys(into outbox: Outbox) {
        guard dtls.peerMatches(remote.fingerprints) else {
            dtls.rejectCertificate { transmit($0, into: outbox) }
            return end(.fingerprintMismatch)
        }
        guard let context = try? dtls.makeSRTPContext() else { return end(.handshakeFailed) }
        dtls.forgetHandshake()
        keys = context
        unprotector = .passUnretained(context)
        changes.append(.connected)
    }

    // MARK: Time

    public func advance(to now: Instant, into outbox: Outbox) {
        guard !hasEnded else { return }
        advanceICE(to: now)
        if !hasEnded, now >= dtls.nextDeadline {
            dtls.advance(to: now) { transmit($0, into: outbox) }
            followHandshake(into: outbox)
        }
        settle()
    }

    private func advanceICE(to now: Instant) {
        ice.heardOnSelectedPath(at: heardAt)
        while true {
            switch ice.advance(to: now) {
            case .nothing: return
            case .forgotten(let path): changes.append(.pathForgotten(path))
            case .selected(let path): select(path)
            case .disconnected: changes.append(.disconnected)
            case .consentLost: changes.append(.consentLost)
            case .ended: return end(.timeout)
            }
        }
    }

    // MARK: Restart, connections, end

    /// New ICE credentials on both sides, same keys (RFC 8445 §9, RFC 8842 §5.5). Fingerprints that are left out
    /// mean the same as before.
    /// - Returns: false, and nothing is changed, where a new association is needed: the fingerprint changed or
    ///   this transport has ended.
    public func restartICE(local: ICECredentials, remote: RemoteTransport, at now: Instant) -> Bool {
        guard !hasEnded,
            remote.fingerprints.isEmpty || Set(remote.fingerprints) == Set(self.remote.fingerprints)
        else { return false }
        let on = ice.restart(local: local, remote: remote.ice, at: now)
        self.remote.ice = remote.ice
        if let retired = on.retired { changes.append(.usernameFragmentRetired(retired)) }
        settle()
        return true
    }

    /// An ICE-TCP connection is gone: its path too; another path takes over, or the peer comes back by a check.
    public func connectionClosed(_ connection: Int32, at now: Instant) {
        guard !hasEnded else { return }
        let on = ice.connectionClosed(connection, at: now)
        if let forgotten = on.forgotten { changes.append(.pathForgotten(forgotten)) }
        if let path = on.selected { select(path) }
        if on.hasNoPath { selected = nil }
        if on.isDisconnected { changes.append(.disconnected) }
        settle()
    }

    /// Sends close_notify and answers no more checks (RFC 7675 §5.2). Reports no change: the caller knows.
    public func close(at now: Instant, into outbox: Outbox) {
        guard !hasEnded else { return }
        if hasStarted { dtls.close { transmit($0, into: outbox) } }
        stop()
    }

    private func end(_ reason: TransportEnd) {
        guard !hasEnded else { return }
        changes.append(.closed(reason))
        stop()
    }

    private func stop() {
        hasEnded = true
        unprotector = nil
        keys = nil
        ice.end()
        settle()
    }

    private func select(_ path: NetworkPath) {
        selected = path
        heardAt = .never
        changes.append(.pathSelected(path))
    }

    /// Derives what others read from what the parts say now.
    private func settle() {
        maySend = !hasEnded && keys != nil && ice.maySend
        guard !hasEnded else {
            deadline = .distantFuture
            return
        }
        deadline = min(ice.nextDeadline, dtls.nextDeadline)
    }
}

extension Instant {
    /// Before all that a clock shows.
    fileprivate static let never = Instant(microseconds: .min)
}
