// Checks and decrypts single packets of the peer's, in any order: for clients that look at a sample of what they are sent. No
// stream state and no replay window; whoever guards a server takes `SRTPContext`.
import RTP

public final class SRTPSampler {
    private let receiver: SRTPReceiver
    private let reportReceiver: SRTPReceiver
    /// The decrypted packet.
    private let plain: UnsafeMutablePointer<UInt8>

    /// Takes the keys of the peer from a context. nil: no memory.
    public init?(of context: SRTPContext) {
        let profile = context.profile
        guard let receiver = context.makeRemote(.rtp, { SRTPReceiver(profile: profile, keys: $0) }) else {
            return nil
        }
        guard let reports = context.makeRemote(.rtcp, { SRTPReceiver(profile: profile, keys: $0) }) else {
            receiver.free()
            return nil
        }
        self.receiver = receiver
        reportReceiver = reports
        plain = .allocate(capacity: Limits.SRTP.packetBytes)
    }

    deinit {
        receiver.free()
        reportReceiver.free()
        plain.deallocate()
    }

    /// - Parameter index: ROC << 16 | sequence number (RFC 3711 §3.3.1).
    /// - Returns: The decrypted packet, valid until the next call; nil: not authentic.
    public func open(
        _ packet: UnsafePointer<UInt8>,
        headerLength: Int,
        length: Int,
        ssrc: UInt32,
        index: UInt64
    ) -> UnsafeBufferPointer<UInt8>? {
        guard length >= 0, length <= Limits.SRTP.packetBytes else { return nil }
        plain.update(from: packet, count: length)
        let clear = receiver.open(plain, headerLength: headerLength, length: length, ssrc: ssrc, index: index)
        return clear > 0 ? UnsafeBufferPointer(start: plain, count: clear) : nil
    }

    /// The same for a compound RTCP packet, which bears its index.
    public func openRTCP(_ packet: UnsafePointer<UInt8>, length: Int) -> UnsafeBufferPointer<UInt8>? {
        guard length <= Limits.SRTP.packetBytes,
            let index = reportReceiver.reportIndex(packet, length: length)
        else { return nil }
        plain.update(from: packet, count: length)
        let clear = reportReceiver.openRTCP(plain, length: length, index: index)
        return clear > 0 ? UnsafeBufferPointer(start: plain, count: clear) : nil
    }
}
