// One SSRC that a client sends: its numbers and its headers. Must not know payloads, keys or clocks.
import RTP

/// What stands in memory, ready for protection.
struct OutgoingPacket {
    /// Bytes of the fixed header and its extension.
    var header: Int
    /// All bytes.
    var length: Int
    /// Extended sequence number.
    var index: UInt64
}

struct OutgoingStream {
    /// Room that a packet and its protection need, bytes.
    static let packetBytes = 1500
    private static let extensionBytes = 40

    let ssrc: UInt32
    let clockRate: Int64
    private let payloadType: UInt8
    private let mid: [UInt8]
    /// Empty: no simulcast.
    private let rid: [UInt8]
    private let timestampBase: UInt32
    /// Extended sequence number of the next packet: begins below 32768, so that a receiver cannot misjudge a wrap.
    private(set) var index: UInt64
    private(set) var packets: UInt32 = 0
    private(set) var octets: UInt32 = 0

    init(payloadType: UInt8, clockRate: Int64, mid: String, rid: String = "") {
        ssrc = .random(in: 1 ... .max)
        self.clockRate = clockRate
        self.payloadType = payloadType
        self.mid = Array(mid.utf8)
        self.rid = Array(rid.utf8)
        timestampBase = .random(in: .min ... .max)
        index = UInt64(UInt16.random(in: 0..<0x8000))
    }

    /// RTP time at `elapsed` nanoseconds after the first frame.
    func timestamp(at elapsed: Int64) -> UInt32 {
        timestampBase &+ UInt32(truncatingIfNeeded: elapsed / 1000 * clockRate / 1_000_000)
    }

    /// Writes the header of the next packet; its length.
    /// - Parameter level: as on the wire (RFC 6464 §3); nil: no audio.
    func writeHeader(
        _ packet: UnsafeMutablePointer<UInt8>,
        marker: Bool,
        timestamp: UInt32,
        level: UInt8?
    ) -> Int {
        RTPWriter.writeFixedHeader(
            to: packet,
            marker: marker,
            payloadType: payloadType,
            sequenceNumber: UInt16(truncatingIfNeeded: index),
            timestamp: timestamp,
            ssrc: ssrc
        )
        RTPWriter.setExtensionBit(packet)
        var writer = ExtensionWriter(at: packet + 12, capacity: Self.extensionBytes, form: .oneByte)
        if let level { writer.append8(id: LocalDescription.audioLevelID, level) }
        Self.append(mid, id: LocalDescription.midID, to: &writer)
        if !rid.isEmpty { Self.append(rid, id: LocalDescription.ridID, to: &writer) }
        return 12 + writer.finish()
    }

    private static func append(_ text: [UInt8], id: UInt8, to writer: inout ExtensionWriter) {
        text.withUnsafeBufferPointer { text in
            if let base = text.baseAddress { writer.append(id: id, base, count: text.count) }
        }
    }

    /// Counts the packet that has been written.
    mutating func finish(header: Int, payload: Int) -> OutgoingPacket {
        defer { index += 1 }
        packets &+= 1
        octets &+= UInt32(truncatingIfNeeded: payload)
        return OutgoingPacket(header: header, length: header + payload, index: index)
    }
}

/// Frames of one outgoing SSRC.
protocol MediaSource: AnyObject {
    var stream: OutgoingStream { get }
    /// Nanoseconds from one frame to the next.
    var interval: Int64 { get }
    /// The next one, from 0.
    var frame: Int64 { get }
    /// The next frame is to be one that can be decoded by itself.
    func requestKeyFrame()
    /// Writes the packets of the next frame, perhaps none, one by one into `packet` (`OutgoingStream.packetBytes`).
    /// - Parameter sentAt: nanoseconds of the monotonic clock.
    func produce(
        sentAt: Int64,
        into packet: UnsafeMutablePointer<UInt8>,
        send: (OutgoingPacket) -> Void
    )
    /// Leaves the next frame out.
    func skip()
}
