// A session as the gateway hears of it in a report of the whole state.
import RTP
import Seam

extension Session {
    var reportedState: MediaState.Session {
        var open = self.open
        open.remote = remote
        return MediaState.Session(
            open: open,
            local: local,
            media: reportedMedia,
            wishes: wishes,
            transport: state,
            attachments: attachments.bytes,
            revisions: attachments.revisions
        )
    }

    /// What was negotiated, with what was muted since.
    private var reportedMedia: SessionMedia? {
        guard var media else { return nil }
        for i in media.sections.indices {
            let known = publications.first { $0.id == media.sections[i].publication }
            if let known { media.sections[i].muted = known.isMuted }
        }
        return media
    }
}
