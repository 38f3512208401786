// Who is in a room and what they publish, with revisions; and the roster changes that wait to be told.
// Must not know sessions, sockets or the media plane.
import RTP
import Seam

struct Publication: Codable, Sendable, Equatable {
    var id: PublicationID
    var cid: String
    var mid: String?
    var kind: MediaKind
    var source: Source
    var name: String?
    var muted: Bool
    /// Who muted it, where its publisher did not: a participant or "server".
    var mutedBy: String?
    /// The publisher cannot unmute it.
    var locked = false
    var codec: CodecName?
    var layers: [LayerObject]?
    var revision: UInt64
    /// What its publisher asked to send it with.
    var wantedCodec: CodecName?
    /// Audio has no layers that are told: whether packets come, and how many.
    var audio: LayerObject?

    var isVisibleVideo: Bool { mid != nil && kind == .video }
}

struct Participant: Sendable, Equatable {
    var id: ParticipantID
    var user: UserID
    var device: String?
    var name: String?
    var role: Role
    var kind: String
    var attributes: [String: String]
    var grants: Grants
    var connection: ConnectionState
    /// When it was raised, milliseconds since 1970.
    var hand: UInt64?
    /// Milliseconds since 1970.
    var joinedAt: UInt64
    var order: UInt64
    var revision: UInt64
    /// Those that have an m-section are visible to others.
    var publications: [Publication] = []

    var isHidden: Bool { grants.hidden }
    var place: RosterPages.Place { RosterPages.Place(order: order, id: id) }

    func object(for viewer: ParticipantID? = nil) -> ParticipantObject {
        ParticipantObject(
            pid: id.rawValue,
            uid: user.rawValue,
            did: device,
            name: name,
            role: role,
            kind: kind,
            attrs: attributes.isEmpty ? nil : attributes,
            conn: connection,
            hand: hand,
            tracks: publications.filter { $0.mid != nil || viewer == id }.map { track($0, for: viewer) },
            joinedAt: joinedAt,
            rev: revision
        )
    }

    func track(_ publication: Publication, for viewer: ParticipantID?) -> TrackObject {
        TrackObject(
            tid: publication.id.rawValue,
            pid: id.rawValue,
            cid: publication.cid,
            mid: viewer == id ? publication.mid : nil,
            kind: publication.kind,
            source: publication.source,
            name: publication.name,
            muted: publication.muted,
            mutedBy: publication.mutedBy,
            locked: publication.locked ? true : nil,
            codec: publication.codec,
            layers: publication.layers,
            rev: publication.revision
        )
    }
}

struct RoomState: Sendable {
    let id: RoomID
    /// Revisions of another epoch cannot be compared.
    let epoch: String
    private(set) var revision: UInt64 = 0
    private(set) var participants: [ParticipantID: Participant] = [:]
    /// The visible ones, in the order in which they joined.
    private(set) var pages = RosterPages()
    private(set) var users: [UserID: Set<ParticipantID>] = [:]
    private var owners: [PublicationID: ParticipantID] = [:]
    private var joins: UInt64 = 0
    private(set) var roster = RosterBatch()
    /// Whose visible publications may have changed since the last `takeTouched`.
    private var touched: Set<ParticipantID> = []
    private(set) var settings = RoomSettings()
    /// Of the newest change of the settings.
    private(set) var settingsRevision: UInt64 = 0
    private(set) var muteLocks = MuteLocks()
    /// Of what the room's records say: settings, locks, and what `noteRecord` was called for.
    private(set) var recordRevision: UInt64 = 0
    /// Video publications with an m-section, in all and by user.
    private(set) var videos = 0
    private var videosByUser: [UserID: Int] = [:]
    /// Who left lately, oldest first; every departure after revision `forgotten` is among them.
    private var departures = Fifo<Departure>()
    private var forgotten: UInt64 = 0

    struct Departure: Sendable, Equatable {
        var id: ParticipantID
        var reason: LeaveReason
        var revision: UInt64
        var at: Instant
    }

    init(id: RoomID, epoch: String) {
        self.id = id
        self.epoch = epoch
    }

    /// In the order in which they joined, without the hidden.
    var visible: [Participant] { pages.people.compactMap { participants[$0] } }

    func videos(of user: UserID) -> Int { videosByUser[user] ?? 0 }

    private mutating func count(_ before: [Publication], _ after: [Publication], of user: UserID) {
        let difference = after.count(where: \.isVisibleVideo) - before.count(where: \.isVisibleVideo)
        guard difference != 0 else { return }
        videos += difference
        let ofUser = videos(of: user) + difference
        videosByUser[user] = ofUser == 0 ? nil : ofUser
    }

    func publication(_ id: PublicationID) -> (owner: Participant, publication: Publication)? {
        guard let owner = owners[id].flatMap({ participants[$0] }),
            let publication = owner.publications.first(where: { $0.id == id })
        else { return nil }
        return (owner, publication)
    }

    /// Every change up to here has been told to those whose queues are empty.
    var toldRevision: UInt64 { roster.oldest.map { $0 - 1 } ?? revision }

    /// When the waiting roster changes are due.
    var rosterDeadline: Instant? { roster.deadline }

    mutating func takeRoster() -> RosterBatch {
        var batch = RosterBatch()
        swap(&batch, &roster)
        batch.revision = revision
        return batch
    }

    mutating func takeTouched() -> Set<ParticipantID> {
        guard !touched.isEmpty else { return [] }
        defer { touched = [] }
        return touched
    }

    // MARK: Participants

    mutating func join(_ participant: Participant, at now: Instant) {
        var participant = participant
        revision += 1
        // One that comes back keeps its place.
        joins = max(joins + 1, participant.order)
        participant.revision = revision
        if participant.order == 0 { participant.order = joins }
        store(participant)
        users[participant.user, default: []].insert(participant.id)
        guard !participant.isHidden else { return }
        roster.joined(participant.id, revision: revision, until: rosterDue(at: now))
    }

    /// What it published; nil where it is not here.
    @discardableResult
    mutating func leave(_ id: ParticipantID, reason: LeaveReason, at now: Instant) -> Participant? {
        guard let participant = participants.removeValue(forKey: id) else { return nil }
        pages.remove(participant.place)
        revision += 1
        touched.remove(id)
        users[participant.user]?.remove(id)
        if users[participant.user]?.isEmpty == true { users[participant.user] = nil }
        for publication in participant.publications { owners[publication.id] = nil }
        count(participant.publications, [], of: participant.user)
        if !participant.isHidden {
            noteDeparture(of: id, reason: reason, at: now)
        }
        return participant
    }

    /// From what others see.
    private mutating func noteDeparture(of id: ParticipantID, reason: LeaveReason, at now: Instant) {
        roster.left(id, reason: reason, revision: revision, until: rosterDue(at: now))
        departures.append(Departure(id: id, reason: reason, revision: revision, at: now))
        forgetDepartures(at: now)
    }

    private mutating func forgetDepartures(at now: Instant) {
        while let first = departures.first,
            departures.count > Limits.Signaling.departures || now - first.at > Limits.Signaling.departureAge
        {
            forgotten = first.revision
            _ = departures.popFirst()
        }
    }

    /// What has changed since a revision: those who joined or changed, and those who left. nil where that is not known.
    func changes(since revision: UInt64) -> (changed: [Participant], left: [Departure])? {
        guard revision >= forgotten, revision <= self.revision else { return nil }
        let changed = pages.pages.filter { $0.revision > revision }.flatMap(\.people)
        return (
            changed.compactMap { participants[$0] }.filter { $0.revision > revision },
            departures.all.filter { $0.revision > revision && participants[$0.id]?.isHidden != false }
        )
    }

    /// True where it changed.
    mutating func setConnection(_ connection: ConnectionState, of id: ParticipantID) -> Bool {
        guard var participant = participants[id], participant.connection != connection else { return false }
        revision += 1
        participant.connection = connection
        participant.revision = revision
        store(participant)
        return true
    }

    /// Changes what a participant is, apart from its connection and its publications; nil where it is not here. A
    /// change is told in the roster. `byOwner`: its own request caused it.
    @discardableResult
    mutating func update(
        _ id: ParticipantID,
        byOwner: Bool,
        at now: Instant,
        _ change: (inout Participant) -> Void
    ) -> Participant? {
        guard let before = participants[id] else { return nil }
        var participant = before
        change(&participant)
        guard participant != before else { return before }
        revision += 1
        participant.revision = revision
        store(participant)
        switch (before.isHidden, participant.isHidden) {
        case (false, true): noteDeparture(of: id, reason: .left, at: now)
        case (true, false): roster.joined(id, revision: revision, until: rosterDue(at: now))
        default: changed(id, byOwner: byOwner, at: now)
        }
        return participant
    }

    // MARK: Settings

    /// False where nothing changed.
    mutating func set(_ settings: RoomSettings) -> Bool {
        guard settings != self.settings else { return false }
        revision += 1
        self.settings = settings
        settingsRevision = revision
        recordRevision += 1
        return true
    }

    /// What is on record has changed, or was read from a record of this revision.
    mutating func noteRecord(of revision: UInt64 = 0) { recordRevision = max(recordRevision, revision) + 1 }

    /// False where there is no room for another lock.
    mutating func lockMuted(_ user: UserID, _ source: Source, _ isLocked: Bool) -> Bool {
        recordRevision += 1
        if isLocked { return muteLocks.lock(user, source) }
        muteLocks.unlock(user, source)
        return true
    }

    // MARK: Publications

    /// As it may be: what a moderator has muted is not unmuted by publishing it anew.
    private func asPermitted(_ publication: Publication, before: Publication?, of user: UserID) -> Publication
    {
        var result = publication
        if let by = before?.mutedBy, before?.muted == true {
            result.muted = true
            result.mutedBy = by
        }
        result.locked = muteLocks.contains(user, publication.source)
        if result.locked {
            result.muted = true
            result.mutedBy = result.mutedBy ?? Self.someModerator
        }
        return result
    }

    /// Who muted, where it was a lock from before the track was there.
    static let someModerator = "server"

    /// Adds or replaces a publication of `owner`. `byOwner`: its own request caused it.
    mutating func put(_ publication: Publication, of owner: ParticipantID, byOwner: Bool, at now: Instant)
        -> Publication?
    {
        guard var participant = participants[owner] else { return nil }
        revision += 1
        var publication = asPermitted(
            publication,
            before: participant.publications.first { $0.id == publication.id },
            of: participant.user
        )
        publication.revision = revision
        participant.revision = revision
        let before = participant.publications
        let index = participant.publications.firstIndex { $0.id == publication.id }
        let wasVisible = index.map { participant.publications[$0].mid != nil } ?? false
        if let index {
            participant.publications[index] = publication
        } else {
            participant.publications.append(publication)
        }
        store(participant)
        owners[publication.id] = owner
        count(before, participant.publications, of: participant.user)
        if wasVisible || publication.mid != nil { changed(owner, byOwner: byOwner, at: now) }
        return publication
    }

    @discardableResult
    mutating func remove(_ id: PublicationID, byOwner: Bool, at now: Instant) -> Publication? {
        guard let owner = owners.removeValue(forKey: id), var participant = participants[owner],
            let index = participant.publications.firstIndex(where: { $0.id == id })
        else { return nil }
        let removed = participant.publications.remove(at: index)
        revision += 1
        participant.revision = revision
        store(participant)
        count([removed], [], of: participant.user)
        if removed.mid != nil { changed(owner, byOwner: byOwner, at: now) }
        return removed
    }

    /// nil where nothing changed. Told as state, not in the roster.
    mutating func setMuted(_ muted: Bool, _ id: PublicationID) -> Publication? {
        edit(id) { publication in
            guard publication.muted != muted else { return false }
            publication.muted = muted
            publication.mutedBy = nil
            return true
        }
    }

    /// By somebody else than the publisher; nil where nothing changed. `locked` nil: as it is. Told as state.
    mutating func forceMute(_ id: PublicationID, by: String, locked: Bool?) -> Publication? {
        edit(id) { publication in
            let before = publication
            if !publication.muted { publication.mutedBy = by }
            publication.muted = true
            publication.locked = locked ?? publication.locked
            if publication.locked { publication.mutedBy = publication.mutedBy ?? by }
            return publication != before
        }
    }

    /// The publisher may unmute again; nil where it could.
    mutating func unlockMuted(_ id: PublicationID) -> Publication? {
        edit(id) { publication in
            defer { publication.locked = false }
            return publication.locked
        }
    }

    /// nil where nothing but rates changed. Told as state, not in the roster.
    mutating func setLayers(_ layers: [LayerObject], codec: CodecName?, _ id: PublicationID) -> Publication? {
        if let owner = owners[id], var participant = participants[owner],
            let place = participant.publications.firstIndex(where: { $0.id == id && $0.kind == .audio })
        {
            // Audio has one layer, and telling everybody of everybody's is too much where all have a microphone.
            participant.publications[place].codec = codec
            participant.publications[place].audio = layers.first
            store(participant)
            return nil
        }
        return edit(id) { publication in
            let before = publication.layers ?? []
            let isSame =
                publication.layers != nil && before.count == layers.count
                && zip(before, layers).allSatisfy { $0.resembles($1) }
            guard publication.codec != codec || !isSame else { return false }
            publication.codec = codec
            publication.layers = layers
            return true
        }
    }

    private mutating func edit(_ id: PublicationID, _ change: (inout Publication) -> Bool) -> Publication? {
        guard let owner = owners[id], var participant = participants[owner],
            let index = participant.publications.firstIndex(where: { $0.id == id }),
            change(&participant.publications[index])
        else { return nil }
        revision += 1
        participant.publications[index].revision = revision
        participant.revision = revision
        store(participant)
        return participant.publications[index]
    }

    /// Nothing else writes participants.
    private mutating func store(_ participant: Participant) {
        let before = participants.updateValue(participant, forKey: participant.id)
        let place = participant.place
        switch (before.map { !$0.isHidden } ?? false, !participant.isHidden) {
        case (true, true) where before?.place == place: pages.change(place, revision: participant.revision)
        case (true, let stays):
            if let before { pages.remove(before.place) }
            if stays { pages.insert(place, revision: participant.revision) }
        case (false, true): pages.insert(place, revision: participant.revision)
        case (false, false): break
        }
    }

    private mutating func changed(_ id: ParticipantID, byOwner: Bool, at now: Instant) {
        guard participants[id]?.isHidden == false else { return }
        touched.insert(id)
        roster.updated(id, byOwner: byOwner, revision: revision, until: rosterDue(at: now))
    }

    private func rosterDue(at now: Instant) -> Instant {
        now + RosterBatch.delay(participants: participants.count)
    }
}
