// Who speaks in a room and who has the floor, told at most five times a second and only while there is something to
// tell. Those who have not spoken lately cost nothing.
import RTP
import Seam

struct SpeakerBoard {
    private var floor = DominantSpeaker()
    /// Who has which place on the board, and how loud that is.
    private var publications: ContiguousArray<Publication?>
    private var levels: ContiguousArray<SmoothedLevel>
    /// Of everybody who may be named.
    private var participants: [UInt64: ParticipantID] = [:]
    private var lastReport: SpeakerReport?
    private var nextReport = Instant.zero
    /// Somebody may believe something else.
    private var mustReport = false

    private static let interval = Interval.milliseconds(200)

    init() {
        publications = ContiguousArray(repeating: nil, count: Limits.Audio.talkers)
        levels = ContiguousArray(repeating: SmoothedLevel(at: .zero), count: Limits.Audio.talkers)
    }

    // MARK: The road

    /// A packet that is heard, with its level byte.
    @inline(__always)
    mutating func note(_ publication: Publication, _ byte: UInt8, isVoice: Bool, at now: Instant) {
        if publication.voice.talker < 0 {
            guard isVoice else { return }
            enter(publication, at: now)
        }
        let place = publication.voice.talker
        floor.note(place, level: 127 - (byte & 0x7f), isVoice: isVoice, at: now)
        levels[Int(place)].note(byte & 0x7f, isVoice: isVoice)
    }

    @inline(never)
    private mutating func enter(_ publication: Publication, at now: Instant) {
        let place = floor.enter(publication.ordinal, noise: publication.voice.noise, at: now).place
        publications[Int(place)]?.voice.talker = -1
        publications[Int(place)] = publication
        levels[Int(place)] = SmoothedLevel(at: now)
        participants[publication.ordinal] = publication.participant
        publication.voice.talker = place
    }

    // MARK: Control path

    /// Is muted, or silent for long: speaks no more, and may have the floor still.
    mutating func leave(_ publication: Publication) {
        let place = publication.voice.talker
        guard place >= 0 else { return }
        floor.leave(place)
        publications[Int(place)] = nil
        publication.voice.talker = -1
        if !isRemembered(publication.ordinal) { participants[publication.ordinal] = nil }
    }

    /// Is unpublished.
    mutating func forget(_ publication: Publication) {
        leave(publication)
        floor.forget(publication.ordinal)
        participants[publication.ordinal] = nil
    }

    private func isRemembered(_ ordinal: UInt64) -> Bool {
        floor.dominant == ordinal || floor.recent.contains(ordinal)
    }

    /// Who had the floor, the present one first; nobody twice.
    var recent: [ParticipantID] {
        var found: [ParticipantID] = []
        for ordinal in floor.recent {
            if let participant = participants[ordinal], !found.contains(participant) {
                found.append(participant)
            }
        }
        return found
    }

    /// Lets the floor change hands. Returns whether it did.
    mutating func evaluate(at now: Instant) -> Bool {
        guard floor.evaluate(at: now) else { return false }
        for idle in floor.idle(at: now) {
            if let publication = publications[Int(idle.place)] { leave(publication) }
        }
        for ordinal in participants.keys where !isRemembered(ordinal) {
            if !publications.contains(where: { $0?.ordinal == ordinal }) { participants[ordinal] = nil }
        }
        return true
    }

    /// What was told may be lost: it is told again, at once.
    mutating func forgetReports() {
        mustReport = true
        nextReport = .zero
    }

    /// What is to be told; nil: nothing new, or too early.
    mutating func report(_ room: RoomID, at now: Instant) -> SpeakerReport? {
        guard now >= nextReport else { return nil }
        var active: [SpeakerReport.Level] = []
        for place in publications.indices {
            guard let publication = publications[place] else { continue }
            let level = levels[place].level(at: now)
            guard level > 0 else { continue }
            active.append(SpeakerReport.Level(participant: publication.participant, level: level))
        }
        active.sort { $0.level > $1.level }
        active.removeLast(max(0, active.count - Limits.Audio.reportedSpeakers))
        let dominant = floor.dominant.flatMap { participants[$0] }
        let report = SpeakerReport(room: room, dominant: dominant, active: active)
        guard report != lastReport || mustReport else { return nil }
        // Nobody has spoken yet.
        guard lastReport != nil || dominant != nil || !active.isEmpty else { return nil }
        mustReport = false
        nextReport = now + SpeakerBoard.interval
        lastReport = report
        return report
    }
}
