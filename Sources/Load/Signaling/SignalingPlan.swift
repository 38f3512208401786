// Where and how the sessions of a run are negotiated: a server's address, templates of its endpoints, a token. Must not know
// what the sessions do.

enum SignalingKind {
    case whip(WhipEndpoints)
    case room
}

/// WHIP and WHEP endpoints as templates: paths below the server's URL, or URLs of their own, with `{room}`, `{participant}`
/// (who publishes) and `{subscriber}` (the number of the session).
struct WhipEndpoints: Equatable {
    static let standardPublish = "/whip/{room}/{participant}"
    static let standardSubscribe = "/whep/{room}/{participant}"

    var publish = WhipEndpoints.standardPublish
    var subscribe = WhipEndpoints.standardSubscribe
    var participant = "load"

    /// - Throws: `LoadError` for a placeholder that is not known.
    static func fill(_ template: String, room: String, participant: String, subscriber: Int) throws -> String
    {
        var text = ""
        var rest = Substring(template)
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw LoadError("\(template): a { without }")
            }
            text += rest[..<open]
            switch rest[rest.index(after: open)..<close] {
            case "room": text += room
            case "participant": text += participant
            case "subscriber": text += "\(subscriber)"
            case let name: throw LoadError("\(template): unknown placeholder {\(name)}")
            }
            rest = rest[rest.index(after: close)...]
        }
        return text + rest
    }
}

struct SignalingPlan {
    var server: ServerURL
    var room: String
    var token: String?
    var kind: SignalingKind
    var allowsRemote: Bool

    /// The signaling of one session.
    /// - Parameters:
    ///   - room: another room than the plan's, where the run has many.
    ///   - number: counts the sessions of the run.
    /// - Throws: `LoadError` for a template that makes no URL.
    func make(_ role: SessionRole, room: String? = nil, number: Int) throws -> any Signaling {
        let room = room ?? self.room
        switch kind {
        case .whip(let endpoints):
            let template = role == .publisher ? endpoints.publish : endpoints.subscribe
            let path = try WhipEndpoints.fill(
                template,
                room: room,
                participant: endpoints.participant,
                subscriber: number
            )
            let endpoint = try path.contains("://") ? ServerURL(path) : server.appending(path)
            guard allowsRemote || endpoint.address.isLoopback else {
                throw LoadError.remote(endpoint.authority)
            }
            return WhipSignaling(endpoint, token: token)
        case .room:
            return RoomSignaling(to: server, room: room, user: "load-\(number)", token: token)
        }
    }
}
