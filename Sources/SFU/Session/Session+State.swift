// A session as the gateway hears of it in a report of the whole state.
import RTP
import Seam

extension Session {
    func reportedState(at now: Instant) -> MediaState.Session {
        var open = self.open
        open.remote = remote
        return MediaState.Session(
            open: open,
            local: local,
            media: reportedMedia,
            wishes: wishes,
            transport: state,
            publications: uplink.publications.map { $0.report(at: now) },
            attachments: attachments.texts,
            revisions: attachments.revisions
        )
    }

    /// What was negotiated, with what was muted since.
    var reportedMedia: SessionMedia? {
        guard var media else { return nil }
        for i in media.sections.indices {
            let known = uplink.publications.first { $0.id == media.sections[i].publication }
            if let known { media.sections[i].muted = known.isMuted }
        }
        return media
    }
}
