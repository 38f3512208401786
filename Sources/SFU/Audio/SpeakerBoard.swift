// Who speaks in a room, told at most five times a second and only while there is something to tell.
import RTP
import Seam

struct SpeakerBoard {
    private var dominant: ParticipantID?
    private var challenger: ParticipantID?
    private var challengerSince = Instant.zero
    private var lastReport: SpeakerReport?
    private var nextReport = Instant.zero

    /// How long somebody must be the loudest before the stage is theirs.
    private static let challenge = Interval.milliseconds(400)

    mutating func look(at room: Room, now: Instant) -> SpeakerReport? {
        var active: [SpeakerReport.Level] = []
        for publication in room.publications
        where publication.kind == .audio && !publication.isMuted && publication.voice.isSpeaking(at: now) {
            active.append(
                SpeakerReport.Level(
                    participant: publication.participant,
                    level: UInt8(clamping: publication.voice.level)
                )
            )
        }
        active.sort { $0.level > $1.level }
        elect(active, at: now)
        if let dominant, !room.members.contains(where: { $0.participant == dominant }) { self.dominant = nil }
        let report = SpeakerReport(room: room.id, dominant: dominant, active: active)
        guard now >= nextReport, report != lastReport else { return nil }
        nextReport = now + .milliseconds(200)
        lastReport = report
        return report
    }

    private mutating func elect(_ active: [SpeakerReport.Level], at now: Instant) {
        guard let loudest = active.first else {
            challenger = nil
            return
        }
        let isDominantSilent = dominant == nil || !active.contains { $0.participant == dominant }
        if loudest.participant == dominant {
            challenger = nil
        } else if isDominantSilent {
            dominant = loudest.participant
            challenger = nil
        } else if challenger != loudest.participant {
            challenger = loudest.participant
            challengerSince = now
        } else if now - challengerSince >= SpeakerBoard.challenge {
            dominant = loudest.participant
            challenger = nil
        }
    }
}
