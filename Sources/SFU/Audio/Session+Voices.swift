// Packets of audio that nobody would hear are left out before they are decrypted. Who is heard is decided in Room+Voices.
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
            let binding = uplink.demultiplexer.find(header.ssrc), !binding.pointee.isRTX
        else { return false }
        let stream = binding.pointee.stream
        guard stream.pointee.kind == .audio, stream.pointee.isStarted else { return false }
        let publication = stream.pointee.publication
        guard publication.voice.place < 0, !publication.isChosen,
            publication.voice.mayLeaveOut(header.sequenceNumber)
        else { return false }
        let type = uplink.payloadTypes[header.payloadType]
        guard type.codec >= 0, !type.isRTX else { return false }
        let codec = uplink.payloadTypes.codec(type)
        guard codec.payloadType == publication.payloadType else { return false }
        let values = ExtensionValues.parse(packet, header: header, map: uplink.extensions)
        guard values.has(.audioLevel) else { return false }
        let byte = values.audioLevelByte
        if !publication.isMuted && room.voices.admits(publication.voice, byte, at: now) { return false }
        publication.voice.noteUnread(byte)
        noteArrival(values, length: length, at: now)
        stream.pointee.leaveOut(header, length: length, codec: codec, at: now)
        return true
    }

    /// Transport-wide feedback speaks of every packet that came.
    @inline(__always)
    func noteArrival(_ values: ExtensionValues, length: Int, at now: Instant) {
        guard sendsTransportFeedback && values.has(.transportSequence) else { return }
        _ = feedback?.record(values.transportSequence, at: now)
        let due = feedbackSchedule.received(length, at: now)
        if due < nextFeedback { nextFeedback = due }
    }
}
