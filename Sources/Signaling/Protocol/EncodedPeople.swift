// Participants as JSON, written once and kept until they change: a thousand people who come at once are each told of a
// thousand. Must not know who is told, or why.
import NIOCore
import RTP
import Seam

struct EncodedPeople {
    /// Participants that follow each other, as the elements of a list.
    struct List: Equatable {
        var text: ByteBuffer
        /// What everybody sees like this; nil: only this viewer does.
        var key: Key?
    }

    /// A part of a page in one of its states.
    struct Key: Equatable {
        var stamp: UInt64
        var part: Int
    }

    private var texts: [ParticipantID: (participant: Participant, text: ByteBuffer)] = [:]
    /// By the stamp of their page.
    private var pages: [UInt64: [ByteBuffer]] = [:]

    private var isUsed = false

    var count: Int { texts.count }

    /// Everything, where nothing was asked for since the last call.
    mutating func forgetUnused() {
        if !isUsed {
            texts = [:]
            pages = [:]
        }
        isUsed = false
    }

    /// The visible participants of a room as `viewer` sees them.
    mutating func lists(of room: RoomState, for viewer: ParticipantID) -> [List] {
        isUsed = true
        forget(allBut: room)
        let own = room.participants[viewer].flatMap { $0.publications.isEmpty ? nil : $0 }
        let ownPage = own.flatMap { room.pages.stamp(of: $0.place) }
        return room.pages.pages.flatMap { page -> [List] in
            if page.stamp == ownPage {
                let people = page.people.compactMap { room.participants[$0] }
                return lists(of: people, for: viewer).map { List(text: $0) }
            }
            let known = pages[page.stamp]
            let lists = known ?? self.lists(of: page.people.compactMap { room.participants[$0] }, for: nil)
            if known == nil { pages[page.stamp] = lists }
            return lists.enumerated().map { List(text: $1, key: Key(stamp: page.stamp, part: $0)) }
        }
    }

    /// As `viewer` sees them. What cannot be written as JSON is left out.
    mutating func lists(of participants: [Participant], for viewer: ParticipantID?) -> [ByteBuffer] {
        Self.lists(of: participants.compactMap { text(of: $0, for: viewer) })
    }

    /// Elements in lists, none of which is too large for a message unless one element is.
    static func lists(of elements: [ByteBuffer]) -> [ByteBuffer] {
        var lists: [ByteBuffer] = []
        var begin = 0
        while begin < elements.count {
            var end = begin
            var size = 0
            while end < elements.count, end - begin < RosterPages.peoplePerPage {
                let next = size + elements[end].readableBytes + 1
                guard end == begin || next <= Limits.Signaling.serverMessageBytes - roomForOthers else {
                    break
                }
                size = next
                end += 1
            }
            var list = ByteBufferAllocator().buffer(capacity: size)
            for index in begin..<end {
                if index > begin { list.writeString(",") }
                list.writeImmutableBuffer(elements[index])
            }
            lists.append(list)
            begin = end
        }
        return lists
    }

    /// Bytes of a message that are not the list.
    private static let roomForOthers = 1024

    mutating func text(of participant: Participant, for viewer: ParticipantID?) -> ByteBuffer? {
        isUsed = true
        // Of its own tracks it sees more.
        if participant.id == viewer, !participant.publications.isEmpty {
            return OutboundText.json(participant.object(for: viewer))
        }
        if let known = texts[participant.id], known.participant == participant { return known.text }
        guard let text = OutboundText.json(participant.object()) else { return nil }
        texts[participant.id] = (participant, text)
        return text
    }

    /// Those who are not there any more, and pages as they were, once they are as many as the others.
    private mutating func forget(allBut room: RoomState) {
        if texts.count > 2 * room.participants.count + 16 {
            texts = texts.filter { room.participants[$0.key] != nil }
        }
        guard pages.count > 2 * room.pages.pages.count + 2 else { return }
        let present = Set(room.pages.pages.map(\.stamp))
        pages = pages.filter { present.contains($0.key) }
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
