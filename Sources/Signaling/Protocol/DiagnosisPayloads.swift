// The `data` of `diag.get` and `diag.report`: what the server knows about one session, and about the way from
// somebody's camera or microphone to it. Must not know how it is found out.
import RTP
import Seam

public struct Diagnose: Codable, Sendable, Equatable {
    /// A track.
    public var tid: String?
    /// What a participant publishes: the `source`, the microphone where it is missing.
    public var pid: String?
    public var source: Source?
}

public struct Diagnosis: Codable, Sendable, Equatable {
    public struct Signal: Codable, Sendable, Equatable {
        /// Newest event that was sent.
        public var seq: UInt64
        public var ack: UInt64
        /// Everything that waits for the socket.
        public var waiting: Int
        public var waitingState: Int
        public var waitingEphemeral: Int
        /// Critical events that are unsent or not acknowledged.
        public var unacknowledged: Int
        public var unacknowledgedBytes: Int
        /// Requests without a response.
        public var unanswered: Int
        /// Ephemeral events that were dropped, by type.
        public var shed: [String: UInt64]
        public var overflows: Int
        public var badFrames: Int
        /// Times that the session came back on another socket.
        public var resumes: Int
    }
    public struct Media: Codable, Sendable, Equatable {
        public var transport: TransportState
        /// The client's number of its PeerConnection.
        public var gen: UInt32?
        public var negotiating: Bool
        public var audioSlots: Int
        public var videoSlots: Int
        /// How well what the client sends and receives arrives; absent: nothing to judge by.
        public var up: ParticipantQuality.Direction?
        public var down: ParticipantQuality.Direction?
    }
    /// One question on the way from the source to the client, in order.
    public struct Step: Codable, Sendable, Equatable {
        public var step: String
        public var ok: Bool
        public var detail: String?
    }
    public struct Verdict: Codable, Sendable, Equatable {
        public var code: VerdictCode
        /// For people.
        public var text: String
    }

    public var signal: Signal
    /// Absent where nothing has been negotiated.
    public var media: Media?
    public var slots: [SlotObject]
    public var permissions: Permissions
    /// Empty where no target was named.
    public var chain: [Step]
    public var verdict: Verdict
}

public enum VerdictCode: String, Codable, Sendable, CaseIterable, OpenEnumeration {
    case ok
    /// On the receiver's side.
    case noMedia, notConnected, slow, notAllowed, unsubscribed, noSlot, paused
    /// Its path has no room for the next better layer; or brings what is sent badly, one way or the other.
    case bandwidth, poorDownlink, poorUplink
    /// On the sender's side.
    case notInRoom, waiting, notPublishing, muted, mutedByModerator, senderNotConnected, nothingArrives,
        poorSender
    /// The rule that nobody receives its own user.
    case ownUser
    /// There are louder ones.
    case notHeard
}

/// All fields are optional: a client says what it knows.
public struct DiagnosisReport: Codable, Sendable, Equatable {
    public var lastSeq: UInt64?
    public var gaps: UInt64?
    public var resumes: UInt64?
    /// From the loss of the socket to the last event of the resume, milliseconds.
    public var timeToResumeMs: Double?
    public var note: String?
}
