// The `data` of the relay: messages of the application between participants. Must not know what they say.

public struct SendData: Codable, Sendable, Equatable {
    /// Participants by `pid` or users by `uid`; absent: everybody.
    public var to: [String]?
    public var topic: String
    /// The sender's own name for the message: the same one again is not sent again.
    public var mid: String?
    /// Any JSON of at most 15 KiB.
    public var payload: JSONValue
    /// true where it is missing: arrives exactly once, in order. false: arrives soon or never.
    public var reliable: Bool?
}

public struct DataReceipt: Codable, Sendable, Equatable {
    public var mid: String
    public var accepted: Bool
    /// Sessions that it was queued for, the sender's other devices included.
    public var deliveredTo: Int
    /// Its number in the room's relay; absent where it was sent unreliably.
    public var relaySeq: UInt64?
    /// It had been sent before, and this is what came of it then.
    public var duplicate: Bool?
}

public struct RelayedData: Codable, Sendable, Equatable {
    /// `pid`; absent where the server sent it.
    public var from: String?
    public var uid: String?
    public var topic: String
    public var mid: String
    public var payload: JSONValue
    /// Counts the room's reliable messages. A member does not get those that are for others.
    public var relaySeq: UInt64?
    /// It was sent by another device of the receiver's user.
    public var `self`: Bool?
}

/// What a snapshot or a delta says about reliable messages that the client may have missed.
public struct RelayReport: Codable, Sendable, Equatable {
    /// The messages above `from` up to `to` follow as `data`; some of them may be known.
    public var from: UInt64
    public var to: UInt64
    /// Messages of these that are gone for good: at most so many of them were for this client.
    public var lost: Int
    /// The server has forgotten what it had: others that were on their way may be lost, too.
    public var unknown: Bool?
}
