// The gateway: owner of rooms, sockets and sessions, all on one event loop. Media reaches it as values of the seam.
// Must not know WebSocket frames, HTTP, the text of tokens, or anything of RTP beyond its parameters.
import Logging
import NIOCore
import RTP
import SDP
import Seam

public struct GatewayConfiguration: Sendable {
    /// Development server: a `hello` without a token may name its user.
    public var isDevelopment: Bool
    public var maximumRooms: Int
    public var maximumParticipantsPerRoom: Int
    public var maximumConnections: Int

    public init(
        isDevelopment: Bool = false, maximumRooms: Int = Limits.Signaling.rooms,
        maximumParticipantsPerRoom: Int = Limits.Signaling.participantsPerRoom,
        maximumConnections: Int = Limits.Signaling.connections
    ) {
        self.isDevelopment = isDevelopment
        self.maximumRooms = maximumRooms
        self.maximumParticipantsPerRoom = maximumParticipantsPerRoom
        self.maximumConnections = maximumConnections
    }
}

public actor Gateway {
    public nonisolated let eventLoop: any EventLoop
    /// Everything runs on the event loop, so socket handlers of that loop enter by `assumeIsolated` without a hop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }

    /// `clock` is monotonic; `wallClock` counts milliseconds since 1970.
    public init(
        eventLoop: any EventLoop, media: any MediaPlane, verifier: any TokenVerifier,
        configuration: GatewayConfiguration = GatewayConfiguration(), logger: Logger,
        clock: @escaping @Sendable () -> Instant, wallClock: @escaping @Sendable () -> UInt64
    ) {
        self.eventLoop = eventLoop
    }

    /// Listens to the media plane and starts the timer.
    public func start() {}
    /// Says goodbye to every socket (4000), closes every session; returns when all sockets are closed, at most after
    /// `Limits.Signaling.drainTimeout`.
    public func shutdown() async {}
}

// Called by the socket handler, on the loop.
extension Gateway {
    public func opened(_ socket: any SignalingSocket, request: SignalingRequest) -> ConnectionID { fatalError() }
    /// One whole text message.
    public func received(_ text: ByteBuffer, on id: ConnectionID) {}
    public func writabilityChanged(_ id: ConnectionID, isWritable: Bool) {}
    public func closed(_ id: ConnectionID) {}
}

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
    /// Throws `.conflict` with `retryAfterMs` where the participant is not live, `.forbidden`, `.full`, `.overloaded`,
    /// `.badRequest` where nothing in the offer can be used.
    public func openWhipSession(
        room: String, claims: Claims, offer: Offer, kind: WhipKind, remoteAddress: String
    ) async throws(GatewayError) -> WhipSession { fatalError() }

    /// `ifMatch`: the `If-Match` header. Throws `.notFound`, `.conflict` (412: the entity tag is another), `.notReady`.
    public func restartICE(
        session: SessionID, fragment: ICEFragment, ifMatch: String?
    ) async throws(GatewayError) -> WhipPatch { fatalError() }

    /// Whether there was such a session.
    @discardableResult
    public func endSession(_ id: SessionID) -> Bool { fatalError() }

    /// The user that opened a WHIP or WHEP session, to check the token of PATCH and DELETE against.
    public func owner(of id: SessionID) -> UserID? { fatalError() }
}
