// The way by which one session gets the server's description. Whoever wants another one (`WhipSignaling` is WHIP and WHEP,
// `RoomSignaling` is `sfu.v1+json`) writes a class here and names it in `SignalingKind`. Must not know media or phases.

/// What became of a step.
enum SignalingOutcome {
    /// The server's side: the answer to this client's offer, or the offer that was answered.
    case described(RemoteDescription)
    /// Not now; `begin` again at `notBefore`.
    case postponed
    case failed(String)
    case left
}

/// What a session does there.
enum SessionRole {
    case publisher, subscriber
    /// Both, on one transport.
    case participant
}

/// One session's signaling, without blocking and on one thread: the run polls `socket` for `interest` and calls `advance` when
/// it is ready, and at every tick, so that timers and keep-alives need no thread.
///
/// A server that offers is served like this: `advance` sees the offer, sends `description.answer(to: offer)` on its way, and
/// returns `.described(try RemoteDescription(offer))`. One that answers: `begin` sends `description.offer`.
protocol Signaling: AnyObject {
    /// −1: nothing to poll at the moment. It may change; the one before is closed by then.
    var socket: Int32 { get }
    /// What to poll it for: `CLINUX_READABLE`, `CLINUX_WRITABLE`.
    var interest: UInt32 { get }
    /// When the first byte of the request went out that led to the description, nanoseconds of the monotonic clock.
    var askedAt: Int64? { get }
    /// When to `begin` again after `.postponed`, nanoseconds of the monotonic clock.
    var notBefore: Int64 { get }

    /// Asks to join.
    /// - Throws: `LoadError` where that is hopeless.
    func begin(_ description: LocalDescription) throws
    /// The socket is ready, or time has gone on. nil: nothing to tell.
    func advance(at now: Int64) -> SignalingOutcome?
    /// Ends the session; `.left` or `.failed` follow. False: there is nothing to end.
    func leave() -> Bool
    /// What the server shows on a receive section has changed since the last call: sections by mid.
    func takeShown() -> [String: String]?
    /// How large each shown track is on a screen, where the server wants to know.
    func show(_ tiles: [Tile])
}

/// A track on a screen.
struct Tile: Equatable, Encodable {
    var tid: String
    var w: Int
    var h: Int
}

extension Signaling {
    func takeShown() -> [String: String]? { nil }
    func show(_ tiles: [Tile]) {}
}
