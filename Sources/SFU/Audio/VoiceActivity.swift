// How loud one publication is and whether that is a voice, from the levels in its packets (RFC 6464). Knows no room
// and no other voice.
import RTP

struct VoiceActivity {
    /// Follows the peaks of the loudness, quickly up and slowly down, so that syllables do not show. In 1/16 dB above
    /// −127 dBov.
    private(set) var envelope: Int32 = 0
    /// The noise between words, in 1/16 dB above −127 dBov.
    private var floor: Int32 = -1
    private(set) var lastVoiceAt = VoiceActivity.never
    /// Its place among the loudest of the room, −1: none.
    var place: Int8 = -1
    /// Its place on the board of those who spoke lately, −1: none.
    var talker: Int16 = -1
    /// Since when it has been louder than the voice that it could replace.
    var louderSince = VoiceActivity.never
    /// The newest number that was authentic.
    private(set) var opened: UInt16 = 0
    private var hasOpened = false

    static let never = Instant(microseconds: .min / 2)
    /// Louder than this counts where the sender says that it is speech: −60 dBov.
    private static let speech: Int32 = 67
    /// And this much more where it does not: not every sender sets the V bit.
    private static let unmarked: Int32 = 10
    /// A voice stands out of the noise by this much, dB.
    private static let aboveFloor: Int32 = 8
    /// What is louder all the time is no noise: −50 dBov.
    private static let loudestFloor: Int32 = 77
    /// Per packet, 1/16 dB: 12 dB a second. Any pause brings it down at once.
    private static let floorRise: Int32 = 4
    /// Per packet, 1/16 dB: 12 dB a second.
    private static let envelopeFall: Int32 = 4
    /// The envelope is never further below a packet, 1/16 dB.
    private static let envelopeLag: Int32 = 20 << 4

    /// Whether a packet with this byte, V bit and −dBov, is part of speech.
    @inline(__always)
    func isVoice(_ byte: UInt8) -> Bool {
        let loudness = 127 - Int32(byte & 0x7f)
        let floor = min(self.floor >> 4, VoiceActivity.loudestFloor) + VoiceActivity.aboveFloor
        let threshold = max(VoiceActivity.speech, floor) + (byte & 0x80 != 0 ? 0 : VoiceActivity.unmarked)
        return loudness >= threshold
    }

    /// `envelope` after a packet with this byte.
    @inline(__always)
    func envelope(after byte: UInt8) -> Int32 {
        let loudness = (127 - Int32(byte & 0x7f)) << 4
        guard loudness > envelope else { return max(loudness, envelope - VoiceActivity.envelopeFall) }
        return max(envelope + (loudness - envelope + 3) / 4, loudness - VoiceActivity.envelopeLag)
    }

    /// Notes an authentic packet. Returns whether it is part of speech.
    @inline(__always)
    mutating func note(_ byte: UInt8, at now: Instant) -> Bool {
        let isVoice = isVoice(byte)
        measure(byte)
        if isVoice { lastVoiceAt = now }
        return isVoice
    }

    /// Notes a packet that was left out unread: nobody knows whether it is authentic, so it is no voice.
    @inline(__always)
    mutating func noteUnread(_ byte: UInt8) {
        measure(byte)
        louderSince = VoiceActivity.never
    }

    @inline(__always)
    private mutating func measure(_ byte: UInt8) {
        envelope = envelope(after: byte)
        let loudness = (127 - Int32(byte & 0x7f)) << 4
        // The first packet may be speech: it is believed only as far as it excludes nobody.
        let known = floor < 0 ? (VoiceActivity.speech - VoiceActivity.aboveFloor) << 4 : floor
        floor = min(loudness, known + VoiceActivity.floorRise)
    }

    /// A packet with this number was authentic. Returns whether it is the newest.
    @inline(__always)
    mutating func open(_ number: UInt16) -> Bool {
        guard !hasOpened || SequenceNumber.isNewer(number, than: opened) else { return false }
        opened = number
        hasOpened = true
        return true
    }

    /// The numbers begin anew, under another SSRC.
    mutating func restart() { hasOpened = false }

    /// Whether a packet with this number may be left out unread: it is next to one that was authentic, so that the
    /// decryptor's rollover counter stays right (RFC 3711 §3.3.1) and no forged number leads away from the true ones.
    @inline(__always)
    func mayLeaveOut(_ number: UInt16) -> Bool {
        let ahead = number &- opened
        return hasOpened && ahead > 0 && ahead < Limits.Audio.unreadPackets
    }

    /// Between words, 0 silent to 127.
    var noise: UInt8 { UInt8(clamping: floor >> 4) }

    func isSpeaking(at now: Instant) -> Bool { now - lastVoiceAt < .milliseconds(600) }
}
