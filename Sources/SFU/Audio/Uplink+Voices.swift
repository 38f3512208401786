// The levels of incoming audio; those that a sender does not give are measured. Who is heard is decided in Room+Voices.
import RTP

extension Uplink {
    /// Notes the level of a decrypted packet, and measures it where the sender does not give it. Returns whether the
    /// packet is heard.
    @inline(__always)
    func hear(
        _ publication: Publication,
        _ values: inout ExtensionValues,
        number: UInt16,
        codec: CodecName,
        _ payload: UnsafePointer<UInt8>,
        length: Int,
        at now: Instant
    ) -> Bool {
        // What comes late says nothing new.
        guard publication.voice.open(number) else {
            return !room.voices.isActive || publication.isChosen || publication.voice.place >= 0
        }
        if !values.has(.audioLevel) { measure(publication, &values, codec, payload, length) }
        guard values.has(.audioLevel) else {
            return !room.voices.isActive || publication.isChosen || publication.voice.place >= 0
        }
        return room.hear(publication, values.audioLevelByte, at: now)
    }

    /// Writes the level into `values`, so that subscribers get it, too.
    @inline(never)
    private func measure(
        _ publication: Publication,
        _ values: inout ExtensionValues,
        _ codec: CodecName,
        _ payload: UnsafePointer<UInt8>,
        _ length: Int
    ) {
        var opus = payload
        var size = length
        if codec == .red {
            guard let red = REDPayload(payload, length: length) else { return }
            opus = payload + red.primary.offset
            size = red.primary.length
        }
        guard size > 0, !publication.isMuted else { return }
        if publication.meter == nil { publication.meter = OpusLevelMeter() }
        guard let level = publication.meter?.measure(opus, length: size) else { return }
        values.audioLevelByte = level
        values.present |= 1 << UInt16(HeaderExtension.audioLevel.rawValue)
    }
}
