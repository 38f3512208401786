// The reliable messages of a room's relay, as long as somebody may have missed them, and what came of each send.
// Must not know sessions, sockets or what the messages say.
import RTP
import Seam

struct RelayLog: Sendable {
    /// Whom a message is for. The sender's other devices always get a copy.
    enum Audience: Sendable, Equatable {
        case everybody
        case some(Set<ParticipantID>, Set<UserID>)
    }

    struct Message: Sendable {
        var sequence: UInt64
        /// nil: the server.
        var sender: ParticipantID?
        var user: UserID?
        var audience: Audience
        var body: EventBody
        /// For the sender's other devices.
        var copy: EventBody?
        var at: Instant

        /// What a participant gets of it; nil: nothing.
        func body(for viewer: ParticipantID, of user: UserID) -> EventBody? {
            guard viewer != sender else { return nil }
            if let copy, user == self.user { return copy }
            switch audience {
            case .everybody: return body
            case .some(let participants, let users):
                return participants.contains(viewer) || users.contains(user) ? body : nil
            }
        }
    }

    private struct ReceiptKey: Hashable, Sendable {
        var sender: String
        var mid: String
    }

    /// Number of the newest message; 0 before the first.
    private(set) var lastSequence: UInt64 = 0
    private var messages = Fifo<Message>()
    private(set) var bytes = 0
    private var receipts: [ReceiptKey: DataReceipt] = [:]
    private var receiptOrder = Fifo<(key: ReceiptKey, at: Instant)>()

    var count: Int { messages.count }
    var receiptCount: Int { receipts.count }

    // MARK: Sending

    /// What came of the same message, where it was sent before. `sender`: a user's device, or whatever else tells
    /// senders apart.
    mutating func receipt(of mid: String, sender: String, at now: Instant) -> DataReceipt? {
        forget(at: now)
        return receipts[ReceiptKey(sender: sender, mid: mid)]
    }

    mutating func remember(_ receipt: DataReceipt, sender: String, at now: Instant) {
        let key = ReceiptKey(sender: sender, mid: receipt.mid)
        if receipts.updateValue(receipt, forKey: key) == nil { receiptOrder.append((key, now)) }
        forget(at: now)
    }

    /// The number that the next message bears.
    var nextSequence: UInt64 { lastSequence + 1 }

    /// `message.sequence` is `nextSequence`.
    mutating func append(_ message: Message) {
        lastSequence = message.sequence
        messages.append(message)
        bytes += message.body.count
        forget(at: message.at)
    }

    private mutating func forget(at now: Instant) {
        while let first = messages.first,
            messages.count > Limits.Relay.messages || bytes > Limits.Relay.bytes
                || now - first.at > Limits.Relay.age
        {
            _ = messages.popFirst()
            bytes -= first.body.count
        }
        while let first = receiptOrder.first,
            receiptOrder.count > Limits.Relay.receipts || now - first.at > Limits.Relay.age
        {
            _ = receiptOrder.popFirst()
            receipts[first.key] = nil
        }
    }

    // MARK: Catching up

    /// What a participant has missed since it had message `sequence`, oldest first, and how many messages are gone
    /// for good: at most so many of them were for it. Of more than `Limits.Relay.replayBytes` the oldest are gone, too.
    mutating func since(
        _ sequence: UInt64,
        for viewer: ParticipantID,
        of user: UserID,
        at now: Instant
    ) -> (messages: [EventBody], lost: Int) {
        forget(at: now)
        guard sequence < lastSequence else { return ([], 0) }
        let oldest = messages.first?.sequence ?? lastSequence + 1
        var lost = oldest > sequence + 1 ? Int(clamping: oldest - sequence - 1) : 0
        var missed: [EventBody] = []
        messages.forEach { message in
            guard message.sequence > sequence, let body = message.body(for: viewer, of: user) else { return }
            missed.append(body)
        }
        var size = missed.reduce(0) { $0 + $1.count }
        var dropped = 0
        while size > Limits.Relay.replayBytes || missed.count - dropped > Limits.Relay.replayMessages {
            size -= missed[dropped].count
            dropped += 1
        }
        lost += dropped
        return (Array(missed.dropFirst(dropped)), lost)
    }
}

/// How fast a participant may send through the relay: messages and bytes, each with a burst.
struct RelayMeter: Sendable {
    /// In millionths of a message and of a byte.
    private var messages = Int64(Limits.Relay.burst) * 1_000_000
    private var bytes = Int64(Limits.Relay.burstBytes) * 1_000_000
    private var updatedAt: Instant

    init(at now: Instant) { updatedAt = now }

    mutating func allows(bytes size: Int, at now: Instant) -> Bool {
        let elapsed = max(0, min((now - updatedAt).microseconds, 3_600_000_000))
        updatedAt = max(now, updatedAt)
        messages = min(
            Int64(Limits.Relay.burst) * 1_000_000,
            messages + elapsed * Int64(Limits.Relay.messagesPerSecond)
        )
        bytes = min(
            Int64(Limits.Relay.burstBytes) * 1_000_000,
            bytes + elapsed * Int64(Limits.Relay.bytesPerSecond)
        )
        guard messages >= 1_000_000, bytes >= Int64(size) * 1_000_000 else { return false }
        messages -= 1_000_000
        bytes -= Int64(size) * 1_000_000
        return true
    }
}
