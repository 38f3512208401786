// ICE-lite of one peer (RFC 8445 §2.5): authenticates checks, keeps the paths, chooses where we send, watches
// consent (RFC 7675). Always controlled. Sends nothing, reads no clock; must not know DTLS, SRTP or sockets.
import RTP

public struct ICEAgent {
    private enum Liveness: Equatable {
        /// No authenticated check yet.
        case waiting
        case fresh
        case disconnected
        /// Consent is gone; only a check on newer credentials brings it back.
        case lost
        case ended
    }

    private struct Keys {
        var local: ICECredentials
        var remote: ICECredentials
        /// HMAC key: the password's bytes (short-term credential, RFC 8489 §9.1.1).
        var key: [UInt8]

        init(local: ICECredentials, remote: ICECredentials) {
            self.local = local
            self.remote = remote
            key = Array(local.password.utf8)
        }
    }

    private var current: Keys
    /// Valid until the first check with `current` (make before break).
    private var previous: Keys?
    /// Counts completed restarts.
    private var generation = 0
    private var paths = ICEPaths()
    private var liveness = Liveness.waiting
    /// Consent is counted from here: the newest check on the path in use.
    private var consentedAt: Instant
    /// An ICE restart late in the grace moves the end.
    private var graceUntil: Instant
    private var highestNomination: UInt32?
    /// Holder of the highest NOMINATION.
    private var nominee: NetworkPath?
    private var errors = ErrorReplyLimiter()

    public init(local: ICECredentials, remote: ICECredentials, at now: Instant) {
        current = Keys(local: local, remote: remote)
        consentedAt = now
        graceUntil = now + Limits.Transport.closedAfter
    }

    // MARK: What is known

    public var localCredentials: ICECredentials { current.local }
    public var selectedPath: NetworkPath? { paths.selectedEntry?.path }
    public func isValidated(_ path: NetworkPath) -> Bool { paths.index(of: path) != nil }
    public var validatedPaths: [NetworkPath] { paths.entries.map(\.path) }
    /// A path is selected and consent on it holds (RFC 7675 §5.1).
    public var maySend: Bool {
        paths.selected != nil && (liveness == .fresh || liveness == .disconnected)
    }

    func key(_ generation: ICEGeneration) -> [UInt8] {
        switch generation {
        case .current: current.key
        case .previous: previous?.key ?? []
        }
    }

    // MARK: Checks

    /// A well-formed STUN message on any path.
    public mutating func receivedMessage(
        _ message: STUNMessage,
        on path: NetworkPath,
        at now: Instant,
        integrity: STUNIntegrity
    ) -> OnCheck {
        guard message.method == STUN.bindingMethod else {
            return OnCheck(reply: .none, drop: .stunUnsupported)
        }
        switch message.kind {
        case .request: break
        case .indication: return OnCheck(reply: .none)
        case .success, .failure: return OnCheck(reply: .none, drop: .stunUnsupported)
        }
        guard liveness != .ended else { return OnCheck(reply: .none, drop: .consentExpired) }
        guard message.hasUsername, message.hasIntegrity else {
            return refuse(.badRequest, as: .stunUnauthenticated, nil, on: path, at: now)
        }
        guard let keys = generation(of: message),
            message.isAuthentic(key: key(keys), integrity: integrity)
        else { return refuse(.unauthenticated, as: .stunUnauthenticated, nil, on: path, at: now) }
        guard message.unknownRequiredAttributes == 0 else {
            return refuse(.unknownAttribute, as: .stunUnsupported, keys, on: path, at: now)
        }
        guard message.priority != nil else {
            return refuse(.badRequest, as: .stunUnsupported, keys, on: path, at: now)
        }
        // A lite agent never becomes controlling (RFC 8445 §7.3.1.1).
        guard message.iceControlled == nil else {
            return refuse(.roleConflict, as: .stunUnsupported, keys, on: path, at: now)
        }
        // Silence tells the peer soonest that it needs an ICE restart (RFC 7675 §5.1).
        let isRestart = keys == .current && previous != nil
        guard liveness != .lost || isRestart else { return OnCheck(reply: .none, drop: .consentExpired) }
        return accept(message, keys, on: path, at: now)
    }

    /// Finds the credentials by our fragment; the peer's must be one it told us.
    private func generation(of message: STUNMessage) -> ICEGeneration? {
        let local = message.localUsernameFragment
        let remote = message.remoteUsernameFragment
        guard
            equals(remote, current.remote.usernameFragment)
                || previous.map({ equals(remote, $0.remote.usernameFragment) }) ?? false
        else { return nil }
        if equals(local, current.local.usernameFragment) { return .current }
        if let previous, equals(local, previous.local.usernameFragment) { return .previous }
        return nil
    }

    private mutating func refuse(
        _ code: STUN.ErrorCode,
        as drop: DropReason,
        _ keys: ICEGeneration?,
        on path: NetworkPath,
        at now: Instant
    ) -> OnCheck {
        guard errors.admit(path.remote, at: now) else {
            return OnCheck(reply: .none, drop: .stunRateLimited)
        }
        return OnCheck(reply: .failure(code, keys), drop: drop)
    }

    private mutating func accept(
        _ message: STUNMessage,
        _ keys: ICEGeneration,
        on path: NetworkPath,
        at now: Instant
    ) -> OnCheck {
        var on = OnCheck(reply: .success(keys))
        if keys == .current, let old = previous {
            on.retired = old.local.usernameFragment
            previous = nil
            generation += 1
            highestNomination = nil
            nominee = nil
        }
        let (index, isNew, forgotten) = paths.check(path, at: now, generation: generation)
        on.isNewPath = isNew
        on.forgotten = forgotten
        if shouldSelect(index, nominatedBy: message, at: now) {
            on.isSelected = paths.selected != index
            paths.select(index, at: now)
        }
        if paths.selected == index {
            consentedAt = now
            graceUntil = now + Limits.Transport.closedAfter
            on.isReconnected = liveness == .disconnected || liveness == .lost
            liveness = .fresh
        }
        return on
    }

    /// The highest NOMINATION wins; without one the latest USE-CANDIDATE, also after completion; and whoever
    /// is heard where nothing is selected or the selected path is dead.
    private mutating func shouldSelect(
        _ index: Int,
        nominatedBy message: STUNMessage,
        at now: Instant
    ) -> Bool {
        guard let selected = paths.selectedEntry, liveness != .lost else {
            _ = isNominated(index, by: message)
            return true
        }
        if isNominated(index, by: message) { return true }
        guard paths.selected != index, isSilent(selected, at: now) else { return false }
        let isDead =
            liveness == .disconnected || now - selected.checkedAt >= Limits.Transport.disconnectedAfter
        return isDead || selected.generation < paths.entries[index].generation
    }

    private mutating func isNominated(_ index: Int, by message: STUNMessage) -> Bool {
        guard let value = message.nomination else { return message.hasUseCandidate }
        let path = paths.entries[index].path
        if let highest = highestNomination, value <= highest {
            return value == highest && nominee == path
        }
        highestNomination = value
        nominee = path
        return true
    }

    private func isSilent(_ entry: ICEPaths.Entry, at now: Instant) -> Bool {
        now - entry.heardAt > Limits.Transport.silentAfter
    }

    // MARK: Media

    /// Something that only the peer can have made came on the selected path.
    mutating func heardOnSelectedPath(at now: Instant) {
        if let selected = paths.selected { paths.heard(selected, at: now) }
    }

    /// The same on any path: it may take over from one that is silent, as long as a recent check proved it.
    public mutating func heard(on path: NetworkPath, at now: Instant) -> OnMedia {
        guard let index = paths.index(of: path) else { return .nothing }
        paths.heard(index, at: now)
        guard let selected = paths.selectedEntry, paths.selected != index, mayLeave(selected, at: now),
            paths.entries[index].generation >= selected.generation,
            now - paths.entries[index].checkedAt < Limits.Transport.disconnectedAfter
        else { return .nothing }
        paths.select(index, at: now)
        consent(to: index)
        let isReconnected = liveness == .disconnected
        liveness = .fresh
        return .selected(path, isReconnected: isReconnected)
    }

    private func mayLeave(_ selected: ICEPaths.Entry, at now: Instant) -> Bool {
        liveness != .lost && isSilent(selected, at: now)
    }

    private mutating func consent(to index: Int) {
        consentedAt = max(consentedAt, paths.entries[index].checkedAt)
        graceUntil = max(graceUntil, consentedAt + Limits.Transport.closedAfter)
    }

    // MARK: Time

    public var nextDeadline: Instant {
        let next =
            switch liveness {
            case .waiting, .lost: graceUntil
            case .fresh: consentedAt + Limits.Transport.disconnectedAfter
            case .disconnected: consentedAt + Limits.Transport.consentLostAfter
            case .ended: Instant.distantFuture
            }
        return liveness == .ended ? next : min(next, paths.nextExpiry)
    }

    public mutating func advance(to now: Instant) -> OnTime {
        guard liveness != .ended, now >= nextDeadline else { return .nothing }
        switch liveness {
        case .fresh where now >= consentedAt + Limits.Transport.disconnectedAfter:
            if let path = fallBack(at: now) { return .selected(path) }
            liveness = .disconnected
            return .disconnected
        case .disconnected where now >= consentedAt + Limits.Transport.consentLostAfter:
            liveness = .lost
            return .consentLost
        case .lost where now >= graceUntil, .waiting where now >= graceUntil:
            liveness = .ended
            return .ended
        default:
            guard let expired = paths.expired(at: now) else { return .nothing }
            return .forgotten(paths.remove(at: expired))
        }
    }

    /// A path with fresh consent takes over from one without.
    private mutating func fallBack(at now: Instant) -> NetworkPath? {
        if let selected = paths.selectedEntry, !isSilent(selected, at: now) { return nil }
        let bound = max(consentedAt, now - Limits.Transport.disconnectedAfter)
        guard let index = paths.alternative(checkedAfter: bound) else { return nil }
        paths.select(index, at: now)
        consent(to: index)
        return paths.entries[index].path
    }

    // MARK: Restart, connections, end

    /// New credentials on both sides (RFC 8445 §9); the old ones hold until a check uses the new.
    public mutating func restart(local: ICECredentials, remote: ICECredentials, at now: Instant) -> OnRestart
    {
        var on = OnRestart()
        guard liveness != .ended else { return on }
        if previous != nil { on.retired = current.local.usernameFragment } else { previous = current }
        current = Keys(local: local, remote: remote)
        graceUntil = max(graceUntil, now + Limits.Transport.restartGrace)
        return on
    }

    /// Its path cannot come back; the transport lives on (another path, or a new check).
    public mutating func connectionClosed(_ connection: Int32, at now: Instant) -> OnConnectionClosed {
        var on = OnConnectionClosed()
        guard connection >= 0,
            let index = paths.entries.firstIndex(where: { $0.path.connection == connection })
        else { return on }
        let wasSelected = paths.selected == index
        on.forgotten = paths.remove(at: index)
        guard wasSelected else { return on }
        if let other = paths.alternative(checkedAfter: now - Limits.Transport.consentLostAfter) {
            paths.select(other, at: now)
            consent(to: other)
            on.selected = paths.entries[other].path
            return on
        }
        on.hasNoPath = true
        if liveness == .fresh {
            liveness = .disconnected
            on.isDisconnected = true
        }
        return on
    }

    /// Answers no more checks: consent is revoked at once (RFC 7675 §5.2).
    public mutating func end() { liveness = .ended }
}

private func equals(_ bytes: UnsafeBufferPointer<UInt8>, _ string: String) -> Bool {
    bytes.count == string.utf8.count && string.utf8.elementsEqual(bytes)
}
