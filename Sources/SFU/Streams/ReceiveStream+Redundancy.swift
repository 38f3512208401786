// RED packets of a publisher (RFC 2198) as the Opus packets that they are, and losses filled from them.
import PeerTransport
import RTP

extension ReceiveStream {
    /// Takes a RED packet in as the Opus packet that it is, and fills losses before it with what it repeats.
    /// - Returns: nil when something waits to be forwarded, else why it goes no further.
    mutating func receiveRedundant(
        _ payload: UnsafePointer<UInt8>,
        length: Int,
        header: RTPHeader,
        values: ExtensionValues,
        codec parameters: StreamCodec,
        at now: Instant
    ) -> DropReason? {
        guard
            let reader = RedundancyReader(
                payload,
                length: length,
                sequenceNumber: header.sequenceNumber,
                timestamp: header.timestamp
            )
        else { return .rtpMalformed }
        guard reader.payloadType == parameters.payloadType else { return .rtpUnknownPayloadType }
        // The primary first: what is older must not look like a loss behind it.
        var drop = receive(
            payload + reader.primaryOffset,
            length: reader.primaryLength,
            sequenceNumber: header.sequenceNumber,
            timestamp: header.timestamp,
            marker: header.marker,
            values: values,
            descriptor: nil,
            codec: parameters,
            by: .itself,
            at: now
        )
        let place = unwrapper.peek(header.sequenceNumber) + origin
        for i in 0..<reader.count where !isBatchFull {
            let frame = reader[i]
            guard reader.missing(frame, before: place, in: history) != nil else { continue }
            let filled = receive(
                payload + frame.offset,
                length: frame.length,
                sequenceNumber: frame.sequenceNumber,
                timestamp: frame.timestamp,
                marker: false,
                values: ExtensionValues(),
                descriptor: nil,
                codec: parameters,
                by: .redundancy,
                at: now
            )
            if filled == nil { drop = nil }
        }
        return drop
    }
}
