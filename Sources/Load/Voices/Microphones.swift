// When each microphone's packets are due and what is in them: their frames are spread evenly over 20 ms, in the order of
// the participants. Must not know sockets or phases.

struct Microphones {
    private static let frame: Int64 = 20_000_000
    /// What is later than this is left out instead of being sent at once.
    private static let patience: Int64 = 200_000_000

    private let plan: VoicesPlan
    private let start: Int64
    private var conversation: Conversation?
    private(set) var sent: Int64 = 0
    private(set) var skipped = 0
    private(set) var lateness = Samples()
    /// Counts microphones through all frames: frame × participants + participant.
    private var next: Int64 = 0

    /// - Parameter start: when frame 0 begins, nanoseconds of the monotonic clock.
    init(_ plan: VoicesPlan, start: Int64) {
        self.plan = plan
        self.start = start
    }

    /// The frame that is being sent.
    var frame: Int64 { next / Int64(plan.participants) }

    /// From the next frame on somebody speaks.
    mutating func beginConversation() {
        conversation = Conversation(
            seed: plan.seed,
            speakers: plan.speakers,
            overlap: plan.overlap,
            from: frame + 1
        )
    }

    mutating func endConversation() { conversation = nil }

    mutating func forgetLateness() {
        lateness = Samples()
        skipped = 0
    }

    private func due(_ place: Int64) -> Int64 { start + place * Self.frame / Int64(plan.participants) }

    /// Sends all that is due.
    mutating func speak(_ people: [Participant], tally: inout VoiceTally, clock: () -> Int64) {
        let now = clock()
        let late = now - due(next)
        guard late >= 0 else { return }
        lateness.add(late)
        let count = Int64(plan.participants)
        let last = (now - start) * count / Self.frame
        while next <= last {
            let frame = next / count
            let place = Int(next % count)
            next += 1
            if place == 0, let turn = conversation?.advance(to: frame) { tally.begin(turn) }
            let person = people[place]
            guard person.isJoined, let content = content(of: person, frame: frame, clock: clock) else {
                continue
            }
            guard now - due(next) < Self.patience else {
                skipped += 1
                continue
            }
            guard person.client.speak(content, frame: frame) else { continue }
            sent += 1
            if case .voice(_, let stamp, _) = content {
                tally.sent(Int(stamp.source), frame: frame, at: stamp.sentAt)
            }
        }
    }

    /// nil: no packet in this frame.
    private mutating func content(of person: Participant, frame: Int64, clock: () -> Int64)
        -> VoiceSource.Content?
    {
        if let speaker = person.speaker, conversation?.isSpeaking(speaker, in: frame) == true,
            let level = conversation?.level()
        {
            let stamp = Stamp(
                sentAt: clock(),
                source: UInt16(truncatingIfNeeded: speaker),
                number: UInt32(truncatingIfNeeded: frame)
            )
            return .voice(level: level, stamp: stamp, bytes: plan.payloadBytes)
        }
        switch plan.silence {
        case .full:
            return .noise(level: plan.silentLevel, bytes: plan.payloadBytes)
        case .dtx:
            // Spread over the 400 ms.
            let isDue = (frame + Int64(person.index)) % AudioSource.silenceEvery == 0
            return isDue ? .silence(level: plan.silentLevel) : nil
        }
    }
}
