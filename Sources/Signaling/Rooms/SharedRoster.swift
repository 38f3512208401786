// A change of a roster as text: the whole of it for most, the rest of it for those who know a part, each participant
// written once. Must not know who knows what.
import NIOCore
import RTP
import Seam

struct SharedRoster {
    /// For everybody who knows nothing of it.
    private(set) var bodies: [EventBody] = []
    private let revision: UInt64
    private let timestamp: UInt64
    private let trace: String?
    private let texts: [String: ByteBuffer]

    init(_ change: RosterChange, revision: UInt64, timestamp: UInt64, trace: String? = nil) {
        self.revision = revision
        self.timestamp = timestamp
        self.trace = trace
        var texts: [String: ByteBuffer] = [:]
        for object in change.joined + change.updated { texts[object.pid] = OutboundText.json(object) }
        self.texts = texts
        bodies =
            change.isEmpty ? [body(of: change, own: nil)].compactMap(\.self) : bodies(of: change, own: nil)
    }

    /// A part of the change: one event, or several where one would be too large. `own` is another object than in the
    /// whole.
    func bodies(of part: RosterChange, own: ParticipantID?) -> [EventBody] {
        guard !part.isEmpty, let whole = body(of: part, own: own) else { return [] }
        let count = part.joined.count + part.updated.count + part.left.count
        guard whole.count > Limits.Signaling.serverMessageBytes, count > 1 else { return [whole] }
        return part.parts.flatMap { bodies(of: $0, own: own) }
    }

    private func body(of part: RosterChange, own: ParticipantID?) -> EventBody? {
        func texts(_ objects: [ParticipantObject]) -> [ByteBuffer] {
            objects.compactMap { object in
                let shared = object.pid == own?.rawValue ? nil : self.texts[object.pid]
                return shared ?? OutboundText.json(object)
            }
        }
        return EventBody(
            .roster,
            revision: revision,
            timestamp: timestamp,
            trace: trace,
            RosterChange(joined: [], updated: [], left: part.left),
            filling: [
                Filling(field: "joined", elements: texts(part.joined)),
                Filling(field: "updated", elements: texts(part.updated)),
            ]
        )
    }
}

extension RosterChange {
    /// Smaller changes that together are this one.
    fileprivate var parts: [RosterChange] {
        func half<Element>(_ list: [Element], _ isFirst: Bool) -> [Element] {
            isFirst ? Array(list.prefix((list.count + 1) / 2)) : Array(list.dropFirst((list.count + 1) / 2))
        }
        let halves = [true, false].map { isFirst in
            RosterChange(
                joined: half(joined, isFirst),
                updated: half(updated, isFirst),
                left: half(left, isFirst)
            )
        }
        if halves.allSatisfy({ !$0.isEmpty }) { return halves }
        // Three lists of one element each have an empty second half.
        return [
            RosterChange(joined: joined, updated: [], left: []),
            RosterChange(joined: [], updated: updated, left: []),
            RosterChange(joined: [], updated: [], left: left),
        ].filter { !$0.isEmpty }
    }
}
