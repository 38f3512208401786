// What listeners heard of each turn and when they were told who speaks. Times are numbers, turns come from a
// conversation. Must not know packets, sockets or JSON.

struct VoiceTally {
    /// One turn as one listener had it. Times are nanoseconds of the monotonic clock.
    private struct Hearing {
        /// Earliest of its frames that came, counted from its first.
        var firstFrame = Int64.max
        var firstAt = Int64.max
        var frames: Int64 = 0
        var toldActiveAt: Int64?
        var toldDominantAt: Int64?
        var shownAt: Int64?
        // What the listener had been told before the turn began.
        var wasActive = false
        var wasDominant = false
        var wasShown = false
    }

    private struct Record {
        var turn: Conversation.Turn
        /// When its first packet went out.
        var sentAt: Int64?
        var sentFrames: Int64 = 0
        var hearings: [Hearing]
    }

    /// What a listener knows.
    private struct Knowledge {
        var active: Set<Int> = []
        var dominant: Int?
        /// Speakers by m-section.
        var shown: [String: Int] = [:]
    }

    /// Sums over all turns that are over and all listeners. Times are nanoseconds.
    struct Outcome {
        var turns = 0
        var voicedSent: Int64 = 0
        /// Of `voicedSent` × listeners.
        var voicedHeard: Int64 = 0
        /// Turns × listeners of which no packet came.
        var unheard = 0
        /// First packet sent → first one that came.
        var onset = Samples()
        /// Beginning that never came; the whole turn where nothing came.
        var clip = Samples()
        var clipSum: Int64 = 0
        /// Turns × listeners whose first packet did not come.
        var clipped = 0
        /// First packet sent → the listener was told.
        var active = Samples()
        var dominant = Samples()
        var slot = Samples()
        /// Turns × listeners that nobody was told of though it was news.
        var neverActive = 0
    }

    let listeners: Int
    private var records: [Record] = []
    /// The newest record of each speaker.
    private var newest: [Int: Int] = [:]
    private var knowledge: [Knowledge]

    init(listeners: Int) {
        self.listeners = listeners
        knowledge = Array(repeating: Knowledge(), count: listeners)
    }

    var turns: Int { records.count }

    // MARK: Events

    mutating func begin(_ turn: Conversation.Turn) {
        newest[turn.speaker] = records.count
        records.append(
            Record(
                turn: turn,
                hearings: knowledge.map { known in
                    Hearing(
                        wasActive: known.active.contains(turn.speaker),
                        wasDominant: known.dominant == turn.speaker,
                        wasShown: known.shown.values.contains(turn.speaker)
                    )
                }
            )
        )
    }

    /// A voiced packet went out.
    mutating func sent(_ speaker: Int, frame: Int64, at now: Int64) {
        guard let place = newest[speaker], isWithin(records[place].turn, frame) else { return }
        if records[place].sentAt == nil { records[place].sentAt = now }
        records[place].sentFrames += 1
    }

    /// A voiced packet came.
    mutating func heard(_ speaker: Int, frame: Int64, by listener: Int, at now: Int64) {
        guard knowledge.indices.contains(listener), var place = newest[speaker] else { return }
        // A late packet may be of the turn before.
        while !isWithin(records[place].turn, frame) {
            guard frame < records[place].turn.first,
                let earlier = records[..<place].lastIndex(where: { $0.turn.speaker == speaker })
            else { return }
            place = earlier
        }
        let offset = frame - records[place].turn.first
        records[place].hearings[listener].firstFrame = min(
            records[place].hearings[listener].firstFrame,
            offset
        )
        records[place].hearings[listener].firstAt = min(records[place].hearings[listener].firstAt, now)
        records[place].hearings[listener].frames += 1
    }

    /// A `speakers` message came; people that are nobody's speaker are left out.
    mutating func told(_ listener: Int, active: Set<Int>, dominant: Int?, at now: Int64) {
        guard knowledge.indices.contains(listener) else { return }
        knowledge[listener].active = active
        knowledge[listener].dominant = dominant
        for speaker in active {
            note(speaker, listener) { if $0.toldActiveAt == nil { $0.toldActiveAt = now } }
        }
        if let dominant {
            note(dominant, listener) { if $0.toldDominantAt == nil { $0.toldDominantAt = now } }
        }
    }

    /// A `slots` message came: this section shows that speaker now, or nobody of them.
    mutating func shown(_ speaker: Int?, in section: String, to listener: Int, at now: Int64) {
        guard knowledge.indices.contains(listener) else { return }
        knowledge[listener].shown[section] = speaker
        if let speaker { note(speaker, listener) { if $0.shownAt == nil { $0.shownAt = now } } }
    }

    private mutating func note(_ speaker: Int, _ listener: Int, _ change: (inout Hearing) -> Void) {
        guard let place = newest[speaker] else { return }
        change(&records[place].hearings[listener])
    }

    private func isWithin(_ turn: Conversation.Turn, _ frame: Int64) -> Bool {
        turn.first <= frame && frame < turn.end
    }

    // MARK: Outcome

    /// - Parameter frame: turns that end behind it do not count.
    func outcome(through frame: Int64) -> Outcome {
        var outcome = Outcome()
        for record in records where record.turn.end <= frame {
            guard let sentAt = record.sentAt else { continue }
            outcome.turns += 1
            outcome.voicedSent += record.sentFrames
            for hearing in record.hearings { add(hearing, of: record.turn, sentAt: sentAt, to: &outcome) }
        }
        return outcome
    }

    private func add(
        _ hearing: Hearing,
        of turn: Conversation.Turn,
        sentAt: Int64,
        to outcome: inout Outcome
    ) {
        let isHeard = hearing.frames > 0
        let missed = isHeard ? hearing.firstFrame : turn.frames
        let clip = missed * Conversation.frameMilliseconds * 1_000_000
        outcome.clip.add(clip)
        outcome.clipSum += clip
        if missed > 0 { outcome.clipped += 1 }
        if isHeard { outcome.onset.add(hearing.firstAt - sentAt) } else { outcome.unheard += 1 }
        outcome.voicedHeard += hearing.frames
        if !hearing.wasActive {
            if let at = hearing.toldActiveAt {
                outcome.active.add(at - sentAt)
            } else {
                outcome.neverActive += 1
            }
        }
        if !hearing.wasDominant, let at = hearing.toldDominantAt { outcome.dominant.add(at - sentAt) }
        if !hearing.wasShown, let at = hearing.shownAt { outcome.slot.add(at - sentAt) }
    }
}
