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
        client.voice = VoiceSource()
        client.sampling = listener == nil ? .none : .all
    }

    var isJoined: Bool { connectedAt != nil && failure == nil }
    var isOver: Bool { failure != nil }

    func start(_ plan: VoicesPlan, fingerprint: Fingerprint, at now: Int64) {
        deadline = now + Self.joinWithin
        guard let voice = client.voice else { return }
        let microphone = LocalDescription.Section(
            mid: LocalDescription.audioMid,
            sends: LocalDescription.Sending(ssrc: voice.stream.ssrc)
        )
        let slots = LocalDescription.receiving(audio: plan.slots, video: 0, codec: .vp8, first: 1)
        let description = LocalDescription(
            ice: client.credentials,
            fingerprint: fingerprint,
            hasFeedback: false,
            sections: [microphone] + slots
        )
        do {
            let socket = try SignalSocket(
                to: plan.url,
                room: plan.room,
                user: "load-\(index)",
                token: plan.token,
                offer: description.offer,
                tracks: [SignalSocket.Track(mid: microphone.mid, cid: "mic", kind: "audio", source: "mic")]
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
            let answer = try RemoteDescription(text)
            guard allowsRemote || answer.candidate.isLoopback else {
                throw LoadError.remote("the server's candidate \(answer.candidate.text)")
            }
            guard answer.audioType == LocalDescription.audioType else {
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
