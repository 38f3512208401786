// One of each command and event, with every optional value set somewhere.
import RTP
import Seam

enum Samples {
    static let session = SessionID("se_1")
    static let ice = ICECredentials(usernameFragment: "0abc", password: "0123456789abcdef01234567")
    static let fingerprint = Fingerprint(algorithm: "sha-256", digest: (0..<32).map { UInt8($0) })

    static let remote = RemoteTransport(ice: ice, fingerprints: [fingerprint], setup: .actpass)

    static let local = LocalTransport(
        ice: ice,
        candidates: [
            Candidate(network: .udp, address: "192.0.2.1", port: 7882, priority: 7, foundation: "1"),
            Candidate(network: .tcp, address: "sfu.example", port: 7882, priority: 6, foundation: "2"),
        ],
        fingerprints: [fingerprint],
        setup: .passive
    )

    static let open = OpenSession(
        session: session,
        room: RoomID("daily/“ünïcode” \u{0} \\ /"),
        participant: ParticipantID("pa_1"),
        user: UserID("alice@example.org"),
        remote: remote,
        receivesOwnUser: true
    )

    static let media = SessionMedia(
        generation: .max,
        sections: [
            SectionMedia(
                section: MediaSection(
                    mid: "0",
                    kind: .video,
                    codecs: [],
                    extensions: [],
                    receive: [EncodingParameters(ssrc: .max), EncodingParameters(ssrc: nil)]
                ),
                publication: PublicationID("tr_1"),
                source: .screen,
                muted: true,
                maxBitsPerSecond: .max
            ),
            SectionMedia(
                section: MediaSection(mid: "1", kind: .audio, codecs: [], extensions: [], receive: [])
            ),
        ],
        cname: "c"
    )

    static let wishes = Wishes(
        scope: .participant(ParticipantID("pa_2")),
        overrides: [PublicationID("tr_1"): false, PublicationID("tr_2"): true],
        tiles: [
            PublicationID("tr_1"): .init(
                width: 320,
                height: 180,
                visible: false,
                priority: 255,
                maxFrameRate: 15
            )
        ]
    )

    static let commands: [Command] = [
        .open(open), .configure(session, media), .restartICE(session, remote), .subscribe(session, wishes),
        .subscribe(session, Wishes(scope: .none)), .subscribe(session, Wishes()),
        .mute(PublicationID("tr_1"), true), .close(session),
        .attach(session, key: "member", revision: .max, text: "{\"name\":\"\u{0}\\ 🎥\"}"),
        .attach(session, key: "member", revision: 0, text: ""), .reportState,
    ]

    static let slot = SlotState(
        mid: "5",
        kind: .video,
        publication: PublicationID("tr_1"),
        participant: ParticipantID("pa_1"),
        spatialLayer: 2,
        temporalLayer: 1,
        width: 1280,
        height: 720,
        paused: true,
        reason: .codec,
        neededBitsPerSecond: 1_900_000,
        availableBitsPerSecond: .max
    )

    static let quality = SessionQuality(
        up: DirectionQuality(score: 50),
        down: DirectionQuality(
            score: 10,
            reason: .bandwidth,
            audio: 44,
            video: 10,
            lossPermille: 1000,
            roundTripMs: .max,
            jitterMs: 30,
            bitsPerSecond: .max,
            estimateBitsPerSecond: 620_000,
            queueMs: 300,
            bound: .draining
        )
    )

    static let speakers = SpeakerReport(
        room: RoomID("r"),
        dominant: ParticipantID("pa_1"),
        active: [.init(participant: ParticipantID("pa_1"), level: 127)]
    )

    static let state = MediaState(
        epoch: "e",
        sessions: [
            MediaState.Session(
                open: open,
                local: local,
                media: media,
                wishes: wishes,
                transport: .connected,
                attachments: ["member": "{}"],
                revisions: ["member": .max, "gone": 3]
            ),
            MediaState.Session(open: open, media: nil, transport: .new, attachments: [:]),
        ]
    )

    /// Everything but `.state`, which travels in a way of its own.
    static let events: [Event] = [
        .sessionOpened(session, local), .sessionRefused(session, .full),
        .configured(session, generation: 3), .iceRestarted(session, local),
        .transport(session, .disconnected), .sessionClosed(session, .fingerprintMismatch),
        publication("tr_1"),
        .slots(session, [slot, SlotState(mid: "6", kind: .audio)]),
        .demand(
            PublicationDemand(
                publication: PublicationID("tr_1"),
                room: RoomID("r"),
                encodings: [
                    .init(rid: "f", active: true, maxWidth: 1280, maxHeight: 720, maxFrameRate: 30),
                    .init(rid: nil, active: false),
                ]
            )
        ),
        .speakers(speakers), .speakers(SpeakerReport(room: RoomID("quiet"), dominant: nil, active: [])),
        .quality(session, quality), .quality(SessionID("se_quiet"), SessionQuality()),
        .counters(
            WorkerCounters(worker: 63, counts: ["a": .max], drops: ["b": 1], gauges: ["c": .min, "d": .max])
        ),
    ]

    static func publication(_ id: String, kilobits: UInt32 = 1) -> Event {
        .publication(
            PublicationState(
                publication: PublicationID(id),
                room: RoomID("r"),
                codec: .vp8,
                layers: [
                    .init(
                        rid: "q",
                        spatialLayer: 1,
                        live: true,
                        width: 320,
                        height: 180,
                        bitsPerSecond: kilobits * 1000,
                        framesPerSecond: 30
                    )
                ]
            )
        )
    }

    static func closed(_ number: Int) -> Event { .sessionClosed(SessionID("se_\(number)"), .requested) }

    static func state(sessions count: Int, epoch: String = "e") -> MediaState {
        MediaState(
            epoch: epoch,
            sessions: (0..<count).map { number in
                var open = open
                open.session = SessionID("se_\(number)")
                return MediaState.Session(
                    open: open,
                    media: media,
                    transport: .connected,
                    attachments: ["member": String(repeating: "7", count: number % 3 * 700)]
                )
            }
        )
    }
}
