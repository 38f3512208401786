// The bounds of signaling: sessions, rooms, HTTP, events, texts. The others stand in Limits.swift.

extension Limits {
    /// WebSocket sessions and rooms.
    public enum Signaling {
        /// Longest first message of a connection, before it is authenticated, bytes.
        public static let greetingBytes = 64 * 1024
        /// Longest wait for the first message.
        public static let greetingTimeout = Interval.seconds(5)
        /// Longest client message, bytes.
        public static let messageBytes = 64 * 1024
        /// Longest client message that carries SDP, bytes.
        public static let offerMessageBytes = 256 * 1024
        /// Longest server message, bytes; snapshots are paged below it.
        public static let serverMessageBytes = 256 * 1024
        /// Events are packed into one message up to this size where the client understands it, bytes.
        public static let batchBytes = 16 * 1024
        /// Most envelopes in one client message.
        public static let envelopesPerMessage = 64
        /// Most requests of one session that wait for their response.
        public static let requestsInFlight = 64
        /// Most bytes of responses that wait for the socket of one session.
        public static let unsentResponseBytes = 1024 * 1024
        /// Client messages per second that one session may send in the long run.
        public static let messagesPerSecond = 50
        /// Client messages that one session may send at once.
        public static let messageBurst = 200
        /// Most critical events of one session that are unsent or not acknowledged.
        public static let criticalEvents = 512
        /// The same in bytes.
        public static let criticalBytes = 512 * 1024
        /// Oldest critical event that may be unsent or not acknowledged.
        public static let criticalAge = Interval.seconds(60)
        /// Most keys in the state lane of one session.
        public static let stateKeys = 4096
        /// Most ephemeral events that wait in one session.
        public static let ephemeralEvents = 64
        /// The same in bytes.
        public static let ephemeralBytes = 64 * 1024
        /// Oldest ephemeral event that is still sent.
        public static let ephemeralAge = Interval.seconds(1)
        /// Most responses that one session remembers for repeated requests.
        public static let cachedResponses = 128
        /// The same in bytes.
        public static let cachedResponseBytes = 256 * 1024
        /// Oldest response that is remembered.
        public static let cachedResponseAge = Interval.seconds(120)
        /// Silence towards the client after which a heartbeat goes out.
        public static let heartbeatInterval = Interval.seconds(10)
        /// Longest time that a socket may take no bytes, or a cleared lane wait for its snapshot.
        public static let slowConsumerTimeout = Interval.seconds(10)
        /// How long a participant whose socket and media are gone stays in the room, and can resume.
        public static let detachGrace = Interval.seconds(60)
        /// The same where its page was closed: its media session ended in order.
        public static let closedGrace = Interval.seconds(5)
        /// Longest resume token, bytes.
        public static let resumeTokenBytes = 16 * 1024
        /// Age at which the key that seals resume tokens is followed by a new one.
        public static let sealKeyAge = Interval.seconds(30 * 24 * 3600)
        /// Sealing keys that are kept: tokens of the older ones are still opened.
        public static let sealKeys = 3
        /// Departures that a room remembers for those who come back.
        public static let departures = 2048
        /// Oldest departure that is remembered.
        public static let departureAge = Interval.seconds(600)
        /// How long after a start those who were in a room before may still come back.
        public static let settleTime = Interval.seconds(15)
        /// How long after a start those who come back wait for what a media plane of its own says of their sessions.
        public static let mediaWait = Interval.seconds(3)
        /// What all sessions may hold in memory, bytes. Above 80 % the largest give up what waits for a snapshot, above
        /// 95 % they are closed, and nobody joins.
        public static let sessionMemory = 1024 * 1024 * 1024
        /// Before the end of a stay the client is asked for a new token so long.
        public static let expiryNotice = Interval.seconds(60)
        /// How long a participant without a socket is still shown as connected.
        public static let detachHidden = Interval.seconds(2)
        /// Longest wait for the media plane's answer to a command.
        public static let mediaAnswerTimeout = Interval.seconds(5)
        /// Longest stay in a room unless the token says otherwise.
        public static let defaultMaxSession = Interval.seconds(24 * 3600)
        /// Longest stay that a token can give.
        public static let longestMaxSession = Interval.seconds(30 * 24 * 3600)
        /// Longest wait for sockets to close at shutdown.
        public static let drainTimeout = Interval.seconds(5)
        /// Most open sockets.
        public static let connections = 65_536
        /// Most rooms.
        public static let rooms = 4096
        /// Most participants of one room, hidden viewers included.
        public static let participantsPerRoom = 2000
        /// Most publications of one participant.
        public static let publicationsPerParticipant = 16
        /// Most offers of one session that wait for the one in progress.
        public static let queuedOffers = 4
        /// Most video slots that the server asks a client for.
        public static let videoSlots = 49
        /// Most tiles of one `view.update`, and most rules of one `sub.update`.
        public static let wishesPerMessage = 512
        /// Most subscription rules that one participant keeps.
        public static let subscriptionRules = 1024
        /// Longest room name, user id, device id or publication name, bytes of UTF-8.
        public static let nameBytes = 256
        /// Shortest time between two reports of audio levels in a room.
        public static let levelsInterval = Interval.milliseconds(100)
        /// Shortest time between two reports to a room of how well its participants' media arrives.
        public static let qualityInterval = Interval.seconds(2)
        /// In a larger room, participants, nobody is told that of anybody else.
        public static let qualityAudience = 100
        /// How often metrics look at the quality of every session.
        public static let qualitySampling = Interval.seconds(10)
        /// Most media events that wait for the gateway.
        public static let mediaEvents = 65_536
        /// Most commands that wait for the media plane's mailbox.
        public static let mediaCommands = 16_384
    }
    /// What people in a room say about themselves and do to each other.
    public enum Rooms {
        /// Keys of a participant's attributes, and of a room's `meta`.
        public static let attributes = 64
        /// The same, keys and values together, bytes of UTF-8.
        public static let attributeBytes = 8 * 1024
        /// Longest reason or note, bytes of UTF-8.
        public static let textBytes = 512
        /// Longest reaction, bytes of UTF-8.
        public static let reactionBytes = 32
        /// Reactions of one participant in the long run.
        public static let reactionsPerSecond = 2
        /// How many of them at once.
        public static let reactionBurst = 5
        /// Participants on one page of the roster.
        public static let rosterPage = 500
        /// The same where the client does not say.
        public static let rosterPageDefault = 100
        /// A page of the roster is cut below this size, bytes.
        public static let rosterPageBytes = 192 * 1024
        /// Participants that wait in one room to be admitted.
        public static let waiting = 256
        /// Users of one room that need not wait again.
        public static let admitted = 4096
        /// Users of one room with a source that a moderator has locked.
        public static let muteLocks = 4096
        /// Bans of all rooms together.
        public static let bans = 16_384
        /// Longest ban.
        public static let longestBan = Interval.seconds(30 * 24 * 3600)
        /// Kicked sessions whose resume tokens are remembered to be worth nothing.
        public static let expelledSessions = 4096
        /// Sessions put out of a room that are still refused after a restart of the gateway.
        public static let expelledOnRecord = 128
        /// How long a room that was made on purpose stays while it is empty.
        public static let emptyRoomAge = Interval.seconds(24 * 3600)
        /// How long a participant may stay after it was asked to go to another room.
        public static let moveTimeout = Interval.seconds(10)
        /// How long the token for the other room can be used.
        public static let moveTokenLifetime = Interval.seconds(60)
        /// Reports of clients about themselves that one session may have in the log.
        public static let loggedReports = 16
    }

    /// Messages of the application between participants.
    public enum Relay {
        /// Largest payload, bytes of JSON.
        public static let payloadBytes = 15 * 1024
        /// Longest topic and message name, bytes of UTF-8.
        public static let nameBytes = 128
        /// Receivers that one message may name.
        public static let receivers = 512
        /// Messages that a room keeps for those who missed them.
        public static let messages = 256
        /// The same in bytes.
        public static let bytes = 1024 * 1024
        /// And their age.
        public static let age = Interval.seconds(600)
        /// Sent messages of a room that are known again when they come twice.
        public static let receipts = 1024
        /// What of the missed messages one member gets at once, bytes.
        public static let replayBytes = 256 * 1024
        /// The same in messages.
        public static let replayMessages = 192
        /// Messages of one participant in the long run.
        public static let messagesPerSecond = 20
        /// How many of them at once.
        public static let burst = 60
        /// Bytes of one participant in the long run.
        public static let bytesPerSecond = 64 * 1024
        /// How many of them at once.
        public static let burstBytes = 256 * 1024
    }

    /// The REST API.
    public enum REST {
        /// A request's body, bytes.
        public static let bodyBytes = 64 * 1024
        /// Rooms on one page of the list.
        public static let roomPage = 500
        /// The same where the caller does not say.
        public static let roomPageDefault = 100
        /// Longest `Idempotency-Key`, bytes.
        public static let keyBytes = 128
        /// Answers that are remembered for repeated requests.
        public static let answers = 4096
        /// The same in bytes of their bodies.
        public static let answerBytes = 4 * 1024 * 1024
        /// And their age.
        public static let answerAge = Interval.seconds(24 * 3600)
        /// Longest time that a minted token opens its room.
        public static let longestToken = Interval.seconds(24 * 3600)
    }

    /// HTTP requests, WHIP and WHEP.
    public enum HTTP {
        /// What one read takes of a connection, bytes: so much at first and when little comes, and at most so much.
        public static let leastReadBytes = 512
        public static let readBytes = 64 * 1024
        /// All header fields of a request, bytes; more is answered 431 or closed.
        public static let headerBytes = 16 * 1024
        /// Header fields of one request.
        public static let headerFields = 100
        /// From the connection to the end of its first request's head, TLS handshake included.
        public static let firstRequestTimeout = Interval.seconds(10)
        /// A connection without any request lives this long.
        public static let idleTimeout = Interval.seconds(60)
        /// For a request's body to arrive as a whole.
        public static let bodyTimeout = Interval.seconds(15)
        /// An SDP offer, bytes.
        public static let offerBytes = 256 * 1024
        /// An SDP fragment (RFC 8840), bytes.
        public static let fragmentBytes = 16 * 1024
        /// Connections of one listener; more wait in the kernel's backlog.
        public static let connections = 20_000
        /// A bearer token, bytes.
        public static let tokenBytes = 8 * 1024
        /// Path components: room, participant, session; bytes after percent-decoding.
        public static let nameBytes = 128
        /// WHIP and WHEP requests of one address, per second, and how many at once.
        public static let requestsPerSecond = 50
        /// How many of them at once.
        public static let requestBurst = 100
        /// Addresses whose request rate is remembered.
        public static let rateAddresses = 4096
        /// Time series of one metric name; more go into one without labels.
        public static let seriesPerMetric = 1000
        /// How often certificate files are looked at.
        public static let certificatePoll = Interval.seconds(5)
        /// What shutdown gives open sockets to say goodbye.
        public static let shutdownGrace = Interval.seconds(5)
    }
    /// Events of rooms, their log and webhooks.
    public enum Events {
        /// Users of one call whose stays are told apart.
        public static let usersPerCall = 10_000
        /// Users that a call's summary lists.
        public static let usersPerSummary = 500
        /// After a restart, how long those who were there have to come back before they are told as gone, unless it is set.
        public static let returnWithin = Interval.seconds(90)
        /// Events that wait to be written.
        public static let waiting = 16_384
        /// Rooms whose lost events are told apart, so that `roomSeq` shows them.
        public static let lostRooms = 4096
        /// Events and positions of one transaction.
        public static let batch = 500
        /// A failed write is tried again after this time; it doubles.
        public static let writeRetry = Interval.seconds(1)
        /// And at most this.
        public static let writeRetryLongest = Interval.seconds(30)
        /// How long a write waits for another process that has the file locked.
        public static let busyTimeout = Interval.seconds(5)
        /// Age of the events that are kept, unless it is set.
        public static let keptFor = Interval.seconds(72 * 3600)
        /// How many are kept, unless it is set.
        public static let kept = 1_000_000
        /// What the log's file may hold, unless it is set.
        public static let keptBytes = 1 << 30
        /// Rows that one step of pruning deletes.
        public static let pruneStep = 5000
        /// How often old events are looked for.
        public static let pruneInterval = Interval.seconds(60)
        /// A room's `roomSeq` goes on if its last event is not older than this.
        public static let sequenceMemory = Interval.seconds(90 * 86_400)
        /// Rooms whose `roomSeq` is remembered.
        public static let sequences = 1_000_000
        /// Events of one answer to a pull.
        public static let page = 1000
        /// The same without `limit`.
        public static let defaultPage = 100
        /// Their bytes; at least one event is always there.
        public static let pageBytes = 1 << 20
        /// Longest wait of a pull for the first event.
        public static let pullWait = Interval.seconds(25)
        /// Pulls that wait at a time.
        public static let waitingPulls = 64
        /// Webhook destinations.
        public static let destinations = 16
        /// Requests of one destination at a time.
        public static let requestsPerDestination = 16
        /// Of these, for rooms whose last request failed.
        public static let retriesPerDestination = 8
        /// Rooms with undelivered events that one destination looks at.
        public static let lanes = 4096
        /// Events that one look at the log covers.
        public static let scan = 500
        /// For a webhook's answer, unless it is set.
        public static let webhookTimeout = Interval.seconds(10)
        /// The longest that can be set.
        public static let webhookTimeoutLongest = Interval.seconds(60)
        /// Before a failed webhook is sent again; it doubles, with jitter.
        public static let webhookRetry = Interval.milliseconds(500)
        /// And at most this; Retry-After counts up to it.
        public static let webhookRetryLongest = Interval.seconds(300)
        /// Age of an event at which it is given up, once its room has failed for as long.
        public static let webhookGiveUp = Interval.seconds(24 * 3600)
        /// What is read of a webhook's answer, bytes.
        public static let webhookAnswerBytes = 16 * 1024
    }
    /// WebSocket connections (RFC 6455).
    public enum WebSocket {
        /// A frame, and all fragments of a message together, bytes. The gateway checks finer limits.
        public static let messageBytes = 256 * 1024
        /// Silence of the client after which it gets a PING.
        public static let pingAfter = Interval.seconds(10)
        /// Silence after which the client is gone.
        public static let deadAfter = Interval.seconds(25)
        /// What one look at the clock, each second, adds to a client's silence at most: the server itself may have stood still.
        public static let tickLongest = Interval.seconds(2)
        /// From our Close frame to the end of the connection, when the client does not answer.
        public static let closeTimeout = Interval.seconds(2)
        /// Bytes that wait in the process: below the first it is writable again, above the second no more.
        public static let writeLowWatermark = 32 * 1024
        /// The second.
        public static let writeHighWatermark = 64 * 1024
        /// Bytes that wait unsent in the kernel (TCP_NOTSENT_LOWAT): coalescing works only above it.
        public static let kernelUnsentBytes = 16 * 1024
        /// Unacknowledged bytes end the connection after this (TCP_USER_TIMEOUT).
        public static let userTimeout = Interval.seconds(20)
        /// What one turn of the loop reads of one connection, bytes.
        public static let readBytes = 2 * 1024
        /// Frames of one connection per second, PINGs and fragments included; then it is read no more for the rest of it.
        public static let framesPerSecond = 512
        /// The same in bytes.
        public static let bytesPerSecond = 1024 * 1024
        /// PINGs that are answered one by one in one turn of the loop; of more, the newest.
        public static let pongsPerFlush = 16
    }

    /// Session descriptions and ICE fragments, as text.
    public enum SDP {
        /// Largest session description that is read, bytes.
        public static let textBytes = 262_144
        /// Most lines of a session description.
        public static let lines = 16_384
        /// Longest line, bytes without its end.
        public static let lineBytes = 8_192
        /// Most attributes of one m-section, and of the session level.
        public static let attributesPerSection = 1_024
        /// Most payload types on one m-line.
        public static let payloadTypesPerSection = 128
        /// Most SSRCs announced in one m-section.
        public static let sourcesPerSection = 64
        /// Most fingerprints at one level.
        public static let fingerprints = 8
        /// Longest mid and rid, bytes: what a one-byte header extension carries.
        public static let identifierBytes = 16
        /// Largest ICE fragment that is read, bytes.
        public static let fragmentBytes = 16_384
        /// Most candidates of one ICE fragment.
        public static let candidatesPerFragment = 64
    }
}
