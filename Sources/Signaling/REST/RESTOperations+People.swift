// The part of the list that is about participants and what goes on between them. Must not know how a request is let in
// or an answer written.
import HTTPTypes
import Hummingbird
import RTP
import Seam

extension RESTOperations {
    // MARK: Participants

    var ofParticipants: [RESTOperation] {
        [
            RESTOperation(
                id: "listParticipants",
                method: .get,
                path: "/v1/rooms/{room}/participants",
                access: .readRooms,
                summary: "The roster, in the order in which they joined.",
                query: Self.page + [
                    .init(name: "user", schema: ["type": "string"], summary: "Only this user's.")
                ],
                result: RosterPage.self
            ) { request in
                let query = RosterQuery(
                    after: try request.query("after"),
                    limit: try request.number(
                        "limit",
                        default: Limits.Rooms.rosterPageDefault,
                        most: Limits.Rooms.rosterPage
                    ),
                    filter: try request.query("user").map { RosterQuery.Filter(uid: $0) }
                )
                return try .json(try await rooms.listParticipants(try request.scope.name("room"), query))
            },
            RESTOperation(
                id: "getParticipant",
                method: .get,
                path: "/v1/rooms/{room}/participants/{pid}",
                access: .readRooms,
                summary: "One participant; `ETag` is its revision.",
                result: ParticipantObject.self,
                isConditional: true
            ) { request in
                let participant = try await rooms.readParticipant(
                    try request.scope.name("room"),
                    try request.scope.name("pid")
                )
                return try .json(participant, tag: participant.tag, for: request)
            },
        ]
    }

    var ofOneParticipant: [RESTOperation] {
        [
            RESTOperation(
                id: "patchParticipant",
                method: .patch,
                path: "/v1/rooms/{room}/participants/{pid}",
                access: .writeRooms,
                summary: "Changes name, attributes, role or grants at once; admits who waits.",
                body: PatchParticipant.self,
                result: ParticipantObject.self,
                isConditional: true,
                failures: [412: Self.preconditionFailed]
            ) { request in
                let room = try request.scope.name("room")
                let pid = try request.scope.name("pid")
                let patch: PatchParticipant = try request.payload()
                let participant = try await Self.conditionally { () async throws(GatewayError) in
                    try await rooms.patchParticipant(room, pid, patch, request.condition)
                }
                return try .json(participant, tag: participant.tag)
            },
            RESTOperation(
                id: "removeParticipant",
                method: .delete,
                path: "/v1/rooms/{room}/participants/{pid}",
                access: .writeRooms,
                summary: "Puts somebody out (4100), with `banSec` its user for so long (4104).",
                query: [
                    .init(name: "reason", schema: ["type": "string"], summary: "Shown to them."),
                    .init(
                        name: "banSec",
                        schema: ["type": "integer", "minimum": 1],
                        summary: "Seconds; at most 30 days count."
                    ),
                ],
                result: Removal.self
            ) { request in
                let seconds = try request.number("banSec", default: 0, most: .max)
                let kick = Kick(
                    pid: try request.scope.name("pid"),
                    reason: try request.query("reason"),
                    banSec: Int64(seconds)
                )
                return try .json(try await rooms.removeParticipant(try request.scope.name("room"), kick))
            },
            RESTOperation(
                id: "setSubscriptions",
                method: .post,
                path: "/v1/rooms/{room}/participants/{pid}/subscriptions",
                access: .writeRooms,
                summary: "What this participant receives, as its own `sub.update` would say.",
                body: UpdateSubscriptions.self,
                result: SubscriptionResults.self
            ) { request in
                try .json(
                    try await rooms.subscribe(
                        try request.scope.name("room"),
                        try request.scope.name("pid"),
                        try request.payload()
                    )
                )
            },
        ]
    }

    // MARK: The call

    var ofTheCall: [RESTOperation] {
        [
            RESTOperation(
                id: "muteTrack",
                method: .post,
                path: "/v1/rooms/{room}/tracks/{track}/mute",
                access: .writeRooms,
                summary: "Mutes a track, or asks its publisher to unmute it.",
                body: MuteBody.self,
                result: TrackObject.self,
                failures: [409: "Its publisher may not publish it any more."]
            ) { request in
                try .json(
                    try await rooms.muteTrack(
                        try request.scope.name("room"),
                        try request.scope.name("track"),
                        try request.payload()
                    )
                )
            },
            RESTOperation(
                id: "sendData",
                method: .post,
                path: "/v1/rooms/{room}/data",
                access: .writeRooms,
                summary: "Sends a message of the application to everybody, or to those named in `to`.",
                body: SendData.self,
                result: DataReceipt.self
            ) { request in
                try .json(
                    try await rooms.sendData(try request.scope.name("room"), try request.payload())
                )
            },
            RESTOperation(
                id: "moveParticipants",
                method: .post,
                path: "/v1/rooms/{room}/move",
                access: .writeRooms,
                summary: "Asks people to go to another room, with a token for it each.",
                body: MoveBody.self,
                result: MoveResult.self
            ) { request in
                let room = try request.scope.name("room")
                let body: MoveBody = try request.payload()
                try request.claims.check(.writeRooms, room: request.claims.room == nil ? nil : body.to)
                var minted: [ParticipantID: String] = [:]
                for (id, claims) in try await rooms.movable(room, body) {
                    minted[id] = try await tokens.mintJoin(
                        claims,
                        keyID: request.claims.keyID,
                        lifetime: Limits.Rooms.moveTokenLifetime
                    )
                }
                return try .json(try await rooms.move(room, minted, body))
            },
            recordings("listRecordings", .get, .readRooms),
            recordings("startRecording", .post, .writeRooms),
        ]
    }

    /// The place is taken; there is nothing behind it yet.
    private func recordings(_ id: String, _ method: HTTPRequest.Method, _ scope: ServerScope) -> RESTOperation
    {
        RESTOperation(
            id: id,
            method: method,
            path: "/v1/rooms/{room}/recordings",
            access: scope,
            summary: "Not there yet: answers 501.",
            status: 501
        ) { _ in
            throw Problem(.notImplemented, "this server does not record yet", code: .unsupported)
        }
    }
}
