// Sessions without a socket: WHIP publishers (RFC 9725), who are participants, and WHEP viewers, whom nobody sees.
// Must not know HTTP: routes turn its requests into these calls and its errors into statuses.
import Logging
import RTP
import SDP
import Seam
import Tracing

/// What a WHIP or WHEP endpoint opens.
public enum WhipKind: Sendable, Equatable {
    /// The offerer publishes as the user of its claims.
    case whip
    /// The offerer receives what this user publishes.
    case whepParticipant(UserID)
    /// The offerer receives what everybody but this user publishes.
    case whepRoom(me: UserID?)
}

public struct WhipSession: Sendable, Equatable {
    public var session: SessionID
    /// `application/sdp`
    public var answer: String
    /// Quoted entity tag of the ICE session (RFC 9725 §4.3.1).
    public var etag: String
}

public enum WhipPatch: Sendable, Equatable {
    /// Candidates only: an ICE-lite server needs none. 204.
    case trickled
    /// ICE was restarted: 200 with this fragment and the new entity tag.
    case restarted(fragment: String, etag: String)
}

// Called by WHIP and WHEP routes, from anywhere.
extension Gateway {
    /// A second WHIP session of the same user in the same room replaces the first.
    ///
    /// Throws `.conflict` with `retryAfterMs` where the participant to watch is not live, `.forbidden`, `.full`,
    /// `.overloaded`, `.notReady`, and `.badRequest` where the offer cannot be accepted.
    public func openWhipSession(
        room name: String,
        claims: Claims,
        offer: Offer,
        kind: WhipKind,
        remoteAddress: String
    ) async throws(GatewayError) -> WhipSession {
        let now = clock()
        var claims = claims
        let front: Member.Front
        switch kind {
        case .whip:
            guard !claims.grants.publish.isEmpty, !claims.grants.hidden else {
                throw GatewayError(.forbidden, "the token does not allow to publish")
            }
            front = .whip
        case .whepParticipant(let user):
            try checkViewer(claims)
            guard let room = rooms[RoomID(name)], publisher(user, in: room) != nil else {
                throw GatewayError(.conflict, "this participant does not publish now", retryAfterMs: 2000)
            }
            front = .whep(of: user)
        case .whepRoom(let me):
            try checkViewer(claims)
            claims.user = me ?? claims.user
            front = .whep(of: nil)
        }
        // A bad offer must not end the session that it would replace.
        var generator = SystemRandomNumberGenerator()
        _ = try planner(for: front, claims.grants, offer)
            .plan(offer, tracks: [], current: [], previous: [], using: &generator)
        let member = try enter(room: name, claims: claims, front: front, kind: "whip", at: now)
        member.address = "\(remoteAddress)"
        startSession(member, parent: InstrumentationContext.current, at: now)
        member.timeline.note(.joined(member.timelineFront), at: now)
        let outcome = await negotiate(member, .offer(offer, tracks: [], generation: nil))
        switch outcome {
        case .success(let outcome):
            guard let link = member.link else { throw GatewayError(.notFound, "the session has ended") }
            noteJoined(member)
            member.logger.info("\(member.isViewer ? "whep" : "whip") session opened")
            return WhipSession(session: link.session, answer: outcome.text, etag: link.etag)
        case .failure(let error):
            remove(member, reason: .media, at: clock())
            flush(at: clock())
            throw error
        }
    }

    /// A fragment without new credentials only trickles candidates, which an ICE-lite server does not need.
    ///
    /// `ifMatch`: the `If-Match` header. Throws `.notFound`, `.conflict` where the entity tag is another (412),
    /// `.notReady`, `.overloaded`.
    public func restartICE(
        session: SessionID,
        fragment: ICEFragment,
        ifMatch: String?
    ) async throws(GatewayError) -> WhipPatch {
        let member = try whipMember(session)
        guard let link = member.link else { throw GatewayError(.notFound, "no such session") }
        guard ifMatch == nil || ifMatch == "*" || ifMatch == link.etag else {
            throw GatewayError(.conflict, "the entity tag is of another ICE session")
        }
        guard fragment.restarts(link.remote.ice), let credentials = fragment.credentials else {
            return .trickled
        }
        switch await negotiate(member, .fragment(credentials)) {
        case .success(let outcome):
            guard let etag = member.link?.etag else { throw GatewayError(.notFound, "the session has ended") }
            return .restarted(fragment: outcome.text, etag: etag)
        case .failure(let error):
            throw error
        }
    }

    /// Whether there was such a session.
    @discardableResult
    public func endSession(_ id: SessionID) -> Bool {
        guard let member = try? whipMember(id) else { return false }
        let now = clock()
        remove(member, reason: .left, at: now)
        flush(at: now)
        return true
    }

    /// The user that opened a WHIP or WHEP session, to check the token of PATCH and DELETE against; nil where there
    /// is no such session.
    public func owner(of id: SessionID) -> UserID? { (try? whipMember(id))?.claims.user }

    private func whipMember(_ id: SessionID) throws(GatewayError) -> Member {
        guard let member = links[id], member.front != .socket else {
            throw GatewayError(.notFound, "no such session")
        }
        return member
    }

    private func checkViewer(_ claims: Claims) throws(GatewayError) {
        guard claims.grants.subscribe else {
            throw GatewayError(.forbidden, "the token does not allow to receive")
        }
    }

    private func negotiate(
        _ member: Member,
        _ content: PendingOffer.Content
    ) async -> Result<PendingOffer.Outcome, GatewayError> {
        await withCheckedContinuation { continuation in
            let now = clock()
            negotiate(member, content, at: now) { continuation.resume(returning: $0) }
            flush(at: now)
        }
    }
}

extension MediaLink {
    /// Another one after each ICE restart.
    var etag: String { "\"\(session).\(iceGeneration)\"" }
}
