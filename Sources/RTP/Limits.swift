// Every bound of the server, with its unit; those of signaling stand beside, in Limits+Signaling.swift. docs/limits.md shows
// the same table; a test compares them.

/// Bounds that keep memory, time and traffic finite. One nested enum per room of the house.
public enum Limits {
    /// Packets and streams.
    public enum Media {
        /// Audio waits this long for packets of other speakers, to share a send; 0: not at all.
        public static let audioWindow = Interval.zero
        /// The longest that an operator may set.
        public static let audioWindowLongest = Interval.milliseconds(5)
        /// Largest datagram that is received, bytes. RFC 4571 frames above it close the connection.
        public static let datagramBytes = 1500
        /// Largest RTP packet that we send before SRTP, bytes.
        public static let rtpPacketBytes = 1200
        /// Most negotiated m-sections of one session.
        public static let sectionsPerSession = 128
        /// Most inbound SSRCs of one session.
        public static let receiveStreamsPerSession = 64
        /// Most simulcast encodings of one publication.
        public static let encodingsPerPublication = 4
        /// Most sessions of one worker.
        public static let sessionsPerWorker = 4096
        /// Most packets that are missing and asked for, per stream.
        public static let nackListLength = 1000
        /// A larger hole is not repaired: the stream starts anew with a key frame.
        public static let nackMaximumGap = 500
        /// How often one packet is asked for.
        public static let nackTries = 10
        /// So many packets of audio are asked for in a hundred …
        public static let audioNackShare = 25
        /// … or at once.
        public static let audioNackBurst = 25
        /// How long a missing packet may only be reordered.
        public static let nackReorderGuard = Interval.milliseconds(10)
        /// Between two requests for the same packet: the round trip, within these bounds.
        public static let nackRetryMinimum = Interval.milliseconds(20)
        /// The upper one.
        public static let nackRetryMaximum = Interval.milliseconds(400)
        /// Resends of one packet to one subscriber.
        public static let resendsPerPacket = 5
        /// What is done for each session now and then is done at multiples of this.
        public static let beat = Interval.milliseconds(10)
        /// The same of what nobody waits for: looks at the quality, reports.
        public static let slowBeat = Interval.milliseconds(50)
        /// Between sender and receiver reports.
        public static let reportInterval = Interval.seconds(1)
        /// The same where somebody only listens: nothing is kept in step with the sound. As libwebrtc does.
        public static let listenerReportInterval = Interval.seconds(5)
        /// Share of the sent bytes that may be resends, percent, plus a burst.
        public static let resendShare = 15
        /// What that share may save up, bytes.
        public static let resendBurstBytes = 60_000
        /// Longest time that a missing packet may only be reordered, where the network reorders much.
        public static let nackReorderGuardLongest = Interval.milliseconds(50)
        /// An encoding that nobody wants, or only much smaller, is switched off or bounded after this time.
        public static let demandDelay = Interval.seconds(3)
        /// One that tiles are for and that no path has room for is switched off after this time, and after up to eight
        /// times of it where it was needed again soon …
        public static let roomDelay = Interval.seconds(5)
        /// … that is, within this.
        public static let roomMemory = Interval.seconds(60)
        /// What is asked for comes within this time, or its sender has other reasons.
        public static let encodingStart = Interval.seconds(2)
        /// An encoding that comes although its sender was told to switch it off: it is told again after this time,
        /// which doubles.
        public static let demandRepeat = Interval.seconds(3)
        /// And so often.
        public static let demandRepeats = 3
        /// Oldest key frame that a late joiner is started with from the history, without asking for one.
        public static let storedKeyFrameAge = Interval.milliseconds(500)
        /// Most packets behind such a key frame.
        public static let storedKeyFramePackets = 128
        /// And most bytes.
        public static let storedKeyFrameBytes = 100_000
        /// Key frames are asked for at most this often per encoding.
        public static let keyFrameInterval = Interval.milliseconds(500)
        /// Share of an encoding's bits that key frames may take when they are asked for without end, percent …
        public static let keyFrameShare = 33
        /// … which lengthens that interval up to this.
        public static let keyFrameIntervalLongest = Interval.seconds(2)
        /// Packets of one encoding that wait for their frame's end; more are forwarded at once.
        public static let pendingPackets = 64
        /// Copies of video that one worker makes before it looks for new packets: a millisecond or two. Audio of one room
        /// the same.
        public static let copiesPerSlice = 512
        /// Padding that makes packets of one send equally long, bytes.
        public static let equalisingPadding = 16
        /// Segments of one send (Linux UDP_MAX_SEGMENTS).
        public static let segmentsPerSend = 64
        /// A camera layer without packets for five of its pictures, and at least this long, is not alive.
        public static let layerTimeout = Interval.milliseconds(250)
        /// And at most this long, however slow it is.
        public static let layerTimeoutLongest = Interval.seconds(2)
        /// The same for a screen, which may send little while nothing moves.
        public static let screenLayerTimeout = Interval.milliseconds(3000)
        /// An encoding changes its SSRC or its codec at most this often.
        public static let streamRestartInterval = Interval.milliseconds(500)
        /// Late packets of an SSRC that was replaced do not bring it back for this long.
        public static let formerStreamMemory = Interval.seconds(5)
        /// SSRC of streams that ended and whose replay protection is kept, per session.
        public static let retiredStreams = 32
        /// SSRC that one session was ever sent media with; a slot with another one is refused.
        public static let sentStreams = 1024
        /// Largest datagram with media that we send, bytes.
        public static let sentDatagramBytes = 1472
        /// Members of a room whose slots are dealt in one go.
        public static let membersPerDeal = 64
        /// Texts that a gateway leaves with a session.
        public static let attachmentsPerSession = 16
        /// Bytes of what a gateway leaves with a session.
        public static let attachmentBytes = 8192
        /// The name of such a text, bytes.
        public static let attachmentKeyBytes = 64
        /// How long sessions live while no gateway is connected.
        public static let gatewayAbsence = Interval.seconds(300)
    }
    /// Sources that send more than they may.
    public enum BitrateLimit {
        /// A camera's maximum with all its encodings, unless an operator sets another, bits per second.
        public static let camera = 6_000_000
        /// A screen's.
        public static let screen = 8_000_000
        /// A microphone's, with redundancy.
        public static let mic = 256_000
        /// The sound of a screen's.
        public static let screenAudio = 512_000
        /// The least that an operator may set, bits per second.
        public static let least = 16_000
        /// The most.
        public static let most = 1_000_000_000
        /// What an encoder may exceed it by before it is told, percent.
        public static let tolerance = 10
        /// Share of the maximum above which packets are dropped after a while, percent.
        public static let sheddingFrom = 150
        /// That while; and how long a source must behave before all of it is let in again.
        public static let patience = Interval.seconds(3)
        /// What a source may save up while packets of it are dropped.
        public static let burst = Interval.milliseconds(500)
        /// Between two looks at what came; after a longer time nothing is known of the rate.
        public static let lookInterval = Interval.milliseconds(900)
        /// That longer time.
        public static let oldestLook = Interval.seconds(5)
        /// How often a maximum is told again to a sender that behaves.
        public static let noticeRepeats = 2
    }
    /// Who is heard and who speaks.
    public enum Audio {
        /// Most voices of one room that are heard at once, where more people may speak than anybody has slots.
        public static let places = 10
        /// Packets of somebody who is not heard that are left out unread, before one is decrypted all the same.
        public static let unreadPackets = 64
        /// Publications of one room that are heard beside those places, since a session asked for nothing else.
        public static let chosenVoices = 64
        /// People of one room who spoke lately and may be the dominant speaker.
        public static let talkers = 32
        /// Time without a voice after which somebody is none of them.
        public static let talkerTimeout = Interval.seconds(30)
        /// Dominant speakers that are remembered, for the order in which cameras are shown.
        public static let recentSpeakers = 10
        /// Speakers of one report, the loudest.
        public static let reportedSpeakers = 10
        /// Earlier packets in one RED packet that are looked at, the newest.
        public static let redundantBlocks = 4
        /// How many packets back a RED packet may repeat one.
        public static let redundancyReach = 8
        /// Largest RED payload with redundancy that we send, bytes.
        public static let redundantPayloadBytes = 1200
        /// Reported loss from which on a subscriber with RED gets each packet twice, in 1/256: 1.2 %.
        public static let redundancyLoss = 3
        /// And from which on three times, in 1/256: 10 %.
        public static let redundancyHeavyLoss = 26
        /// How long it goes on after the last such report.
        public static let redundancyHold = Interval.seconds(10)
    }
    /// What one subscriber is sent at most, and how that is found out.
    public enum Bandwidth {
        /// Assumed before anything is known, bits per second.
        public static let start = 300_000
        /// Never less than this is aimed at, bits per second.
        public static let minimum = 30_000
        /// Never more than this, bits per second.
        public static let maximum = 30_000_000
        /// Packets whose send time is remembered at first, per session; doubled where they span less than `historyTime`.
        public static let historyPackets = 256
        /// And at most.
        public static let historyPacketsMost = 16_384
        /// Packets that one feedback message may be about, unless more are remembered; larger ones are ignored.
        public static let reportedPackets = 2048
        /// What the history should span.
        public static let historyTime = Interval.seconds(2)
        /// Without feedback for this long, or three round trips and an interval, the rate is cut.
        public static let silence = Interval.milliseconds(300)
        /// Longest wait for that, however long the round trip is.
        public static let silenceLongest = Interval.milliseconds(1500)
        /// Between two cuts of one silence.
        public static let silenceRepeat = Interval.seconds(1)
        /// A receiver's own estimate (REMB) counts for this long.
        public static let receiverEstimateAge = Interval.seconds(10)
        /// Packets of one probe, at least.
        public static let probePackets = 5
        /// Length of one probe; up to four times as long after failed ones.
        public static let probeTime = Interval.milliseconds(15)
        /// Bytes of one probe.
        public static let probeBytes = 64_000
        /// Wait for the result of a probe.
        public static let probeResultTime = Interval.seconds(1)
        /// After a failed probe; half as long again after each further one …
        public static let probeInterval = Interval.seconds(1)
        /// … up to this.
        public static let probeIntervalLongest = Interval.seconds(16)
        /// Between probes that keep an estimate alive which the traffic does not use.
        public static let upkeepInterval = Interval.seconds(5)
        /// What the pacer may let go at once.
        public static let pacerBurst = Interval.milliseconds(40)
        /// Longest wait of a packet in the pacer at its usual rate; above it the rate is raised.
        public static let pacerQueue = Interval.milliseconds(150)
        /// Packets of one session that wait in the pacer; a picture that finds no room is left out.
        public static let waitingPackets = 512
        /// Waits above this and the layer is broken off: what is sent would come too late to be of use.
        public static let waitingLongest = Interval.milliseconds(600)
        /// Recent packets that a probe sends again, before it sends padding.
        public static let probeRepeats = 63
        /// The bits of a session are shared out among its tracks at least this often …
        public static let allocationInterval = Interval.milliseconds(500)
        /// … and where it shows no video this often: there is nothing to share.
        public static let restInterval = Interval.seconds(5)
        /// For a higher estimate they are at most this often, for a lower one at once.
        public static let allocationLeast = Interval.milliseconds(50)
        /// What resends may take at once where bits are short, as time at the present rate.
        public static let tightResends = Interval.milliseconds(50)
        /// Tracks that one allocation looks at.
        public static let tracks = 64
        /// A track's layer is raised at most this often …
        public static let raiseInterval = Interval.seconds(1)
        /// … and ever less often, up to this, where it had to be lowered again.
        public static let raiseIntervalLongest = Interval.seconds(16)
        /// How long that is remembered of a layer while only lower ones are sent.
        public static let raiseMemory = Interval.seconds(60)
        /// A layer that had to be lowered this soon after it was raised was raised too early.
        public static let raiseProof = Interval.seconds(10)
    }
    /// How well media arrives, and how often that is said.
    public enum Quality {
        /// Between two looks at a session.
        public static let interval = Interval.seconds(1)
        /// Looks that a score is the mean of.
        public static let samples = 5
        /// Looks with media that a score needs.
        public static let leastSamples = 3
        /// A score that changes by less is not told at once, tenths of a point.
        public static let change = 3
        /// Then it is told after this time.
        public static let repeatInterval = Interval.seconds(10)
        /// A microphone or camera that is on and sends nothing for this long counts as silent.
        public static let silence = Interval.seconds(5)
    }
    /// DTLS handshakes (RFC 6347).
    public enum DTLS {
        /// From the start to the last flight; after it the association has failed.
        public static let handshakeWithin = Interval.seconds(30)
        /// First wait before a flight is sent again; it doubles.
        public static let firstTimeout = Interval.milliseconds(150)
        /// Longest wait before a flight is sent again.
        public static let longestTimeout = Interval.seconds(3)
        /// Repetitions of one flight; OpenSSL gives up after as many.
        public static let flightRepetitions = 12
        /// Path MTU that flights are cut for, bytes with IP and UDP headers.
        public static let linkMTU = 1200
        /// Datagrams that wait in one worker until media is on its way.
        public static let waitingDatagrams = 1024
        /// Those of one session; the longest flight of a client is about ten.
        public static let waitingPerSession = 32
        /// Validity of a generated certificate.
        public static let certificateLifetime = Interval.seconds(30 * 86_400)
    }

    /// SRTP (RFC 3711).
    public enum SRTP {
        /// Packets of an SSRC that may come late and are still told from replays; a multiple of 64.
        public static let replayWindow = 1024
        /// The same for its RTCP; at most 128.
        public static let reportReplayWindow = 128
        /// Remote SSRCs with state in one context, RTP and RTCP together.
        public static let remoteStreams = 128
        /// Largest protected packet that is looked at, bytes.
        public static let packetBytes = 2048
        /// Unknown SSRCs that may be tried with a rollover counter of 1, per context.
        public static let rolloverGuesses = 32
        /// Bytes that `protectRTCP` may add.
        public static let trailerBytes = 64
    }

    /// ICE, consent and the joining of one peer's parts.
    public enum Transport {
        /// Most remote paths of one peer; the least recently used one that is not selected makes room.
        public static let pathsPerPeer = 8
        /// Longest username fragment of ours, bytes: short enough that a lookup needs no heap.
        public static let localUsernameFragmentBytes = 15
        /// Longest USERNAME value (RFC 8489 §14.3), bytes.
        public static let usernameBytes = 513
        /// Without an authenticated check for this long the peer counts as disconnected.
        public static let disconnectedAfter = Interval.seconds(10)
        /// Without an authenticated check for this long we stop sending (RFC 7675 §5.1).
        public static let consentLostAfter = Interval.seconds(30)
        /// Without an authenticated check for this long the transport ends.
        public static let closedAfter = Interval.seconds(60)
        /// An ICE restart that comes late in the grace has at least this long to be checked.
        public static let restartGrace = Interval.seconds(20)
        /// The selected path counts as silent after this long without checks or media.
        public static let silentAfter = Interval.seconds(2)
        /// A path that is not selected is forgotten after this long without a check.
        public static let pathIdleAfter = Interval.seconds(60)
        /// Paths of the time before an ICE restart live this long once a newer path is selected.
        public static let oldPathsFor = Interval.seconds(3)
        /// Shortest time between two STUN error replies to one path or source address.
        public static let errorReplyEvery = Interval.milliseconds(100)
        /// Source addresses without a validated path that may be answered with errors in that time.
        public static let errorReplySources = 4
        /// Facts of one transport that wait to be polled.
        public static let pendingChanges = 64
    }

    /// RFC 4571 framing over ICE-TCP.
    public enum Stream {
        /// Outgoing bytes of one connection that may wait before packets are dropped, at least.
        public static let minimumBudgetBytes = 32 << 10
        /// The same where the bandwidth is not known.
        public static let budgetBytes = 64 << 10
        /// Outgoing bytes of one connection that can wait at all.
        public static let queueBytes = 256 << 10
        /// Outgoing frames of one connection that can wait.
        public static let queueFrames = 2048
        /// An RTP packet up to this size is taken for audio where nobody says what it is, bytes.
        public static let audioPacketBytes = 320
        /// A connection without a valid first frame is closed after this long.
        public static let firstFrameWithin = Interval.seconds(8)
    }

    /// Sockets, threads and what passes between them.
    public enum MediaIO {
        /// Threads of the media plane.
        public static let workers = 64
        /// By how much the workers' nice value is below that of the other threads, which get a tenth of a full CPU.
        public static let workersAhead = 10
        /// Sessions of one room on one worker; the next one takes the room to another worker, too.
        public static let roomSeatsPerWorker = 50
        /// Socket buffers that are asked for; the kernel may grant less, bytes.
        public static let receiveBufferBytes = 4 << 20
        /// The same for sending.
        public static let sendBufferBytes = 4 << 20
        /// Kernel buffers that one loop of a worker takes in before it forwards; each may hold a whole GRO train.
        public static let receiveSlots = 64
        /// Bytes of such a buffer.
        public static let receiveSlotBytes = 65_535
        /// Messages of one `sendmmsg`.
        public static let sendSlots = 256
        /// Bytes of one message with several segments.
        public static let segmentedBytes = 65_000
        /// Refused segmented sends in a row after which segmentation pauses, and for how many messages at first.
        public static let segmentationRefusals = 16
        /// That many messages at first; it doubles.
        public static let segmentationPause = 4096
        /// And at most.
        public static let segmentationPauseMaximum = 1 << 20
        /// Commands that wait for one worker.
        public static let mailboxCommands = 16_384
        /// Datagrams that wait between two workers: this much shared by the senders, within bounds.
        public static let handOverSlots = 2048
        /// The lower bound.
        public static let handOverSlotsPerPairMinimum = 32
        /// The upper one.
        public static let handOverSlotsPerPairMaximum = 1024
        /// Paths of other workers' sessions that one worker knows.
        public static let foreignPaths = 65_536
        /// How long such a path is remembered without traffic.
        public static let foreignPathLifetime = Interval.seconds(120)
        /// A path is confirmed anew by the owner at most this often.
        public static let foreignPathRefresh = Interval.seconds(15)
        /// ICE-TCP connections of the server, of one source (IPv6: /64), and those without an authenticated check.
        public static let streamConnections = 4096
        /// Those of one source.
        public static let streamConnectionsPerSource = 512
        /// Those without an authenticated check.
        public static let uncheckedStreams = 1024
        /// Those without one of one source.
        public static let uncheckedStreamsPerSource = 32
        /// From accept to the first authenticated check.
        public static let streamCheckTimeout = Interval.seconds(10)
        /// The first frame of a connection, a STUN request, bytes.
        public static let firstFrameBytes = 1280
        /// Connections that one loop accepts.
        public static let acceptsPerLoop = 16
        /// Connections that wait in the kernel to be accepted.
        public static let listenBacklog = 512
        /// What one loop reads from one ICE-TCP connection, bytes.
        public static let streamReadBytes = 16 << 10
        /// Kernel buffers of an ICE-TCP connection, bytes.
        public static let streamUnsentBytes = 16 << 10
        /// All that the kernel buffers of it to send, bytes.
        public static let streamSendBufferBytes = 128 << 10
        /// Addresses that are offered as candidates.
        public static let candidateAddresses = 16
        /// What one loop spends on handshakes once media is on its way.
        public static let handshakeSlice = Interval.milliseconds(1)
        /// What one loop spends on commands before it forwards what was received.
        public static let commandSlice = Interval.milliseconds(1)
        /// How often it is looked what waits in front of ICE-TCP connections.
        public static let backlogInterval = Interval.milliseconds(100)
        /// How often a worker reports its counters.
        public static let counterInterval = Interval.seconds(1)
    }

    /// The socket between two processes, `sfu media` and `sfu gateway`.
    public enum Link {
        /// Longest path of the socket (Linux, unix(7)), bytes.
        public static let pathBytes = 107
        /// Largest first frame of a connection, bytes.
        public static let greetingBytes = 4096
        /// Largest frame, bytes.
        public static let frameBytes = 4 << 20
        /// A report of the whole state is cut into frames of about this size, bytes.
        public static let stateFrameBytes = 256 << 10
        /// Events of one frame.
        public static let eventsPerFrame = 64
        /// Commands of one frame.
        public static let commandsPerFrame = 64
        /// Events that wait for the gateway; with more it is told the whole state instead.
        public static let queuedEvents = 16_384
        /// Commands that wait for the media plane.
        public static let queuedCommands = 4096
        /// Sessions of one report of the whole state.
        public static let stateSessions = 262_144
        /// Bytes that wait in the process: below the first more is written, above the second no more.
        public static let writeLowWatermark = 256 << 10
        /// The second.
        public static let writeHighWatermark = 1 << 20
        /// Connections that have not said who they are.
        public static let greetings = 8
        /// And how long they may take.
        public static let greetingTimeout = Interval.seconds(5)
        /// How often the media plane asks whether the gateway is there.
        public static let pingInterval = Interval.seconds(2)
        /// Silence after which the other side counts as dead.
        public static let deadAfter = Interval.seconds(10)
        /// How often both sides look at the clock.
        public static let tickInterval = Interval.milliseconds(500)
        /// Wait before the gateway tries again to connect; it doubles.
        public static let reconnectFirst = Interval.milliseconds(100)
        /// And at most.
        public static let reconnectLongest = Interval.seconds(2)
        /// Wait before a command that found a full mailbox is tried again.
        public static let mailboxRetry = Interval.milliseconds(5)
        /// What shutdown gives the last commands to leave.
        public static let drainTimeout = Interval.seconds(2)
    }

    /// Congestion feedback to publishers and layer structures from them.
    public enum Feedback {
        /// Span of transport-wide sequence numbers whose arrivals are remembered per transport.
        public static let arrivalsPerTransport = 4096
        /// Largest transport-wide feedback message, bytes before SRTCP.
        public static let messageBytes = 1200
        /// Share of what a publisher sends that transport-wide feedback to it may take, percent, both with IP and UDP.
        public static let share = 5
        /// Between two messages where the share allows for them.
        public static let shortestInterval = Interval.milliseconds(50)
        /// And where it does not: a sender that hears nothing for three seconds takes its network for broken.
        public static let longestInterval = Interval.seconds(1)
        /// From the first packet, or the first after a pause, to the message about it.
        public static let firstInterval = Interval.milliseconds(100)
        /// Messages that leave at one time; numbers that jump make many.
        public static let messagesAtOnce = 16
        /// IP and UDP headers of one datagram, bytes (IPv4).
        public static let datagramOverhead = 28
        /// What SRTCP adds to one message, bytes (RFC 7714 §9).
        public static let trailerBytes = 20
        /// Between two datagrams with repair requests to one publisher.
        public static let repairInterval = Interval.milliseconds(5)
        /// Most chains of a dependency descriptor's structure.
        public static let dependencyChains = 16
        /// Most frame differences of one frame in a dependency descriptor.
        public static let frameDifferences = 8
    }

    /// The clients of `sfu bench`.
    public enum Load {
        /// Sessions of one run, without those that come and go.
        public static let sessions = 5000
        /// Sessions that come and go, at one time.
        public static let passingSessions = 2000
        /// Received streams of one session.
        public static let streamsPerSession = 128
        /// Kernel buffer of one session's socket, bytes.
        public static let socketBufferBytes = 1 << 20
        /// Packets of one stream that are missed and asked for; where more are missing, a key frame is asked for.
        public static let missingPackets = 256
        /// How often one packet is asked for.
        public static let nackTries = 10
        /// From one time to the next.
        public static let nackEvery = Interval.milliseconds(50)
        /// Between two messages of transport-wide feedback.
        public static let feedbackEvery = Interval.milliseconds(100)
        /// The same where no video comes, whose rate leaves feedback less room.
        public static let feedbackEveryOfAudio = Interval.milliseconds(250)
        /// Times that are kept of one kind; from then on every second, fourth … is dropped.
        public static let samples = 1 << 20
        /// Entries of a long run's protocol.
        public static let intervals = 100_000
        /// Largest HTTP response that is read, bytes.
        public static let responseBytes = 1 << 20
        /// Largest WebSocket message that is read, bytes.
        public static let messageBytes = 8 << 20
        /// Largest file with keys, or with a token, that is read, bytes.
        public static let fileBytes = 4 << 20
    }

    /// Traces and timelines.
    public enum Telemetry {
        /// Spans that wait to be exported; more are dropped and counted.
        public static let queuedSpans = 4096
        /// Spans of one export.
        public static let batchSpans = 512
        /// Longest wait of a span for its export.
        public static let exportInterval = Interval.seconds(1)
        /// Longest wait for the collector's answer.
        public static let requestTimeout = Interval.seconds(10)
        /// What is read of that answer, bytes.
        public static let answerBytes = 64 * 1024
        /// Wait before the second attempt of an export; it doubles, with jitter.
        public static let retryFirst = Interval.seconds(1)
        /// And at most, also where the collector asks for more.
        public static let retryLongest = Interval.seconds(30)
        /// Attempts of one export.
        public static let attempts = 6
        /// What waits is exported at shutdown within this time.
        public static let flushTimeout = Interval.seconds(5)
        /// Attributes of one span, event or link, and values of one attribute.
        public static let attributesPerSpan = 64
        /// Longest text in a span, bytes.
        public static let attributeBytes = 1024
        /// Events of one span.
        public static let eventsPerSpan = 128
        /// Links of one span.
        public static let linksPerSpan = 32
        /// Members of a `tracestate` header (W3C Trace Context §3.3.1).
        public static let traceStateMembers = 32
        /// What of that header is handed on, bytes.
        public static let traceStateBytes = 512
        /// Members longer than this are left out first, bytes.
        public static let traceStateMemberBytes = 128
        /// Entries of one participant's timeline; changes of layers go first.
        public static let timelineEntries = 64
        /// Timelines that are kept of participants who have left.
        public static let endedTimelines = 1024
        /// Longest timeline that `sfu timeline` reads, bytes.
        public static let timelineBytes = 4 * 1024 * 1024
        /// Users of one call that are told apart in its totals.
        public static let conversationUsers = 4096
    }
}
