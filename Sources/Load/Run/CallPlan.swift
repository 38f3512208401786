// What a run does: who takes part, what they send and receive, for how long. Values only.

/// One session that the run is to make.
struct CastMember: Equatable {
    var role: SessionRole
    /// Name of its room.
    var room: String
    /// Sections to receive on.
    var audioSlots = 0
    var videoSlots = 0
}

/// Sessions that come and go while others are measured.
struct Churn: Equatable {
    /// Joins per second.
    var perSecond: Double
    /// How long each stays after its first packet, seconds.
    var stay: Double
}

/// More rooms, step by step, until the server does not keep up.
struct Growth: Equatable {
    static let firstRooms = 4

    var roomsAtMost: Int
    /// People of a room.
    var people: Int
    /// What a step may show and still be good.
    var lossPercent = 0.1
    /// Milliseconds.
    var latencyP99 = 20.0
}

struct CallPlan {
    var scenario: Scenario
    var signaling: SignalingPlan?
    var keys: KeyFile?
    /// Publishers come first.
    var cast: [CastMember]
    var audio: AudioFormat
    var video: VideoFormat
    /// Subscribers offer NACK, retransmission and transport-wide feedback.
    var hasFeedback = true
    var sampling = Client.Sampling.oneIn(16)
    var mergesDatagrams = true
    var readsMedia = true
    /// Tiles are told to the server: one large, the others small.
    var hasViews = false
    var seconds: Int
    var warmUp: Int
    /// Joins that run at the same time.
    var joinsAtOnce: Int
    var churn: Churn?
    /// Seconds from one entry of the protocol to the next; nil: none is kept.
    var interval: Int?
    var growth: Growth?
    var serverPID: Int?
    var mediaThreads: String

    /// How many receive each packet that is published; nil: not all of it is meant for everybody.
    var audience: Int? {
        guard video.layers.count < 2, churn == nil, growth == nil, !hasViews else { return nil }
        switch scenario {
        case .broadcast: return cast.count { $0.role == .subscriber }
        case .rooms:
            let people = cast.count / max(1, Set(cast.map(\.room)).count)
            return people - 1
        case .meeting, .voices, .storm, .soak: return nil
        }
    }

    var allowsRemote: Bool { signaling?.allowsRemote ?? true }

    // MARK: Casts

    /// One publisher, many subscribers.
    static func broadcast(subscribers: Int, room: String, hasAudio: Bool, hasVideo: Bool) -> [CastMember] {
        let subscriber = CastMember(
            role: .subscriber,
            room: room,
            audioSlots: hasAudio ? 1 : 0,
            videoSlots: hasVideo ? 1 : 0
        )
        return [CastMember(role: .publisher, room: room)]
            + Array(repeating: subscriber, count: subscribers)
    }

    /// Rooms in which everybody hears, and sees, all the others.
    static func rooms(_ rooms: Range<Int>, people: Int, prefix: String, hasAudio: Bool, hasVideo: Bool)
        -> [CastMember]
    {
        rooms.flatMap { room in
            Array(
                repeating: CastMember(
                    role: .participant,
                    room: "\(prefix)-\(room)",
                    audioSlots: hasAudio ? people - 1 : 0,
                    videoSlots: hasVideo ? people - 1 : 0
                ),
                count: people
            )
        }
    }

    /// One room in which everybody sees a few.
    static func meeting(people: Int, room: String, audioSlots: Int, lastN: Int) -> [CastMember] {
        Array(
            repeating: CastMember(
                role: .participant,
                room: room,
                audioSlots: audioSlots,
                videoSlots: lastN
            ),
            count: people
        )
    }
}
