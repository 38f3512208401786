// Every message of `sfu.v1+json` in one table: who sends it, how it is delivered, how it is recovered, what it carries.
// Contracts for other languages are generated from this table. Must not know sessions or rooms.

/// What a client sends.
public enum ClientMessage: String, Codable, Sendable, CaseIterable {
    case hello, ack, ping, leave
    case offer = "pc.offer"
    case candidate = "pc.candidate"
    case publish = "track.publish"
    case unpublish = "track.unpublish"
    case mute = "track.mute"
    case subscribe = "sub.update"
    case view = "view.update"
    case sync
    case refresh = "auth.refresh"
}

/// What the server sends, apart from responses.
public enum ServerMessage: String, Codable, Sendable, CaseIterable {
    case welcome, snapshot, delta, replayed, roster, slots, demand, speakers, levels, conn, hb, pong, bye,
        error
    case muted = "track.muted"
    case layers = "track.layers"
    case need = "pc.need"
    case restart = "pc.restart"
    case expiring = "auth.expiring"

    public var delivery: Delivery { descriptor.delivery }
    public var descriptor: MessageDescriptor { Self.table[self] ?? Self.undescribed }

    private static let undescribed = MessageDescriptor(
        ServerMessage.error,
        .control,
        OutgoingError.self,
        "A server message without an entry"
    )
    private static let table = [ServerMessage: MessageDescriptor](
        uniqueKeysWithValues: MessageDescriptor.all.compactMap { entry in
            ServerMessage(rawValue: entry.type).flatMap { entry.direction == .toClient ? ($0, entry) : nil }
        }
    )
}

/// How a server message is queued when the socket is slow.
public enum Delivery: String, Codable, Sendable, CaseIterable {
    /// In line with critical events, not sequenced: responses, welcome, heartbeats, farewells.
    case control
    /// Sequenced, logged until acknowledged, never dropped.
    case critical
    /// Sequenced when sent; the newest value of a key replaces an older one that waits.
    case state
    /// Not sequenced; the oldest are dropped, and counted.
    case ephemeral
}

/// How a client that lost a critical event gets back what it said.
public enum Recovery: String, Codable, Sendable, CaseIterable {
    /// A snapshot contains it.
    case state
    /// It is said again until the client has answered it.
    case keyed
}

/// One row of the registry.
public struct MessageDescriptor: Sendable {
    public enum Direction: String, Codable, Sendable { case toServer, toClient }
    public enum Form: String, Codable, Sendable {
        /// Needs an `id`, gets exactly one response.
        case request
        /// Has no `id`, gets no response.
        case notification
        /// Gets a response if it has an `id`.
        case either
        case event
    }

    public var type: String
    public var direction: Direction
    public var form: Form
    public var delivery: Delivery
    /// Set for every critical message.
    public var recovery: Recovery?
    /// The fields of `data` that make the key of a state message; empty: the message has one value.
    public var key: [String]
    public var payload: any (Codable & Sendable).Type
    public var result: (any (Codable & Sendable).Type)?
    public var summary: String

    init(
        _ type: ClientMessage,
        _ form: Form,
        _ payload: any (Codable & Sendable).Type,
        result: (any (Codable & Sendable).Type)? = nil,
        _ summary: String
    ) {
        self.type = type.rawValue
        self.direction = .toServer
        self.form = form
        self.delivery = .control
        self.recovery = nil
        self.key = []
        self.payload = payload
        self.result = result
        self.summary = summary
    }

    init(
        _ type: ServerMessage,
        _ delivery: Delivery,
        recovery: Recovery? = nil,
        key: [String] = [],
        _ payload: any (Codable & Sendable).Type,
        _ summary: String
    ) {
        self.type = type.rawValue
        self.direction = .toClient
        self.form = .event
        self.delivery = delivery
        self.recovery = recovery
        self.key = key
        self.payload = payload
        self.result = nil
        self.summary = summary
    }

    public static let all: [MessageDescriptor] = toServer + toClient

    private static let toServer: [MessageDescriptor] = [
        .init(.hello, .notification, Hello.self, "First message of a connection: who joins and with what."),
        .init(.ack, .notification, Acknowledge.self, "Every event up to `ack` (or `data.seq`) was applied."),
        .init(.ping, .either, Ping.self, result: Pong.self, "Is the way to the server open?"),
        .init(.leave, .either, Leave.self, result: Done.self, "The participant leaves for good."),
        .init(.offer, .request, Offering.self, result: Answering.self, "Negotiates the PeerConnection."),
        .init(.candidate, .notification, TrickledCandidate.self, "A candidate of the client; never needed."),
        .init(
            .publish,
            .request,
            PublishTrack.self,
            result: TrackResult.self,
            "Announces a track, or gives one back its m-section after `track.unpublish`."
        ),
        .init(.unpublish, .request, TrackSelector.self, result: Unpublished.self, "Ends a track."),
        .init(.mute, .request, MuteTrack.self, result: TrackResult.self, "Mutes or unmutes a track."),
        .init(
            .subscribe,
            .request,
            UpdateSubscriptions.self,
            result: SubscriptionResults.self,
            "Switches tracks on and off; declarative and idempotent."
        ),
        .init(
            .view,
            .either,
            UpdateView.self,
            result: Done.self,
            "The tiles on the screen; the last one wins."
        ),
        .init(
            .sync,
            .request,
            Synchronize.self,
            result: Synchronized.self,
            "The whole of what the client wants, after it lost its session; declarative and idempotent."
        ),
        .init(
            .refresh,
            .request,
            RefreshToken.self,
            result: Refreshed.self,
            "Another token of the same user and room, before the stay ends."
        ),
    ]

    private static let toClient: [MessageDescriptor] = [
        .init(.welcome, .control, Welcome.self, "The session is open."),
        .init(
            .snapshot,
            .critical,
            recovery: .state,
            Snapshot.self,
            "The whole room in pages; replaces what the client knew."
        ),
        .init(
            .delta,
            .critical,
            recovery: .state,
            Delta.self,
            "What changed since the revision that the client had."
        ),
        .init(.replayed, .control, Replayed.self, "Ends a replay."),
        .init(.roster, .critical, recovery: .state, RosterChange.self, "Who joined, changed or left."),
        .init(
            .need,
            .critical,
            recovery: .keyed,
            SlotsNeeded.self,
            "The server wants more receive sections."
        ),
        .init(
            .restart,
            .critical,
            recovery: .keyed,
            RestartNeeded.self,
            "The server wants an ICE restart or a new PeerConnection."
        ),
        .init(
            .expiring,
            .critical,
            recovery: .keyed,
            Expiring.self,
            "The stay ends soon: another token is needed."
        ),
        .init(.muted, .state, key: ["tid"], TrackMuted.self, "A track was muted or unmuted."),
        .init(.layers, .state, key: ["tid"], TrackLayers.self, "What a track sends at the moment."),
        .init(
            .slots,
            .state,
            key: ["mid"],
            SlotObject.self,
            "What a receive section carries, and why no more."
        ),
        .init(
            .demand,
            .state,
            key: ["tid"],
            TrackDemand.self,
            "Which encodings of a track of the client anybody wants; the others may be switched off."
        ),
        .init(.speakers, .state, Speakers.self, "The dominant speaker and those who speak."),
        .init(.conn, .state, key: ["pid"], ConnectionChange.self, "How a participant is connected."),
        .init(.levels, .ephemeral, AudioLevels.self, "Audio levels, at most ten times a second."),
        .init(.hb, .control, Heartbeat.self, "Sign of life when nothing else is sent."),
        .init(.pong, .control, Pong.self, "Answers a `ping` without id."),
        .init(.bye, .control, Bye.self, "The server closes the socket."),
        .init(
            .error,
            .control,
            OutgoingError.self,
            "A message that cannot be answered by its id was refused."
        ),
    ]
}
