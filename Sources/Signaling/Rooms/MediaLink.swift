// One media session as the gateway sees it: what was agreed, and its negotiations, one at a time.
// Must not know rooms, sockets or how an answer travels; commands go out as values.
import RTP
import SDP
import Seam

struct MediaLink: Sendable {
    /// What a negotiation waits for.
    enum Step: Sendable, Equatable {
        case idle
        case opening(NegotiationPlan)
        /// With a plan where an offer restarts ICE, without one where a fragment does.
        case restarting(NegotiationPlan?, RemoteTransport)
        case configuring(NegotiationPlan)

        static func == (a: Step, b: Step) -> Bool {
            switch (a, b) {
            case (.idle, .idle), (.opening, .opening), (.restarting, .restarting),
                (.configuring, .configuring):
                true
            default: false
            }
        }
    }

    enum OnAnswer: Sendable {
        /// Not what this session waits for.
        case ignored
        case send(Command)
        /// The offer is in force.
        case agreed(NegotiationPlan)
        case restarted(LocalTransport)
    }

    let session: SessionID
    /// The client's number of its PeerConnection.
    let clientGeneration: UInt32?
    private(set) var remote: RemoteTransport
    private(set) var local: LocalTransport?
    private(set) var negotiated: NegotiatedSession?
    /// Counts offers.
    private(set) var generation: UInt32 = 0
    /// Counts ICE sessions, for WHIP's entity tag.
    private(set) var iceGeneration: UInt32 = 1
    private(set) var step = Step.idle
    private(set) var deadline: Instant?
    var transport = TransportState.new
    /// What the media plane said last.
    var quality = SessionQuality()
    private(set) var slots: [String: SlotObject] = [:]
    private var demandsByTrack: [String: TrackDemand] = [:]
    private(set) var sdpSession: UInt64
    private(set) var sdpVersion: UInt64 = 0
    let cname: String
    /// What its publications may send.
    var maximumBitrates = SourceBitrates()

    init(
        session: SessionID,
        clientGeneration: UInt32?,
        remote: RemoteTransport,
        sdpSession: UInt64,
        cname: String
    ) {
        self.session = session
        self.clientGeneration = clientGeneration
        self.remote = remote
        self.sdpSession = sdpSession
        self.cname = cname
    }

    /// As another gateway left it.
    init(_ record: Record, session: SessionID, remote: RemoteTransport, media: SessionMedia) {
        self.session = session
        self.remote = remote
        local = record.local
        clientGeneration = record.clientGeneration
        generation = media.generation
        iceGeneration = record.iceGeneration
        sdpSession = record.sdpSession
        sdpVersion = record.sdpVersion
        cname = media.cname
        negotiated = NegotiatedSession(accepting: media.sections.map(\.section))
    }

    /// What the media plane does not know of it.
    struct Record: Codable, Sendable, Equatable {
        var local: LocalTransport
        var clientGeneration: UInt32?
        var iceGeneration: UInt32
        var sdpSession: UInt64
        var sdpVersion: UInt64
    }

    /// nil before anything is agreed.
    var record: Record? {
        guard let local, !isNew else { return nil }
        return Record(
            local: local,
            clientGeneration: clientGeneration,
            iceGeneration: iceGeneration,
            sdpSession: sdpSession,
            sdpVersion: sdpVersion
        )
    }

    var isIdle: Bool { step == .idle }
    /// Nothing has been agreed yet.
    var isNew: Bool { negotiated == nil }
    var media: [MediaSection] { negotiated?.media ?? [] }

    func slotCount(_ kind: MediaKind) -> Int { media.count { $0.kind == kind && $0.slot != nil } }

    /// The same peer: the certificate is that of the session's handshake.
    func isSamePeer(_ remote: RemoteTransport) -> Bool {
        Set(remote.fingerprints) == Set(self.remote.fingerprints)
    }

    // MARK: Negotiation

    mutating func offered(_ plan: NegotiationPlan, open: OpenSession, at now: Instant) -> Command {
        deadline = now + Limits.Signaling.mediaAnswerTimeout
        if local == nil {
            step = .opening(plan)
            return .open(open)
        }
        if plan.offer.remote.ice != remote.ice {
            step = .restarting(plan, plan.offer.remote)
            return .restartICE(session, plan.offer.remote)
        }
        return configure(plan)
    }

    mutating func offered(fragment credentials: ICECredentials, at now: Instant) -> Command {
        deadline = now + Limits.Signaling.mediaAnswerTimeout
        var renewed = remote
        renewed.ice = credentials
        step = .restarting(nil, renewed)
        return .restartICE(session, renewed)
    }

    mutating func opened(_ transport: LocalTransport) -> OnAnswer {
        guard case .opening(let plan) = step else { return .ignored }
        local = transport
        return .send(configure(plan))
    }

    mutating func iceRestarted(_ transport: LocalTransport) -> OnAnswer {
        guard case .restarting(let plan, let renewed) = step else { return .ignored }
        local = transport
        remote = renewed
        iceGeneration &+= 1
        if let plan { return .send(configure(plan)) }
        step = .idle
        deadline = nil
        return .restarted(transport)
    }

    mutating func configured(_ generation: UInt32) -> OnAnswer {
        guard case .configuring(let plan) = step, generation == self.generation else { return .ignored }
        negotiated = plan.negotiated
        remote = plan.offer.remote
        step = .idle
        deadline = nil
        let mids = Set(plan.negotiated.media.filter { $0.slot != nil }.map(\.mid))
        slots = slots.filter { mids.contains($0.key) }
        return .agreed(plan)
    }

    /// The negotiation in progress came to nothing.
    mutating func gaveUp() {
        step = .idle
        deadline = nil
    }

    private mutating func configure(_ plan: NegotiationPlan) -> Command {
        generation &+= 1
        step = .configuring(plan)
        return .configure(
            session,
            SessionMedia(
                generation: generation,
                sections: plan.sections(maximums: maximumBitrates) { id in
                    plan.publications.first { $0.id == id }?.muted ?? false
                },
                cname: cname
            )
        )
    }

    /// The agreed sections with other publications, without an offer.
    func reconfigured(_ publications: [Publication]) -> Command {
        .configure(
            session,
            SessionMedia(
                generation: generation,
                sections: NegotiationPlan.sections(
                    media,
                    publications: publications,
                    maximums: maximumBitrates
                ) { id in
                    publications.first { $0.id == id }?.muted ?? false
                },
                cname: cname
            )
        )
    }

    // MARK: What is said about it

    /// nil before the session is open.
    mutating func answer(to plan: NegotiationPlan) -> String? {
        guard let local else { return nil }
        sdpVersion += 1
        return answerText(
            plan.negotiated,
            offer: plan.offer,
            local: local,
            sessionID: sdpSession,
            version: sdpVersion,
            cname: cname
        )
    }

    func restartText() -> String? {
        guard let local, let negotiated else { return nil }
        return ICEFragment.restartText(local: local, session: negotiated)
    }

    /// The newest state of a slot; nil where the session has no such slot.
    mutating func received(slot: SlotState) -> SlotObject? {
        guard media.contains(where: { $0.mid == slot.mid && $0.slot != nil }) || !isIdle else { return nil }
        let object = SlotObject(slot)
        slots[slot.mid] = object
        return object
    }
}

extension MediaLink {
    /// The newest of each publication.
    var demands: [TrackDemand] { demandsByTrack.values.sorted { $0.tid < $1.tid } }

    /// nil where it is of the session before this one: with this one nothing has been agreed yet.
    ///
    /// `published`: what is still there of the participant; the demands for everything else are forgotten.
    mutating func received(demand: PublicationDemand, published: [Publication]) -> TrackDemand? {
        guard !isNew else { return nil }
        let kept = Set(published.map(\.id.rawValue))
        demandsByTrack = demandsByTrack.filter { kept.contains($0.key) }
        let told = TrackDemand(demand)
        demandsByTrack[told.tid] = told
        return told
    }
}

extension TrackDemand {
    init(_ demand: PublicationDemand) {
        func bound(_ value: some BinaryInteger) -> UInt16? { value == 0 ? nil : UInt16(clamping: value) }
        tid = demand.publication.rawValue
        layers = demand.encodings.map {
            Layer(
                rid: $0.rid,
                active: $0.active,
                maxW: bound($0.maxWidth),
                maxH: bound($0.maxHeight),
                maxFps: bound($0.maxFrameRate)
            )
        }
    }
}

extension SlotObject {
    init(_ state: SlotState) {
        mid = state.mid
        kind = state.kind
        tid = state.publication?.rawValue
        pid = state.participant?.rawValue
        layer = state.spatialLayer.map {
            Layer(s: $0, t: state.temporalLayer, width: state.width, height: state.height)
        }
        paused = state.paused
        reason = state.reason
        guard reason == .bandwidth else { return }
        func known(_ bits: UInt32) -> UInt32? { bits >= 1000 ? bits / 1000 : nil }
        neededKbps = known(state.neededBitsPerSecond)
        availableKbps = known(state.availableBitsPerSecond)
    }
}
