// The list of everything the REST API can do. Must not know how a request is let in or an answer written.
import HTTPTypes
import Hummingbird
import RTP
import Seam

struct RESTOperations: Sendable {
    let rooms: any RoomAdministration
    let tokens: any ServerTokenVerifier
    /// Whether anybody may have join tokens minted.
    let mintsTokens: Bool

    var all: [RESTOperation] {
        ofRooms + ofPresence + ofParticipants + ofOneParticipant + ofTheCall + ofTheServer
    }

    static let page: [RESTOperation.Query] = [
        .init(name: "after", schema: ["type": "string"], summary: "`next` of the page before."),
        .init(name: "limit", schema: ["type": "integer", "minimum": 1, "maximum": 500], summary: "At most."),
    ]
    static let preconditionFailed = "The entity tag is another one."

    // MARK: Rooms

    private var ofRooms: [RESTOperation] {
        [
            RESTOperation(
                id: "listRooms",
                method: .get,
                path: "/v1/rooms",
                access: .readRooms,
                summary: "All rooms by name, with how many are in them.",
                query: Self.page,
                result: RoomList.self
            ) { request in
                let limit = try request.number(
                    "limit",
                    default: Limits.REST.roomPageDefault,
                    most: Limits.REST.roomPage
                )
                return try .json(await rooms.listRooms(after: try request.query("after"), limit: limit))
            },
            RESTOperation(
                id: "getRoom",
                method: .get,
                path: "/v1/rooms/{room}",
                access: .readRooms,
                summary: "A room's settings; `ETag` is of these.",
                result: RoomObject.self,
                isConditional: true
            ) { request in
                let room = try await rooms.readRoom(try request.scope.name("room"))
                return try .json(room, tag: room.tag, for: request)
            },
            RESTOperation(
                id: "putRoom",
                method: .put,
                path: "/v1/rooms/{room}",
                access: .writeRooms,
                summary:
                    "Makes a room or replaces its settings; it then stays for a day while nobody is in it.",
                body: RoomConfig.self,
                result: RoomObject.self,
                isConditional: true,
                failures: [201: "It is new.", 412: Self.preconditionFailed, 503: "There are too many rooms."]
            ) { request in
                let name = try request.scope.name("room")
                let config: RoomConfig = try request.payload()
                let (room, isNew) = try await Self.conditionally {
                    () async throws(GatewayError) in
                    try await rooms.putRoom(name, config, request.condition)
                }
                return try .json(room, isNew ? .created : .ok, tag: room.tag)
            },
            RESTOperation(
                id: "endRoom",
                method: .delete,
                path: "/v1/rooms/{room}",
                access: .writeRooms,
                summary: "Ends the call and forgets the room; everybody in it is told `bye` (4101).",
                query: [.init(name: "reason", schema: ["type": "string"], summary: "Shown to them.")],
                status: 204,
                isConditional: true,
                failures: [412: Self.preconditionFailed]
            ) { request in
                let name = try request.scope.name("room")
                let reason = try request.query("reason")
                try await Self.conditionally { () async throws(GatewayError) in
                    try await rooms.endRoom(name, reason: reason, request.condition)
                }
                return .noContent
            },
        ]
    }

    private var ofPresence: [RESTOperation] {
        [
            RESTOperation(
                id: "listUsers",
                method: .get,
                path: "/v1/rooms/{room}/users",
                access: .readRooms,
                summary: "Who is in the room, by user, with their devices.",
                result: UserList.self
            ) { request in
                try .json(try await rooms.listUsers(try request.scope.name("room")))
            },
            RESTOperation(
                id: "listBans",
                method: .get,
                path: "/v1/rooms/{room}/bans",
                access: .readRooms,
                summary: "Who may not come in, and for how long.",
                result: BanPage.self
            ) { request in
                try .json(await rooms.listBans(try request.scope.name("room")))
            },
            RESTOperation(
                id: "liftBan",
                method: .delete,
                path: "/v1/rooms/{room}/bans/{user}",
                access: .writeRooms,
                summary: "Lets a user come in again.",
                status: 204
            ) { request in
                try await rooms.liftBan(
                    try request.scope.name("room"),
                    user: try request.scope.name("user")
                )
                return .noContent
            },
        ]
    }

    /// A `.conflict` of a request with a condition is a failed precondition.
    static func conditionally<Value>(
        _ work: () async throws(GatewayError) -> Value
    ) async throws -> Value {
        do {
            return try await work()
        } catch {
            guard error.code == .conflict, error.message.hasPrefix(Precondition.failure) else { throw error }
            throw Problem(.preconditionFailed, error.message, code: .conflict)
        }
    }

    // MARK: The server

    private var ofTheServer: [RESTOperation] {
        [
            RESTOperation(
                id: "mintToken",
                method: .post,
                path: "/v1/tokens",
                access: .tokens,
                summary: "Mints a join token, where the server is set to; meant for prototypes.",
                body: MintToken.self,
                status: 201,
                result: MintedToken.self
            ) { request in
                guard mintsTokens else {
                    throw Problem(
                        .forbidden,
                        "this server mints no tokens: sign them with your key, or set http.mint-tokens",
                        code: .forbidden
                    )
                }
                return try .json(try await mint(request), .created)
            },
            RESTOperation(
                id: "drain",
                method: .post,
                path: "/v1/admin/drain",
                access: .admin,
                summary: "Lets nobody new in; with `spreadMs` everybody is told to connect again.",
                body: DrainBody.self,
                result: DrainResult.self
            ) { request in
                try .json(await rooms.drain(try request.payload()))
            },
        ]
    }

    private func mint(_ request: RESTRequest) async throws -> MintedToken {
        let wanted: MintToken = try request.payload()
        try request.claims.check(.tokens, room: wanted.room)
        try Checked.name(wanted.name, "name")
        try Checked.name(wanted.did, "did")
        for (text, field) in [(wanted.room, "room"), (wanted.user, "user")] {
            guard RequestScope.isName(text) else {
                throw Problem(.badRequest, "\(field) is not a name", code: .badRequest)
            }
        }
        try Checked.attributes(wanted.attrs ?? [:], "attrs")
        let most = Limits.REST.longestToken.microseconds / 1_000_000
        let seconds = wanted.ttlSec ?? 600
        guard (1...most).contains(seconds) else {
            throw Problem(.badRequest, "ttlSec is from 1 to \(most)", code: .badRequest)
        }
        var claims = Claims(
            room: wanted.room,
            user: UserID(wanted.user),
            name: wanted.name,
            device: wanted.did,
            role: wanted.role ?? .speaker,
            grants: Grants(wanted.grants),
            duplicates: wanted.dup ?? .coexist,
            attributes: wanted.attrs ?? [:],
            waits: wanted.lobby ?? false
        )
        if let stay = wanted.maxSession {
            claims.maxSession = .seconds(
                min(max(stay, 1), Limits.Signaling.longestMaxSession.microseconds / 1_000_000)
            )
        }
        let token = try await tokens.mintJoin(
            claims,
            keyID: request.claims.keyID,
            lifetime: .seconds(seconds)
        )
        return MintedToken(token: token, room: wanted.room, user: wanted.user, expiresInSec: seconds)
    }
}

extension Grants {
    fileprivate init(_ rights: MintToken.Rights?) {
        self.init(
            publish: Set(rights?.publish ?? []),
            subscribe: rights?.subscribe ?? false,
            data: rights?.data ?? false,
            hidden: rights?.hidden ?? false,
            moderate: rights?.moderate ?? false,
            record: rights?.record ?? false
        )
    }
}
