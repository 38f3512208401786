// Who is heard where more people may speak than anybody has slots: a few places, given by the audio levels of packets.
// Knows ids and levels, no packet, no slot and no publication.
import RTP

/// Loudest-N. A voice takes a free place, or that of whoever has been silent longest, with its first packet; one that
/// speaks is replaced only by one that stays louder. Who has a place keeps it, silent or not, until somebody needs it.
struct LoudestVoices {
    private struct Place {
        var id: UInt64 = 0
        var envelope: Int32 = 0
        var lastVoiceAt = VoiceActivity.never
        /// When it was taken, or was last moved up.
        var since = VoiceActivity.never
        var rank = 0
        var isTaken = false
    }

    /// What a packet did.
    enum OnVoice: Equatable {
        /// It is of somebody who has a place; the order is as it was.
        case holds
        /// The same, and the order of the places changed.
        case reranked
        /// It brought a place, free before or that of another.
        case entered(replacing: UInt64?)
        case notLoudest
    }

    private var places = InlineArray<10, Place>(repeating: Place())
    /// Places by rank: those who speak first, in the order in which they are heard where slots are few; then the
    /// silent ones, by when they spoke.
    private var order = InlineArray<10, Int8>(repeating: 0)
    private(set) var count = 0
    /// Places that may be taken, 0: everybody is heard.
    private(set) var limit = 0

    /// A pause between words is no silence.
    static let silence = Interval.milliseconds(300)
    /// By how much a voice must be louder than one that speaks to replace it, in 1/16 dB …
    private static let margin: Int32 = 5 << 4
    /// … and for how long.
    private static let overtaking = Interval.milliseconds(60)
    /// For this long a voice is not replaced by a louder one.
    private static let tenure = Interval.seconds(1)

    var isActive: Bool { limit > 0 }

    /// Who has which rank.
    func id(rank: Int) -> UInt64 { places[Int(order[rank])].id }
    /// The place that has this rank.
    func place(rank: Int) -> Int8 { order[rank] }
    func rank(of place: Int8) -> Int { places[Int(place)].rank }

    // MARK: The road

    /// Whether a packet with this level byte would be heard if it is authentic; then it must be read to find out.
    @inline(__always)
    func admits(_ voice: VoiceActivity, _ byte: UInt8, at now: Instant) -> Bool {
        if voice.place >= 0 { return true }
        guard voice.isVoice(byte) else { return false }
        return count < limit || longestSilent(at: now) != nil
            || weakest(below: voice.envelope(after: byte), at: now) != nil
    }

    /// An authentic packet of `voice`, which has noted it.
    /// - Parameter isVoice: what the note returned.
    mutating func hear(
        _ voice: inout VoiceActivity,
        id: UInt64,
        isVoice: Bool,
        at now: Instant
    ) -> OnVoice {
        guard voice.place < 0 else { return hearHolder(&voice, isVoice: isVoice, at: now) }
        guard isVoice else {
            voice.louderSince = VoiceActivity.never
            return .notLoudest
        }
        if count < limit, let free = freePlace {
            take(free, &voice, id, at: now)
            return .entered(replacing: nil)
        }
        if let silent = longestSilent(at: now) {
            return .entered(replacing: replace(silent, by: &voice, id, at: now))
        }
        guard let weakest = weakest(below: voice.envelope, at: now) else {
            voice.louderSince = VoiceActivity.never
            return .notLoudest
        }
        guard isOvertaking(&voice, at: now) else { return .notLoudest }
        return .entered(replacing: replace(weakest, by: &voice, id, at: now))
    }

    private mutating func hearHolder(_ voice: inout VoiceActivity, isVoice: Bool, at now: Instant) -> OnVoice
    {
        let place = Int(voice.place)
        places[place].envelope = voice.envelope
        guard isVoice else {
            voice.louderSince = VoiceActivity.never
            return .holds
        }
        let wasSilent = isSilent(place, at: now)
        places[place].lastVoiceAt = now
        let rank = places[place].rank
        guard rank > 0 else { return .holds }
        let above = Int(order[rank - 1])
        if wasSilent || isSilent(above, at: now) { return sort(at: now) ? .reranked : .holds }
        guard voice.envelope > places[above].envelope + LoudestVoices.margin,
            now - places[above].since >= LoudestVoices.tenure
        else {
            voice.louderSince = VoiceActivity.never
            return .holds
        }
        guard isOvertaking(&voice, at: now) else { return .holds }
        voice.louderSince = VoiceActivity.never
        places[place].since = now
        put(place, rank: rank - 1)
        put(above, rank: rank)
        return .reranked
    }

    @inline(__always)
    private func isOvertaking(_ voice: inout VoiceActivity, at now: Instant) -> Bool {
        if voice.louderSince == VoiceActivity.never { voice.louderSince = now }
        return now - voice.louderSince >= LoudestVoices.overtaking
    }

    @inline(__always)
    private func isSilent(_ place: Int, at now: Instant) -> Bool {
        now - places[place].lastVoiceAt >= LoudestVoices.silence
    }

    private func longestSilent(at now: Instant) -> Int? {
        var found: Int?
        var spoke = now - LoudestVoices.silence
        for rank in 0..<count where places[Int(order[rank])].lastVoiceAt <= spoke {
            found = Int(order[rank])
            spoke = places[Int(order[rank])].lastVoiceAt
        }
        return found
    }

    /// The quietest of those who may be replaced, if `envelope` stands out of it.
    private func weakest(below envelope: Int32, at now: Instant) -> Int? {
        var found: Int?
        var lowest = envelope - LoudestVoices.margin
        for rank in 0..<count {
            let place = Int(order[rank])
            guard places[place].envelope < lowest, now - places[place].since >= LoudestVoices.tenure else {
                continue
            }
            found = place
            lowest = places[place].envelope
        }
        return found
    }

    // MARK: Control path

    /// Sets how many are heard. Those with the lowest ranks lose their places: their ids are returned, and their
    /// voices must be told.
    mutating func resize(to new: Int) -> [UInt64] {
        limit = max(0, min(new, Limits.Audio.places))
        var lost: [UInt64] = []
        while count > limit {
            lost.append(id(rank: count - 1))
            release(order[count - 1])
        }
        return lost
    }

    /// Gives a free place to somebody who spoke before there were places.
    mutating func admit(_ voice: inout VoiceActivity, id: UInt64, at now: Instant) {
        guard voice.place < 0, count < limit, let free = freePlace else { return }
        take(free, &voice, id, at: now)
    }

    /// Whoever had this place mutes, leaves or is not counted any more.
    mutating func release(_ place: Int8) {
        guard place >= 0, places[Int(place)].isTaken else { return }
        places[Int(place)].isTaken = false
        for rank in places[Int(place)].rank..<(count - 1) { put(Int(order[rank + 1]), rank: rank) }
        count -= 1
    }

    private var freePlace: Int? {
        for place in 0..<Limits.Audio.places where !places[place].isTaken { return place }
        return nil
    }

    private mutating func take(_ place: Int, _ voice: inout VoiceActivity, _ id: UInt64, at now: Instant) {
        places[place] = Place(
            id: id,
            envelope: voice.envelope,
            lastVoiceAt: voice.lastVoiceAt,
            since: now,
            isTaken: true
        )
        put(place, rank: count)
        count += 1
        voice.place = Int8(place)
        voice.louderSince = VoiceActivity.never
        _ = sort(at: now)
    }

    private mutating func replace(
        _ place: Int,
        by voice: inout VoiceActivity,
        _ id: UInt64,
        at now: Instant
    ) -> UInt64 {
        let old = places[place].id
        release(Int8(place))
        take(place, &voice, id, at: now)
        return old
    }

    private mutating func put(_ place: Int, rank: Int) {
        order[rank] = Int8(place)
        places[place].rank = rank
    }

    /// Those who speak first, as they were; then the silent ones, the longest silent last. Returns whether anything
    /// moved.
    private mutating func sort(at now: Instant) -> Bool {
        var hasMoved = false
        for rank in 1..<max(count, 1) {
            let place = Int(order[rank])
            var to = rank
            while to > 0 && isBefore(place, Int(order[to - 1]), at: now) {
                put(Int(order[to - 1]), rank: to)
                to -= 1
            }
            guard to != rank else { continue }
            put(place, rank: to)
            hasMoved = true
        }
        return hasMoved
    }

    private func isBefore(_ a: Int, _ b: Int, at now: Instant) -> Bool {
        guard isSilent(b, at: now) else { return false }
        return !isSilent(a, at: now) || places[a].lastVoiceAt > places[b].lastVoiceAt
    }
}
