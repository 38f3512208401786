// A call in numbers: who was there, for how long, who spoke. Values for summaries; time is a parameter.
// Must not know events, webhooks or sockets.
import RTP
import Seam

/// The totals of a call, so far or at its end.
public struct ConversationSummary: Codable, Sendable, Equatable {
    public struct User: Codable, Sendable, Equatable {
        public var uid: String
        /// With at least one device in the room.
        public var presentMs: Int64
        /// Among the active speakers, with whichever device.
        public var talkMs: Int64
        public var joins: Int
        public var resumes: Int
        /// Of what the user's devices sent and received; absent: nothing was known.
        public var up: QualityDigest?
        public var down: QualityDigest?
    }

    public var durationMs: Int64
    /// Most participants at a time.
    public var peak: Int
    public var joins: Int
    public var resumes: Int
    /// In the order in which they came first.
    public var users: [User]
    /// Who came when there were too many to tell apart; they are in no other list.
    public var otherUsers: Int
}

/// Quality over a stay.
public struct QualityDigest: Codable, Sendable, Equatable {
    /// Mean score, tenths: 10 (bad) to 50 (excellent).
    public var mean: UInt8
    /// How long it was known, and how long of that it was below three points.
    public var ratedMs: Int64
    public var poorMs: Int64
}

struct Conversation: Sendable {
    fileprivate struct User: Sendable {
        var order: Int
        var devices = 0
        var presentSince: Instant?
        var present = Interval.zero
        var speakingSince: Instant?
        var talk = Interval.zero
        var joins = 0
        var resumes = 0
        var up = MeanScore()
        var down = MeanScore()
    }

    private let startedAt: Instant
    private var users: [UserID: User] = [:]
    private var speaking: Set<UserID> = []
    private var participants = 0
    private var peak = 0
    private var joins = 0
    private var resumes = 0
    private var otherUsers = 0
    private let limit: Int

    init(at now: Instant, limit: Int = Limits.Telemetry.conversationUsers) {
        startedAt = now
        self.limit = limit
    }

    mutating func joined(_ user: UserID, at now: Instant) {
        participants += 1
        peak = max(peak, participants)
        joins += 1
        if users[user] == nil {
            guard users.count < limit else { return otherUsers += 1 }
            users[user] = User(order: users.count)
        }
        users[user]?.joins += 1
        users[user]?.devices += 1
        if users[user]?.presentSince == nil { users[user]?.presentSince = now }
    }

    mutating func left(_ user: UserID, at now: Instant) {
        participants = max(0, participants - 1)
        guard var known = users[user], known.devices > 0 else { return }
        known.devices -= 1
        if known.devices == 0 {
            known.close(at: now)
            speaking.remove(user)
        }
        users[user] = known
    }

    mutating func resumed(_ user: UserID) {
        resumes += 1
        users[user]?.resumes += 1
    }

    /// Who speaks from now on.
    mutating func speak(_ active: Set<UserID>, at now: Instant) {
        for user in speaking.subtracting(active) { users[user]?.stopSpeaking(at: now) }
        for user in active.subtracting(speaking) where (users[user]?.devices ?? 0) > 0 {
            users[user]?.speakingSince = now
        }
        speaking = active.filter { (users[$0]?.devices ?? 0) > 0 }
    }

    /// How well media arrives from now on, tenths; nil: unknown. Of several devices the one that was last told of counts.
    mutating func rate(_ user: UserID, up: UInt8?, down: UInt8?, at now: Instant) {
        users[user]?.up.rate(up, at: now)
        users[user]?.down.rate(down, at: now)
    }

    func summary(at now: Instant) -> ConversationSummary {
        let ordered = users.sorted { $0.value.order < $1.value.order }
        return ConversationSummary(
            durationMs: (now - startedAt).milliseconds,
            peak: peak,
            joins: joins,
            resumes: resumes,
            users: ordered.map { id, user in
                var user = user
                user.close(at: now)
                return ConversationSummary.User(
                    uid: id.rawValue,
                    presentMs: user.present.milliseconds,
                    talkMs: user.talk.milliseconds,
                    joins: user.joins,
                    resumes: user.resumes,
                    up: user.up.digest,
                    down: user.down.digest
                )
            },
            otherUsers: otherUsers
        )
    }
}

extension Conversation.User {
    fileprivate mutating func stopSpeaking(at now: Instant) {
        if let since = speakingSince {
            talk = Interval(microseconds: talk.microseconds + (now - since).microseconds)
        }
        speakingSince = nil
    }

    fileprivate mutating func close(at now: Instant) {
        stopSpeaking(at: now)
        up.rate(nil, at: now)
        down.rate(nil, at: now)
        if let since = presentSince {
            present = Interval(microseconds: present.microseconds + (now - since).microseconds)
        }
        presentSince = nil
    }
}

/// A mean over time.
private struct MeanScore: Sendable {
    /// Tenths.
    private var score: UInt8?
    private var since = Instant.zero
    /// Tenths times microseconds.
    private var sum: Int64 = 0
    private var rated = Interval.zero
    private var poor = Interval.zero

    mutating func rate(_ score: UInt8?, at now: Instant) {
        if let old = self.score {
            let time = max(.zero, now - since)
            sum += Int64(old) * time.microseconds
            rated = rated + time
            if old < 30 { poor = poor + time }
        }
        self.score = score
        since = now
    }

    /// Up to the last change; nil: nothing was known.
    var digest: QualityDigest? {
        guard rated > .zero else { return nil }
        return QualityDigest(
            mean: UInt8(clamping: (sum + rated.microseconds / 2) / rated.microseconds),
            ratedMs: rated.milliseconds,
            poorMs: poor.milliseconds
        )
    }
}
