// Every message of `sfu.v1+json` in one table: who sends it, how it is delivered, how it is recovered, what it carries.
// Contracts for other languages, and the tables of docs/protocol.md, are generated from this table. Must not know sessions
// or rooms.
import RTP

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
    case updateMe = "me.update"
    case updateRoom = "room.update"
    case hand, reaction
    case rosterPage = "roster.page"
    case forceMute = "mod.mute"
    case askToUnmute = "mod.unmuteRequest"
    case kick = "mod.kick"
    case changeRole = "mod.role"
    case lock = "mod.lock"
    case stopShare = "mod.stopShare"
    case spotlight = "mod.spotlight"
    case admit = "mod.admit"
    case sendData = "data.send"
    case diagnose = "diag.get"
    case reportDiagnosis = "diag.report"
    case sync
    case refresh = "auth.refresh"
}

/// What the server sends, apart from responses.
public enum ServerMessage: String, Codable, Sendable, CaseIterable {
    case welcome, snapshot, delta, replayed, roster, slots, demand, speakers, quality, levels, conn, hb, pong,
        bye,
        error
    case muted = "track.muted"
    case layers = "track.layers"
    case need = "pc.need"
    case restart = "pc.restart"
    case reaction, data
    case roomUpdated = "room.updated"
    case roomMove = "room.move"
    case permissions = "me.permissions"
    case forceMuted = "mod.muted"
    case askedToUnmute = "mod.unmuteRequest"
    case tracksStopped = "mod.stopped"
    case lobbyWaiting = "lobby.waiting"
    case lobbyAdmitted = "lobby.admitted"
    case lobbyDenied = "lobby.denied"
    case lobbyLeft = "lobby.left"
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
    /// The room's relay log has it, and says what it has lost.
    case relay
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
    /// What it is for: one or two sentences.
    public var summary: String
    /// What a client has to know beyond that, in Markdown; empty: nothing.
    public var notes: String
    /// Of `grants`: without it the request is refused.
    public var grant: Grant?

    public enum Grant: String, Sendable { case moderate, data }

    init(
        _ type: ClientMessage,
        _ form: Form,
        _ payload: any (Codable & Sendable).Type,
        result: (any (Codable & Sendable).Type)? = nil,
        grant: Grant? = nil,
        _ summary: String,
        _ notes: String = ""
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
        self.notes = notes
        self.grant = grant
    }

    init(
        _ type: ServerMessage,
        _ delivery: Delivery,
        recovery: Recovery? = nil,
        key: [String] = [],
        _ payload: any (Codable & Sendable).Type,
        _ summary: String,
        _ notes: String = ""
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
        self.notes = notes
        self.grant = nil
    }

    public static let all: [MessageDescriptor] =
        toServer + peopleToServer + toClient + peopleToClient

    static let kibibyte = 1024
    static func seconds(_ interval: Interval) -> Int64 { interval.milliseconds / 1000 }

    private static let toServer: [MessageDescriptor] = [
        .init(
            .hello,
            .notification,
            Hello.self,
            "First message of a connection: who joins and with what.",
            """
            Within \(seconds(Limits.Signaling.greetingTimeout)) s, at most \(Limits.Signaling.greetingBytes / kibibyte) KiB. \
            Answered by `welcome`, or by `error` and a close code. With `token`, `resume` or both; in development `user` \
            instead of a token. `pc` is an offer that rides along.
            """
        ),
        .init(
            .ack,
            .notification,
            Acknowledge.self,
            "Every event up to `seq` was applied.",
            "The envelope's `ack` says the same on any message."
        ),
        .init(
            .ping,
            .either,
            Ping.self,
            result: Pong.self,
            "Is the way to the server open?",
            "Without `id` a `pong` answers."
        ),
        .init(
            .leave,
            .either,
            Leave.self,
            result: Done.self,
            "The participant leaves for good.",
            "Close \(CloseCode.left.rawValue) follows."
        ),
        .init(
            .offer,
            .request,
            Offering.self,
            result: Answering.self,
            "Negotiates the PeerConnection.",
            "At most \(Limits.Signaling.offerMessageBytes / kibibyte) KiB, and \(Limits.Signaling.queuedOffers) may wait. "
                + "See [Negotiation](#negotiation)."
        ),
        .init(
            .candidate,
            .notification,
            TrickledCandidate.self,
            "A candidate of the client.",
            "Never needed: the server is ICE-lite."
        ),
        .init(
            .publish,
            .request,
            PublishTrack.self,
            result: TrackResult.self,
            "Announces a track, or gives one back its m-section after `track.unpublish`."
        ),
        .init(
            .unpublish,
            .request,
            TrackSelector.self,
            result: Unpublished.self,
            "Ends a track.",
            "`tid` or `cid`."
        ),
        .init(
            .mute,
            .request,
            MuteTrack.self,
            result: TrackResult.self,
            "Mutes or unmutes a track.",
            "`tid` or `cid`."
        ),
        .init(
            .subscribe,
            .request,
            UpdateSubscriptions.self,
            result: SubscriptionResults.self,
            "Switches tracks on and off; declarative and idempotent.",
            "A rule is about a `tid`, or a `pid`, all of it or one `source`. At most \(Limits.Signaling.wishesPerMessage) in one "
                + "message."
        ),
        .init(
            .view,
            .either,
            UpdateView.self,
            result: Done.self,
            "The tiles on the screen; the last one wins.",
            "A tile shows a `tid`, or the `source` of a `pid`. At most \(Limits.Signaling.wishesPerMessage). See "
                + "[Views](#messages-of-the-server)."
        ),
        .init(
            .sync,
            .request,
            Synchronize.self,
            result: Synchronized.self,
            "The whole of what the client wants, after it lost its session; declarative and idempotent.",
            "The whole of each that is named; what is absent stays as it is."
        ),
        .init(
            .refresh,
            .request,
            RefreshToken.self,
            result: Refreshed.self,
            "Another token (JWT) of the same user and room, before the stay ends."
        ),
    ]

    private static let toClient: [MessageDescriptor] = [
        .init(
            .welcome,
            .control,
            Welcome.self,
            "The session is open.",
            "Carries `v` in its envelope. See [Resuming](#resuming)."
        ),
        .init(
            .snapshot,
            .critical,
            recovery: .state,
            Snapshot.self,
            "The whole room in pages; replaces what the client knew.",
            "Whoever is in no page is gone. `slots`, `speakers`, `qualities`, `standing` and `relay` on the first page."
        ),
        .init(
            .delta,
            .critical,
            recovery: .state,
            Delta.self,
            "What changed since the revision that the client had.",
            "Apply `changed`, then `left`, which is on the last page. `slots`, `speakers`, `qualities`, `standing` and `relay` on the first."
        ),
        .init(
            .replayed,
            .control,
            Replayed.self,
            "Ends a replay.",
            "From here on no number is missing."
        ),
        .init(
            .roster,
            .critical,
            recovery: .state,
            RosterChange.self,
            "Who joined, changed or left.",
            "Told together after 50 ms (250 ms above 50 participants, 1 s above 250)."
        ),
        .init(
            .need,
            .critical,
            recovery: .keyed,
            SlotsNeeded.self,
            "The server wants more receive sections.",
            "Please offer that many."
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
            "The stay ends soon: another token is needed.",
            "\(seconds(Limits.Signaling.expiryNotice)) s before; `auth.refresh` answers it."
        ),
        .init(
            .muted,
            .state,
            key: ["tid"],
            TrackMuted.self,
            "A track was muted or unmuted.",
            "To everybody but the session that did it."
        ),
        .init(
            .layers,
            .state,
            key: ["tid"],
            TrackLayers.self,
            "What a track sends at the moment.",
            "Of video alone; lowest first."
        ),
        .init(
            .slots,
            .state,
            key: ["mid"],
            SlotObject.self,
            "What a receive section carries, and why no more.",
            "One section for each event."
        ),
        .init(
            .demand,
            .state,
            key: ["tid"],
            TrackDemand.self,
            "Which encodings of a track of the client anybody wants; the others may be switched off.",
            "To the publisher alone; lowest first."
        ),
        .init(
            .speakers,
            .state,
            Speakers.self,
            "The dominant speaker and those who speak.",
            "Loudest first, level 0–127."
        ),
        .init(
            .quality,
            .state,
            key: ["pid"],
            ParticipantQuality.self,
            "How well a participant's media arrives, in both directions, and why no better.",
            """
            Of oneself with figures, when it changes and every \(seconds(Limits.Quality.repeatInterval)) s; of others in steps, \
            in rooms of up to \(Limits.Signaling.qualityAudience) participants. See [Quality](#quality).
            """
        ),
        .init(.conn, .state, key: ["pid"], ConnectionChange.self, "How a participant is connected."),
        .init(.levels, .ephemeral, AudioLevels.self, "Audio levels, at most ten times a second."),
        .init(
            .hb,
            .control,
            Heartbeat.self,
            "Sign of life when nothing else is sent.",
            "After \(seconds(Limits.Signaling.heartbeatInterval)) s; a `seq` above the last one seen is a loss."
        ),
        .init(.pong, .control, Pong.self, "Answers a `ping` without id."),
        .init(.bye, .control, Bye.self, "The server closes the socket.", "See [Close codes](#close-codes)."),
        .init(
            .error,
            .control,
            OutgoingError.self,
            "A message that cannot be answered by its id was refused."
        ),
    ]
}
