// The levels of incoming audio: packets that nobody would hear are left out before they are decrypted, and levels that
// a sender does not give are measured. Who is heard is decided in Room+Voices.
import PeerTransport
import RTP

extension Session {
    /// Takes a packet, still encrypted, out of the way if it is of a voice that is not among the loudest. It counts as
    /// received: its number is reported, and nobody asks for it. Returns false where the packet must be read.
    func leaveOut(_ packet: UnsafePointer<UInt8>, length: Int, at now: Instant) -> Bool {
        // RFC 7983 §7; RFC 5761 §4.
        guard length >= RTPHeader.fixedLength, packet[0] & 0xc0 == 0x80,
            !RTPHeader.isRTCP(packet, length: length),
            let header = RTPHeader(parsing: packet, length: length),
            let binding = demultiplexer.find(header.ssrc), !binding.pointee.isRTX
        else { return false }
        let stream = binding.pointee.stream
        guard stream.pointee.kind == .audio, stream.pointee.isStarted else { return false }
        let publication = stream.pointee.publication
        guard publication.voice.place < 0, !publication.isChosen,
            publication.voice.mayLeaveOut(header.sequenceNumber)
        else { return false }
        let type = payloadTypes[header.payloadType]
        guard type.codec >= 0, !type.isRTX else { return false }
        let codec = payloadTypes.codec(type)
        guard codec.payloadType == publication.payloadType else { return false }
        let values = ExtensionValues.parse(packet, header: header, map: extensions)
        guard values.has(.audioLevel) else { return false }
        let byte = values.audioLevelByte
        if !publication.isMuted && room.voices.admits(publication.voice, byte, at: now) { return false }
        publication.voice.noteUnread(byte)
        noteArrival(values, at: now)
        stream.pointee.leaveOut(header, length: length, codec: codec, at: now)
        return true
    }

    /// Transport-wide feedback speaks of every packet that came.
    @inline(__always)
    func noteArrival(_ values: ExtensionValues, at now: Instant) {
        guard sendsTransportFeedback && values.has(.transportSequence) else { return }
        _ = feedback?.record(values.transportSequence, at: now)
        if nextFeedback == .distantFuture { nextFeedback = now + Limits.Media.transportFeedbackInterval }
    }

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
