// What the ICE agent answers to each event, as small values that tests compare.

/// Which of our credentials a check was made with, and its reply is signed with.
public enum ICEGeneration: Equatable, Sendable {
    case current
    /// Those from before an ICE restart that no new check has confirmed yet.
    case previous
}

public enum STUNReply: Equatable, Sendable {
    /// Nothing is answered.
    case none
    case success(ICEGeneration)
    /// Signed where the request was authentic, unsigned (nil) where that is the error.
    case failure(STUN.ErrorCode, ICEGeneration?)
}

/// The facts that follow from one STUN message.
public struct OnCheck: Equatable, Sendable {
    public var reply: STUNReply
    /// nil: the check was authentic and counted (or was an indication).
    public var drop: DropReason?
    /// The path was not in the list before.
    public var isNewPath = false
    /// Made room for the new one.
    public var forgotten: NetworkPath?
    /// The path of this check is where we send from now on.
    public var isSelected = false
    /// The old local username fragment, where this check completed an ICE restart.
    public var retired: String?
    /// Liveness came back.
    public var isReconnected = false

    public init(reply: STUNReply, drop: DropReason? = nil) {
        self.reply = reply
        self.drop = drop
    }
}

/// Authentic media or DTLS came on a path.
public enum OnMedia: Equatable, Sendable {
    case nothing
    /// The selected path is silent, the peer is here.
    case selected(NetworkPath, isReconnected: Bool)
}

/// One fact per call; ask again until `.nothing`.
public enum OnTime: Equatable, Sendable {
    case nothing
    case forgotten(NetworkPath)
    case selected(NetworkPath)
    case disconnected
    case consentLost
    case ended
}

public struct OnRestart: Equatable, Sendable {
    /// A local username fragment that was replaced before any check used it.
    public var retired: String?
}

/// An ICE-TCP connection is gone.
public struct OnConnectionClosed: Equatable, Sendable {
    public var forgotten: NetworkPath?
    /// Where we send instead.
    public var selected: NetworkPath?
    /// Nothing is left to send on.
    public var hasNoPath = false
    public var isDisconnected = false

    public init(
        forgotten: NetworkPath? = nil,
        selected: NetworkPath? = nil,
        hasNoPath: Bool = false,
        isDisconnected: Bool = false
    ) {
        self.forgotten = forgotten
        self.selected = selected
        self.hasNoPath = hasNoPath
        self.isDisconnected = isDisconnected
    }
}
