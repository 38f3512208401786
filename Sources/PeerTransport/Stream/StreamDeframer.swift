// Datagrams out of a TCP byte stream: 16-bit length and packet (RFC 4571 §2), as ICE-TCP carries them (RFC 6544
// §3). Must not know sockets; of the packets only that the first has to be a STUN message.
import RTP

/// One connection's inbound half.
public final class StreamDeframer {
    public enum OnBytes: Equatable, Sendable {
        case open
        /// The stream cannot be trusted from here on; the connection is to be closed.
        case close(Failure)
    }

    public enum Failure: Equatable, Sendable {
        /// A frame is longer than `Limits.Media.datagramBytes`.
        case frameTooLong
        /// The first frame is not a well-formed STUN binding request.
        case notSTUN
    }

    /// A frame that came in pieces: its two length bytes and what there is of the packet.
    private let partial: UnsafeMutablePointer<UInt8>
    private var partialBytes = 0
    private var failure: Failure?
    /// Whether a valid first frame came; until then the connection is on probation
    /// (`Limits.Stream.firstFrameWithin`).
    public private(set) var hasReceivedFrame = false

    public init() { partial = .allocate(capacity: 2 + Limits.Media.datagramBytes) }

    deinit { partial.deallocate() }

    /// Takes what was read, cut anywhere, and calls `deliver` with each whole packet, which may be changed in
    /// place. Empty frames are skipped. After a failure nothing is delivered any more.
    public func receive(
        _ bytes: UnsafeMutableBufferPointer<UInt8>,
        deliver: (UnsafeMutableBufferPointer<UInt8>) -> Void
    ) -> OnBytes {
        if let failure { return .close(failure) }
        guard let base = bytes.baseAddress else { return .open }
        var offset = 0
        while offset < bytes.count {
            if partialBytes == 0, bytes.count - offset >= 2 {
                // The common case: the frame stands whole in what was read.
                let length = Int(load16(base, offset))
                guard length <= Limits.Media.datagramBytes else { return fail(.frameTooLong) }
                if bytes.count - offset - 2 >= length {
                    let packet = UnsafeMutableBufferPointer(start: base + offset + 2, count: length)
                    offset += 2 + length
                    if let failure = accept(packet, deliver: deliver) { return fail(failure) }
                    continue
                }
            }
            let wanted = partialBytes < 2 ? 2 - partialBytes : 2 + Int(load16(partial, 0)) - partialBytes
            let taken = min(wanted, bytes.count - offset)
            (partial + partialBytes).update(from: base + offset, count: taken)
            partialBytes += taken
            offset += taken
            guard partialBytes >= 2 else { continue }
            let length = Int(load16(partial, 0))
            guard length <= Limits.Media.datagramBytes else { return fail(.frameTooLong) }
            guard partialBytes == 2 + length else { continue }
            partialBytes = 0
            let packet = UnsafeMutableBufferPointer(start: partial + 2, count: length)
            if let failure = accept(packet, deliver: deliver) { return fail(failure) }
        }
        return .open
    }

    private func accept(
        _ packet: UnsafeMutableBufferPointer<UInt8>,
        deliver: (UnsafeMutableBufferPointer<UInt8>) -> Void
    ) -> Failure? {
        guard packet.count > 0, let start = packet.baseAddress else { return nil }
        if !hasReceivedFrame {
            guard let message = STUNMessage(start, length: packet.count), message.kind == .request,
                message.method == STUN.bindingMethod
            else { return .notSTUN }
            hasReceivedFrame = true
        }
        deliver(packet)
        return nil
    }

    private func fail(_ failure: Failure) -> OnBytes {
        self.failure = failure
        return .close(failure)
    }
}
