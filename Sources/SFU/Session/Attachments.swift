// What a gateway leaves with a session, to find it again after a restart. Opaque texts by key, the newest revision only.
import RTP

struct Attachments {
    private struct Entry {
        var revision: UInt64
        /// Empty: it was removed, and stays so for older revisions that come late.
        var text: String
    }

    private var entries: [String: Entry] = [:]

    /// Keeps the text; an empty one removes what is there. Without effect where it is too long, where a newer revision
    /// is there, or where there are too many keys.
    mutating func put(_ text: String, key: String, revision: UInt64) {
        guard text.utf8.count <= Limits.Media.attachmentBytes,
            key.utf8.count <= Limits.Media.attachmentKeyBytes
        else { return }
        if let known = entries[key] {
            guard revision >= known.revision else { return }
        } else if entries.count >= Limits.Media.attachmentsPerSession {
            // What was removed longest ago, by its revision, makes room.
            let removed = entries.filter(\.value.text.isEmpty).min { $0.value.revision < $1.value.revision }
            guard let removed else { return }
            entries[removed.key] = nil
        }
        entries[key] = Entry(revision: revision, text: text)
    }

    var texts: [String: String] { entries.filter { !$0.value.text.isEmpty }.mapValues(\.text) }

    var revisions: [String: UInt64] { entries.mapValues(\.revision) }
}
