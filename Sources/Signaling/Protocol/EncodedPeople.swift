// Participants as JSON, written once and kept until they change: a thousand people who come at once are each told of a
// thousand. Must not know who is told, or why.
import NIOCore
import Seam

/// What everybody but a participant itself sees of it.
struct EncodedPeople {
    private var texts: [ParticipantID: (participant: Participant, text: ByteBuffer)] = [:]

    var count: Int { texts.count }

    /// As `viewer` sees them. What cannot be written as JSON is left out.
    mutating func texts(of participants: some Sequence<Participant>, for viewer: ParticipantID?)
        -> [ByteBuffer]
    {
        participants.compactMap { text(of: $0, for: viewer) }
    }

    mutating func text(of participant: Participant, for viewer: ParticipantID?) -> ByteBuffer? {
        // Of its own tracks it sees more.
        if participant.id == viewer, !participant.publications.isEmpty {
            return OutboundText.json(participant.object(for: viewer))
        }
        if let known = texts[participant.id], known.participant == participant { return known.text }
        guard let text = OutboundText.json(participant.object()) else { return nil }
        texts[participant.id] = (participant, text)
        return text
    }

    /// Those who are not there any more, once they are as many as the others.
    mutating func forget(allBut present: [ParticipantID: Participant]) {
        guard texts.count > 2 * present.count + 16 else { return }
        texts = texts.filter { present[$0.key] != nil }
    }
}

/// Elements of a list in a message that are JSON already. In the payload itself that list is empty.
struct Filling {
    var field: String
    var elements: [ByteBuffer]
}

extension OutboundText {
    static func json(_ value: some Encodable, filling lists: [Filling]) -> ByteBuffer? {
        guard let text = json(value) else { return nil }
        let view = text.readableBytesView
        var places: [(range: Range<Int>, elements: [ByteBuffer])] = []
        var size = text.readableBytes
        for list in lists where !list.elements.isEmpty {
            // No string contains it: there a quotation mark follows a backslash.
            let empty = ByteBuffer(string: "\"\(list.field)\":[]").readableBytesView
            guard let range = view.firstRange(of: empty) else { return nil }
            places.append((range, list.elements))
            size += list.elements.reduce(list.elements.count) { $0 + $1.readableBytes }
        }
        guard !places.isEmpty else { return text }
        var filled = ByteBufferAllocator().buffer(capacity: size)
        var written = view.startIndex
        for place in places.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            // Up to the bracket that closes the list.
            filled.writeBytes(view[written..<place.range.upperBound - 1])
            written = place.range.upperBound - 1
            for (index, element) in place.elements.enumerated() {
                if index > 0 { filled.writeString(",") }
                filled.writeImmutableBuffer(element)
            }
        }
        filled.writeBytes(view[written...])
        return filled
    }
}
