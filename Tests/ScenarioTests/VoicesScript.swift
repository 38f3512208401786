// A conversation from a seed: who speaks when and how loud, and what listeners missed of it.
import RTP
import Simulation

/// Moves the levels of some microphones, 20 ms at a time.
struct VoicesScript {
    /// Somebody speaks, from this packet on.
    struct Turn {
        var speaker: Int
        var at: Instant
        var firstFrame: UInt32
        var ends: Instant
        /// How many spoke when it began, with this one.
        var speaking: Int
    }

    private(set) var turns: [Turn] = []
    private var random: SimulatedICEClient.Generator
    private var nextTurn: Instant
    private var last = -1
    /// How many speak at once at most.
    var overlap = 2
    /// Between the end of a turn and the next: from the first to the second, ms; negative ones overlap.
    var gap: ClosedRange<Int64> = -400...600

    init(seed: UInt64, from start: Instant) {
        random = SimulatedICEClient.Generator(seed: seed)
        nextTurn = start
    }

    /// Sets what everybody says in the next 20 ms.
    mutating func step(_ speakers: [SimulatedPeer], at now: Instant) {
        let speaking = turns.filter { $0.ends > now }
        if now >= nextTurn && speaking.count < overlap { begin(speakers, speaking, at: now) }
        let voices = Set(turns.lazy.filter { $0.ends > now }.map(\.speaker))
        for index in speakers.indices {
            // Loud and soft by syllables; else the noise of a quiet room.
            speakers[index].mic.source.audioLevel =
                voices.contains(index)
                ? 0x80 | UInt8.random(in: 20...36, using: &random)
                : UInt8.random(in: 75...85, using: &random)
        }
    }

    private mutating func begin(_ speakers: [SimulatedPeer], _ speaking: [Turn], at now: Instant) {
        let silent = speakers.indices.filter { index in
            index != last && !speaking.contains { $0.speaker == index }
        }
        guard let speaker = silent.randomElement(using: &random) else { return }
        let duration = Interval.milliseconds(Int64.random(in: 600...2500, using: &random))
        last = speaker
        nextTurn = now + duration + .milliseconds(Int64.random(in: gap, using: &random))
        turns.append(
            Turn(
                speaker: speaker,
                at: now,
                firstFrame: UInt32(speakers[speaker].mic.sent.count),
                ends: now + duration,
                speaking: speaking.count + 1
            )
        )
    }

    /// How much of the turn's beginning this listener missed; nil: all of it.
    func clip(of turn: Turn, of speakers: [SimulatedPeer], for listener: SimulatedPeer) -> Interval? {
        let source = speakers[turn.speaker].mic.source.id
        let last = turn.firstFrame + UInt32((turn.ends - turn.at).milliseconds / 20)
        var first: UInt32?
        for packet in listener.received {
            guard let stamp = packet.stamp, stamp.source == source, stamp.frame >= turn.firstFrame,
                stamp.frame < last
            else { continue }
            first = min(first ?? stamp.frame, stamp.frame)
        }
        return first.map { .milliseconds(Int64($0 - turn.firstFrame) * 20) }
    }
}
