// The documentation of the routes that are no REST operations: files, status, contracts, signaling, events, timelines, WHIP,
// WHEP, and the webhook that the server calls. Must not know who answers.
import HTTPTypes
import Hummingbird
import RTP

extension HTTPOperation {
    static var others: [HTTPOperation] { files + status + ofServers + [signal] + whip + whep + whepSessions }

    // MARK: Files, status

    private static var files: [HTTPOperation] {
        WebFile.all.map { file in
            let isContract = file.contentType == "application/json"
            return HTTPOperation(
                id: identifier(of: file.path),
                tag: isContract ? "contracts" : "page",
                method: .get,
                path: file.path,
                summary: file.summary,
                headers: [Header(name: "If-None-Match", text: "Entity tags.")],
                answers: [
                    200: Answer(
                        text: "The file.",
                        body: isContract ? .document : .text(String(file.contentType.prefix { $0 != ";" })),
                        headers: ["ETag"]
                    ),
                    304: Answer(text: "You have it.", headers: ["ETag"]),
                ]
            )
        }
    }

    /// "/sdk/sfu.js" is "getSdkSfuJs".
    private static func identifier(of path: String) -> String {
        let words = path.split { !$0.isLetter }.map { $0.prefix(1).uppercased() + $0.dropFirst() }
        return "get" + (words.isEmpty ? "Page" : words.joined())
    }

    private static var status: [HTTPOperation] {
        [
            HTTPOperation(
                id: "isAlive",
                tag: "status",
                method: .get,
                path: "/healthz",
                summary: "Whether the process answers at all.",
                answers: [200: Answer(text: "It does.", body: .text("text/plain"))]
            ),
            HTTPOperation(
                id: "isReady",
                tag: "status",
                method: .get,
                path: "/readyz",
                summary: "Whether new clients should be sent here.",
                answers: [
                    200: Answer(text: "They should.", body: .text("text/plain")),
                    503: .problem("They should not; `detail` says why.", headers: retryAfter),
                ]
            ),
            HTTPOperation(
                id: "getMetrics",
                tag: "status",
                method: .get,
                path: "/metrics",
                access: .metrics,
                summary: "Metrics in the text format of Prometheus.",
                answers: [
                    200: Answer(text: "The metrics.", body: .text("text/plain")),
                    401: .problem("The token is missing or wrong.", headers: ["WWW-Authenticate"]),
                ]
            ),
            HTTPOperation(
                id: "getConfig",
                tag: "status",
                method: .get,
                path: "/v1/config",
                summary: "What the page has to know of the server.",
                answers: [200: Answer(text: "The settings.", body: .json(PublicConfiguration.self))]
            ),
        ]
    }

    // MARK: For the chat server

    private static var ofServers: [HTTPOperation] {
        let longest = Limits.Events.pullWait.milliseconds / 1000
        return [
            HTTPOperation(
                id: "readEvents",
                tag: "events",
                method: .get,
                path: "/v1/events",
                access: .server(.readEvents),
                summary: "The log of events, from a cursor on; the same events as webhooks carry.",
                query: [
                    .init(
                        name: "after",
                        schema: ["type": "string"],
                        summary:
                            "`next` of the answer before; absent: the oldest event that is kept; `newest`: only the cursor."
                    ),
                    .init(
                        name: "limit",
                        schema: [
                            "type": "integer", "minimum": 1, "maximum": .whole(Int64(Limits.Events.page)),
                            "default": .whole(Int64(Limits.Events.defaultPage)),
                        ],
                        summary: "At most."
                    ),
                    .init(name: "room", schema: ["type": "string"], summary: "Only events of this room."),
                    .init(
                        name: "wait",
                        schema: ["type": "integer", "minimum": 0, "maximum": .whole(longest), "default": 0],
                        summary: "Seconds that the answer may wait for the first event."
                    ),
                ],
                answers: serverFailures().merging([
                    200: Answer(text: "Events, perhaps none.", body: .json(EventPage.self)),
                    404: .problem("This server keeps no log."),
                    409: .problem("The log cannot be read at the moment.", headers: retryAfter),
                    503: .problem("Too many requests wait.", headers: retryAfter),
                ]) { $1 }
            ),
            HTTPOperation(
                id: "getTimeline",
                tag: "rooms",
                method: .get,
                path: "/v1/rooms/{room}/participants/{pid}/timeline",
                access: .server(.readRooms),
                summary: "What happened to one participant, also after it has left.",
                answers: serverFailures().merging([
                    200: Answer(text: "Its sessions, oldest first.", body: .json(TimelineReport.self)),
                    404: .problem("Nothing is known of this participant."),
                ]) { $1 }
            ),
        ]
    }

    /// What the server sends to `webhooks.url`.
    static var webhook: HTTPOperation {
        HTTPOperation(
            id: "event",
            tag: "events",
            method: .post,
            path: "",
            summary: "One event, at least once, in the order of its room. Take each `id` once.",
            headers: [
                Header(name: "Sfu-Event-Id", text: "`id` of the event.", isRequired: true),
                Header(name: "Sfu-Event-Type", text: "`type` of the event.", isRequired: true),
                Header(
                    name: "Sfu-Signature",
                    text:
                        "`t=` seconds since 1970, and `v1=` the hexadecimal HMAC-SHA256 of `t.id.body` for each active secret.",
                    isRequired: true
                ),
            ],
            body: .json(RoomEvent.self),
            answers: [
                200: Answer(
                    text: "Any 2xx: it is stored, and not sent again. Everything else: it is sent again."
                )
            ]
        )
    }

    // MARK: Participants

    private static var signal: HTTPOperation {
        HTTPOperation(
            id: "openSignaling",
            tag: "signaling",
            method: .get,
            path: UpgradeRoute.path,
            summary:
                "Becomes a WebSocket with the subprotocol `\(ProtocolVersion.subprotocol)`: see /asyncapi.json.",
            headers: [
                Header(name: "Upgrade", text: "`websocket`", isRequired: true),
                Header(name: "Connection", text: "`Upgrade`", isRequired: true),
                Header(name: "Sec-WebSocket-Version", text: "`13`", isRequired: true),
                Header(name: "Sec-WebSocket-Key", text: "16 bytes in base64.", isRequired: true),
                Header(
                    name: "Sec-WebSocket-Protocol",
                    text: "Names `\(ProtocolVersion.subprotocol)`, perhaps among others.",
                    isRequired: true
                ),
                Header(name: "Origin", text: "Must be in the server's list, if it is sent."),
            ],
            answers: [
                101: Answer(text: "It is a WebSocket now.", headers: ["Sec-WebSocket-Protocol"]),
                400: .problem("The handshake, the name or the subprotocol is wrong."),
                403: .problem("Pages of this origin may not open sockets here."),
                408: .problem("The request took too long to arrive."),
                426: .problem("No upgrade was asked for, or not first.", headers: ["Upgrade"]),
                503: .problem("The server is restarting.", headers: retryAfter),
            ]
        )
    }

    private static let sdp = Body.text(WhipRoutes.offerType)
    private static let fragment = Body.text(WhipRoutes.fragmentType)
    private static let sessionHeaders = ["Location", "ETag", "Accept-Patch"]

    private static func offerAnswers(_ wrong: String) -> [Int: Answer] {
        [
            201: Answer(text: "The answer; `Location` is the session.", body: sdp, headers: sessionHeaders),
            400: .problem("Body, name or offer cannot be read or accepted."),
            401: .problem("The token is missing, wrong or expired.", headers: ["WWW-Authenticate"]),
            403: .problem("Another user, another room or no grant."),
            404: .problem("The session ended before it was answered."),
            409: .problem(
                "The media plane did not answer in time, or answers a newer offer.",
                headers: retryAfter
            ),
            413: .problem("The offer is too large."),
            415: .problem("The body is no application/sdp.", headers: ["Accept-Post"]),
            422: .problem(wrong),
            423: .problem("The room is locked, or the user would have to wait to be admitted."),
            429: .problem("Too many requests.", headers: retryAfter),
            500: failed,
            503: .problem("Full or restarting.", headers: retryAfter),
        ]
    }

    private static func probe(
        _ id: String,
        _ tag: String,
        _ path: String,
        _ method: HTTPRequest.Method = .get
    )
        -> HTTPOperation
    {
        let isHead = method == .head
        return HTTPOperation(
            id: id,
            tag: tag,
            method: method,
            path: path,
            summary: "What the endpoint takes.",
            answers: [
                isHead ? 200 : 204: Answer(text: "It is there.", headers: isHead ? ["Content-Type"] : [])
            ]
        )
    }

    private static var whip: [HTTPOperation] {
        let endpoint = "/whip/{room}/{participant}"
        return [
            HTTPOperation(
                id: "whipPublish",
                tag: "whip",
                method: .post,
                path: endpoint,
                access: .participant,
                summary:
                    "WHIP (RFC 9725): publishes as that participant, who is the token's `sub`. Again: replaces it.",
                body: sdp,
                answers: offerAnswers("The offer sends nothing.")
            ), probe("whipEndpoint", "whip", endpoint),
        ] + session("whip", endpoint + "/{session}")
    }

    private static var whep: [HTTPOperation] {
        let absent = Answer.problem(
            "The participant does not publish now, or the media plane did not answer in time.",
            headers: retryAfter
        )
        let (participant, room) = ("/whep/{room}/{participant}", "/whep/{room}")
        return [
            HTTPOperation(
                id: "whepParticipant",
                tag: "whep",
                method: .post,
                path: participant,
                access: .participant,
                summary: "WHEP: receives what that participant publishes now and later.",
                body: sdp,
                answers: offerAnswers("The offer receives nothing.").merging([409: absent]) { $1 }
            ),
            HTTPOperation(
                id: "whepRoom",
                tag: "whep",
                method: .post,
                path: room,
                access: .participant,
                summary:
                    "WHEP: receives what everybody else publishes, as many as the offer has sections for.",
                query: [
                    .init(name: "me", schema: ["type": "string"], summary: "Who watches: the token's `sub`.")
                ],
                body: sdp,
                answers: offerAnswers("The offer receives nothing.")
            ),
            probe("whepParticipantEndpoint", "whep", participant),
            probe("whepParticipantHead", "whep", participant, .head),
            probe("whepRoomEndpoint", "whep", room), probe("whepRoomHead", "whep", room, .head),
        ]
    }

    private static var whepSessions: [HTTPOperation] {
        session("whep", "/whep/{room}/{participant}/{session}")
    }

    private static func session(_ kind: String, _ path: String) -> [HTTPOperation] {
        let failures: [Int: Answer] = [
            400: .problem("Something cannot be read."),
            401: .problem("The token is missing or wrong.", headers: ["WWW-Authenticate"]),
            403: .problem("The session belongs to somebody else."),
            404: .problem("There is no such session."),
            409: .problem("The media plane did not answer in time.", headers: retryAfter),
            429: .problem("Too many requests.", headers: retryAfter),
            500: failed,
            503: .problem("The server is restarting.", headers: retryAfter),
        ]
        return [
            HTTPOperation(
                id: kind + "Session",
                tag: kind,
                method: .get,
                path: path,
                summary: "Whether the session is there.",
                answers: [
                    204: Answer(text: "It is."), 400: .problem("The name cannot be read."),
                    404: .problem("It is not."),
                ]
            ),
            HTTPOperation(
                id: kind + "Patch",
                tag: kind,
                method: .patch,
                path: path,
                access: .participant,
                summary: "New credentials restart ICE; candidates alone are passed over.",
                headers: [Header(name: "If-Match", text: "`ETag` of the ICE session.", isRequired: true)],
                body: fragment,
                answers: failures.merging([
                    200: Answer(text: "ICE was restarted.", body: fragment, headers: ["ETag"]),
                    204: Answer(text: "The candidates were passed over."),
                    412: .problem("`If-Match` names another ICE session."),
                    413: .problem("The fragment is too large."),
                    415: .problem("The body is no fragment.", headers: ["Accept-Patch"]),
                    422: .problem("This session cannot do that."),
                    428: .problem("`If-Match` is missing."),
                ]) { $1 }
            ),
            HTTPOperation(
                id: kind + "End",
                tag: kind,
                method: .delete,
                path: path,
                access: .participant,
                summary: "Ends the session.",
                answers: failures.merging([200: Answer(text: "It is over.")]) { $1 }
            ),
        ]
    }
}

/// The JSON of `GET /v1/events`.
struct EventPage: Codable, Sendable {
    /// Oldest first.
    var events: [RoomEvent]
    /// For `after`: goes on behind what was looked at. Opaque.
    var next: String
    /// There is more behind `next` already.
    var more: Bool
    /// Events between the cursor and the first one are gone: too old, or in a log that was lost.
    var gap: Bool
}
