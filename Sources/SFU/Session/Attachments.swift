// What a gateway leaves with a session, to find it again after a restart. Opaque bytes by key, the newest revision only.
import RTP

struct Attachments {
    private struct Entry {
        var revision: UInt64
        /// Empty: it was removed, and stays so for older revisions that come late.
        var bytes: [UInt8]
    }

    private var entries: [String: Entry] = [:]

    /// Keeps the bytes, or with none removes what is there. Without effect where they are too many, where a newer
    /// revision is there, or where there are too many keys.
    mutating func put(_ bytes: [UInt8], key: String, revision: UInt64) {
        guard bytes.count <= Limits.Media.attachmentBytes, key.utf8.count <= Limits.Media.attachmentKeyBytes
        else { return }
        if let known = entries[key] {
            guard revision >= known.revision else { return }
        } else if entries.count >= Limits.Media.attachmentsPerSession {
            // What was removed longest ago, by its revision, makes room.
            let removed = entries.filter(\.value.bytes.isEmpty).min { $0.value.revision < $1.value.revision }
            guard let removed else { return }
            entries[removed.key] = nil
        }
        entries[key] = Entry(revision: revision, bytes: bytes)
    }

    var bytes: [String: [UInt8]] { entries.filter { !$0.value.bytes.isEmpty }.mapValues(\.bytes) }

    var revisions: [String: UInt64] { entries.mapValues(\.revision) }
}
