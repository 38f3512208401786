// The last second or two of one encoding, stored once and shared by all its subscribers: payload bytes in a byte
// ring, what was read from headers in an index by sequence number. Knows nothing of who reads it.
import RTP

/// One packet as it is kept: everything a subscriber's copy is made from.
struct PacketRecord {
    struct Flags: OptionSet {
        let rawValue: UInt16
        static let marker = Flags(rawValue: 1)
        /// Came again through RTX after a NACK.
        static let recovered = Flags(rawValue: 2)
        static let audioLevel = Flags(rawValue: 4)
        static let voice = Flags(rawValue: 8)
        static let captureTime = Flags(rawValue: 16)
        static let captureOffset = Flags(rawValue: 32)
        static let orientation = Flags(rawValue: 64)
        static let playoutDelay = Flags(rawValue: 128)
        static let contentType = Flags(rawValue: 256)
        /// Nothing but padding: it has a number and no payload, and nobody gets it.
        static let padding = Flags(rawValue: 512)
        /// `indications` says which decode targets it belongs to.
        static let indications = Flags(rawValue: 1024)
        /// Its dependency descriptor needs a structure that has not come yet: nobody gets it before.
        static let unread = Flags(rawValue: 2048)
        /// A color-space element is kept behind the payload, with HDR metadata or without.
        static let colorSpace = Flags(rawValue: 4096)
        static let highDynamicRange = Flags(rawValue: 8192)
        /// Nobody gets a packet with one of these.
        static let unsendable = Flags(rawValue: 512 | 2048)
    }

    /// Extended sequence number; `Int64.min`: free.
    var sequence: Int64 = .min
    /// Position in the endless byte stream of the ring.
    var position: Int = 0
    /// The same from the ring's first byte on, where the payload lies.
    fileprivate(set) var offset: UInt32 = 0
    var arrival: Instant = .zero
    var captureTime: UInt64 = 0
    var captureOffset: Int64 = 0
    var timestamp: UInt32 = 0
    var playoutDelay: UInt32 = 0
    var length: UInt16 = 0
    var flags: Flags = []
    /// The publisher's payload type of the media, also where it came by RTX.
    var payloadType: UInt8 = 0
    var audioLevel: UInt8 = 0
    var orientation: UInt8 = 0
    var contentType: UInt8 = 0
    /// Which structure of the stream its dependency descriptor was read with.
    var structureNumber: UInt8 = 0
    /// Where the parts of the dependency descriptor lie that is kept behind the payload.
    var descriptor = DescriptorLayout()
    /// Of the dependency descriptor, and how far behind it the last frame of each of the first four chains is, eight
    /// bits each.
    var frameNumber: UInt16 = 0
    var chainDifferences: UInt32 = 0
    /// Frames that it refers to: bit i for the one i + 1 before it; all ones where one is farther back.
    var references: UInt64 = 0
    /// Decode targets that the sender made then.
    var activeTargets: UInt32 = 0
    /// Two bits for each decode target.
    var indications: UInt64 = 0
    var frame = FrameInfo()
}

extension PacketRecord.Flags {
    /// Bytes of the color-space element: 4, with HDR metadata 28.
    @inline(__always)
    var colorSpaceLength: Int { contains(.colorSpace) ? contains(.highDynamicRange) ? 28 : 4 : 0 }
}

struct PacketHistory: ~Copyable {
    private let records: UnsafeMutablePointer<PacketRecord>
    private let bytes: UnsafeMutablePointer<UInt8>
    private let recordMask: Int
    private let byteCapacity: Int
    /// Where the next byte goes in the endless stream.
    private(set) var end = 0

    /// - Parameters:
    ///   - records: packets, rounded up to a power of two.
    ///   - bytes: payload bytes, at least 64 kB.
    init(records count: Int, bytes byteCount: Int) {
        var size = 16
        while size < count { size *= 2 }
        recordMask = size - 1
        // The longest length that a record can hold must fit.
        byteCapacity = max(byteCount, 1 << 16)
        records = .allocate(capacity: size)
        records.initialize(repeating: PacketRecord(), count: size)
        bytes = .allocate(capacity: byteCapacity)
    }

    deinit {
        records.deallocate()
        bytes.deallocate()
    }

    static let audioRecords = 128
    static let audioBytes = 64 << 10
    static let videoRecords = 1024
    static let videoBytes = 768 << 10

    static func records(for kind: MediaKind) -> Int { kind == .audio ? audioRecords : videoRecords }

    init(for kind: MediaKind) {
        self.init(
            records: PacketHistory.records(for: kind),
            bytes: kind == .audio ? PacketHistory.audioBytes : PacketHistory.videoBytes
        )
    }

    var byteCount: Int { byteCapacity + (recordMask + 1) * MemoryLayout<PacketRecord>.stride }

    /// Whether this packet is already here.
    @inline(__always)
    func contains(_ sequence: Int64) -> Bool { record(sequence) != nil }

    /// The record of a packet that is still whole, nil where it never came or was overwritten.
    @inline(__always)
    func record(_ sequence: Int64) -> UnsafeMutablePointer<PacketRecord>? {
        let record = records + (Int(truncatingIfNeeded: sequence) & recordMask)
        guard record.pointee.sequence == sequence, isWhole(record) else { return nil }
        return record
    }

    /// Whether the payload of this record is not overwritten yet.
    @inline(__always)
    func isWhole(_ record: UnsafeMutablePointer<PacketRecord>) -> Bool {
        record.pointee.position + byteCapacity >= end
    }

    /// Packets that are remembered at most.
    var capacity: Int { recordMask + 1 }

    @inline(__always)
    func payload(_ record: UnsafeMutablePointer<PacketRecord>) -> UnsafePointer<UInt8> {
        UnsafePointer(bytes + Int(record.pointee.offset))
    }

    /// The dependency descriptor of this record, `record.descriptor.length` bytes.
    @inline(__always)
    func descriptor(_ record: UnsafeMutablePointer<PacketRecord>) -> UnsafePointer<UInt8> {
        payload(record) + Int(record.pointee.length)
    }

    /// The color space of this record, `record.flags.colorSpaceLength` bytes.
    @inline(__always)
    func colorSpace(_ record: UnsafeMutablePointer<PacketRecord>) -> UnsafePointer<UInt8> {
        descriptor(record) + Int(record.pointee.descriptor.length)
    }

    /// Copies a payload of `record.length` bytes in, the descriptor and the color space behind it; `record.position` is
    /// set here.
    @inline(__always)
    mutating func store(
        _ record: PacketRecord,
        payload: UnsafePointer<UInt8>,
        descriptor: UnsafePointer<UInt8>? = nil,
        colorSpace: UnsafePointer<UInt8>? = nil
    ) -> UnsafeMutablePointer<PacketRecord> {
        let extra = descriptor == nil ? 0 : Int(record.descriptor.length)
        let size = Int(record.length) + extra + record.flags.colorSpaceLength
        // A packet is never split: what is left of the ring's end is skipped.
        let start = end % byteCapacity
        if start + size > byteCapacity { end += byteCapacity - start }
        let offset = end % byteCapacity
        let place = bytes + offset
        place.update(from: payload, count: Int(record.length))
        if let descriptor { (place + Int(record.length)).update(from: descriptor, count: extra) }
        if let colorSpace {
            (place + Int(record.length) + extra).update(
                from: colorSpace,
                count: record.flags.colorSpaceLength
            )
        }
        let slot = records + (Int(truncatingIfNeeded: record.sequence) & recordMask)
        slot.pointee = record
        slot.pointee.position = end
        slot.pointee.offset = UInt32(truncatingIfNeeded: offset)
        // No two packets have the same position.
        end += max(size, 1)
        return slot
    }
}
