// A bulk transfer through the queue that a viewer's media waits in.
import Acceptance
import RTP
import Simulation

struct SharedTransfer {
    /// IP and UDP, which a link adds to what it is given.
    private static let headers = 28

    private var transfer: BulkTransfer
    private var link: SimulatedLink

    init(through bottleneck: Bottleneck, _ conditions: LinkConditions, from start: Instant, seed: UInt64) {
        transfer = BulkTransfer(start: start)
        link = SimulatedLink(conditions, seed: seed)
        link.bottleneck = bottleneck
    }

    /// - Returns: bytes on the wire that came since the last step.
    mutating func step(at now: Instant) -> Int {
        var bytes = 0
        while let segment = link.receive(at: now) {
            transfer.arrived(segment.tag, at: now)
            bytes += segment.bytes.count + SharedTransfer.headers
        }
        let segment = [UInt8](repeating: 0, count: BulkTransfer.segment - SharedTransfer.headers)
        transfer.step(at: now) { link.send(segment, tag: $0, at: now) }
        return bytes
    }
}
