// Markers, and whether a decoder could decode what was forwarded: a frame goes out whole or not at all, and never
// without the frames that it refers to.
import RTP

extension StreamChecker {
    /// The marker is on the last packet of the highest frame of a picture, and nowhere else.
    mutating func checkMarkers() {
        for i in entries.indices {
            let entry = entries[i]
            let next = i + 1 < entries.count ? entries[i + 1] : nil
            let staysInPicture =
                next.map { $0.segment == entry.segment && $0.stamp.frame == entry.stamp.frame } ?? false
            let isLastPart = entry.stamp.part + 1 == entry.stamp.partCount
            if entry.packet.marker && (staysInPicture || !isLastPart) {
                violate("the marker is inside a picture at \(describe(entry))")
            }
            guard let next, !staysInPicture, isLastPart, !entry.packet.marker else { continue }
            // Numbers that are missing may have been the rest of the picture.
            if next.holes + next.unrepaired + next.voids == 0 {
                violate("the marker is missing at \(describe(entry))")
            }
        }
    }

    private struct Frame {
        var parts: Set<UInt8> = []
        /// Places in `entries`.
        var first: Int
        var last: Int
    }

    /// A key frame that is shown again after a pause is another one than before it.
    private struct Place: Hashable {
        var id: Stamp.FrameID
        var segment: Int
    }

    mutating func checkFrames() {
        var frames: [Place: Frame] = [:]
        for i in entries.indices {
            let stamp = entries[i].stamp
            let place = Place(id: stamp.frameID, segment: entries[i].segment)
            frames[place, default: Frame(first: i, last: i)].parts.insert(stamp.part)
            frames[place]?.last = i
        }
        for (place, frame) in frames.sorted(by: { $0.value.first < $1.value.first }) {
            checkWhole(frame)
            checkReferences(place, frame, frames)
        }
    }

    private mutating func checkWhole(_ frame: Frame) {
        let entry = entries[frame.first]
        guard frame.parts.count < Int(entry.stamp.partCount) else { return }
        // Cut where a switch or the end came.
        let next = frame.last + 1
        if next >= entries.count { return }
        if entries[next].segment != entry.segment || isBrokenOff(entries[frame.last], entries[next]) {
            return
        }
        if frame.first == 0 && !frame.parts.contains(0) { return }
        for part in 0..<entry.stamp.partCount where !frame.parts.contains(part) {
            guard let original = original(entry.stamp.frameID, part: part) else { continue }
            if original.arrivedAt == nil {
                if hasNumber(original, near: frame.first...next) { continue }
                return violate("no number tells that part \(part + 1) of \(describe(entry)) was lost")
            }
            if cameAfterTheEnd(original, of: frame.last) { continue }
            if isMissingOnTheWay(original, near: frame.first...next) { continue }
            return violate("part \(part + 1) of \(describe(entry)) was left out")
        }
    }

    /// A number was left open where this packet would be.
    private func hasNumber(_ original: OriginalPacket, near range: ClosedRange<Int>) -> Bool {
        for i in range where entries.indices.contains(i) {
            let entry = entries[i]
            guard entry.original.ssrc == original.ssrc, entry.original.sequence > original.sequence else {
                continue
            }
            return entry.holes + entry.unrepaired + entry.voids > 0
        }
        return true
    }

    /// The server sent it, or left its number open because it came too late to be of use.
    private func isMissingOnTheWay(_ original: OriginalPacket, near range: ClosedRange<Int>) -> Bool {
        for i in range where entries.indices.contains(i) {
            let entry = entries[i]
            guard entry.original.ssrc == original.ssrc, entry.original.sequence > original.sequence else {
                continue
            }
            return entry.unrepaired > 0
                || entry.holes + entry.voids > 0
                    && (original.arrivedAt ?? .zero) > original.sentAt + StreamChecker.tooLate
        }
        return false
    }

    /// A packet that needed longer than this to the server may be given up.
    static var tooLate: Interval { .milliseconds(400) }

    private mutating func checkReferences(
        _ place: Place,
        _ frame: Frame,
        _ frames: [Place: Frame]
    ) {
        let entry = entries[frame.first]
        for reference in entry.stamp.references {
            var needed = place.id
            needed.frame = reference.frame
            needed.spatial = reference.spatial
            // What follows a switch needs nothing of before.
            if frames[Place(id: needed, segment: place.segment)] != nil { continue }
            guard !isLost(needed, before: frame.first) else { continue }
            violate("\(describe(entry)) needs f\(reference.frame):\(reference.spatial), which was left out")
        }
    }

    /// Some packet of the frame never came to the server, or came too late, or the server sent it and it was lost.
    private func isLost(_ frame: Stamp.FrameID, before place: Int) -> Bool {
        var part: UInt8 = 0
        while let packet = original(frame, part: part) {
            guard let arrivedAt = packet.arrivedAt else { return true }
            if cameAfterTheEnd(packet, of: place) { return true }
            if arrivedAt > packet.sentAt + StreamChecker.tooLate { return true }
            var i = place
            while i > 0, entries[i - 1].original.ssrc == packet.ssrc,
                entries[i - 1].original.sequence > packet.sequence
            {
                i -= 1
            }
            if entries[i].unrepaired > 0 { return true }
            guard part < 255 else { return false }
            part += 1
        }
        return false
    }
}
