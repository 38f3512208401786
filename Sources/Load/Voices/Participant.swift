// One person of the room: a WebSocket, a media session, a place in the load. Must not know the others or the phases.
import CLinux
import PeerTransport
import RTP

final class Participant {
    private static let joinWithin: Int64 = 15_000_000_000

    let index: Int
    let client: Client
    /// Among the speakers; nil: silent.
    let speaker: Int?
    /// Among the listeners that everything is asked of.
    let listener: Int?
    /// nil: not yet, or closed.
    private(set) var signal: SignalSocket?
    private(set) var pid: String?
    /// From the request to the media connection, nanoseconds of the monotonic clock.
    private(set) var askedAt: Int64?
    private(set) var connectedAt: Int64?
    private(set) var failure: String?
    private(set) var messages = 0
    /// By type, where everything is read.
    private(set) var types: [String: Int] = [:]
    var polled: UInt32 = 0
    private var deadline = Int64.max
    private var isLeaving = false

    init(index: Int, resources: ClientResources, speaker: Int?, listener: Int?) {
        self.index = index
        self.speaker = speaker
        self.listener = listener
        client = Client(index: index, resources: resources)
        client.voice = VoiceSource(payloadType: OfferTemplate.audioType)
        client.sampling = listener == nil ? .none : .all
    }

    var isJoined: Bool { connectedAt != nil && failure == nil }
    var isOver: Bool { failure != nil }

    func start(_ plan: VoicesPlan, fingerprint: Fingerprint, at now: Int64) {
        deadline = now + Self.joinWithin
        guard let voice = client.voice else { return }
        let template = OfferTemplate(ice: client.credentials, fingerprint: fingerprint, hasVideo: false)
        do {
            let socket = try SignalSocket(
                to: plan.url,
                room: plan.room,
                user: "load-\(index)",
                token: plan.token,
                offer: template.conference(audio: voice.ssrc, slots: plan.slots)
            )
            socket.isWatching = listener != nil
            signal = socket
        } catch {
            fail("\(error)")
        }
    }

    /// The server answered: opens the media socket.
    func welcome(_ pid: String, answer text: String, allowsRemote: Bool, at now: Int64) {
        self.pid = pid
        askedAt = signal?.startedAt
        do {
            let answer = try Answer(text)
            guard allowsRemote || answer.candidate.isLoopback else {
                throw LoadError("the server's candidate is not loopback; --allow-remote if that is meant")
            }
            guard answer.audioType == OfferTemplate.audioType else {
                throw LoadError("the server does not take Opus")
            }
            try client.open(answer, at: Instant(microseconds: now / 1000))
        } catch {
            fail("\(error)")
        }
    }

    /// Timers, and what came of the media session.
    func advance(to now: Int64) {
        guard failure == nil else { return }
        client.advance(to: Instant(microseconds: now / 1000))
        signal?.advance(to: now)
        noteSignal()
        switch client.state {
        case .failed(let reason): fail(reason)
        case .connected where connectedAt == nil: connectedAt = now
        case .idle where now > deadline: fail("no answer to the greeting in time")
        case .checking where now > deadline: fail("no answer to connectivity checks")
        case .securing where now > deadline: fail("the DTLS handshake did not end in time")
        case .idle, .checking, .securing, .connected: break
        }
    }

    /// Takes over that the WebSocket has ended.
    func noteSignal() {
        guard let signal else { return }
        messages = signal.messages
        if listener != nil { types = signal.types }
        if case .failed(let reason) = signal.state {
            self.signal = nil
            fail(reason)
        }
    }

    func leave() {
        isLeaving = true
        signal?.leave()
        noteSignal()
    }

    func fail(_ reason: String) {
        if failure == nil, !isLeaving { failure = reason }
    }
}
