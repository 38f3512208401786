// Packets of one subscriber that are decided and numbered and wait for their turn: what the pacer holds back. Knows no
// rate.
import RTP

/// A packet that waits. Its payload stays in the publisher's history, and whoever sends it looks whether it is still there.
struct WaitingPacket {
    var departure: Departure
    /// Of the slot when it was numbered: what was held back before a switch or a stop is not sent after it.
    var epoch: UInt32
    private let takenBack: UInt32
    var incoming: Int64
    var position: Int
    /// Bytes on the wire.
    var size: Int

    init(_ departure: Departure, size: Int) {
        self.departure = departure
        self.size = size
        epoch = departure.stream.pointee.epoch
        takenBack = departure.stream.pointee.takenBack
        incoming = departure.record.pointee.sequence
        position = departure.record.pointee.position
    }

    /// Nothing has changed that would make it useless.
    var isWanted: Bool { departure.stream.pointee.epoch == epoch }

    /// Its number was not given to another packet meanwhile.
    var ownsNumber: Bool { departure.stream.pointee.takenBack == takenBack }

    /// The history still has it. To be asked of a packet that is wanted: others may be of a source that is gone.
    var isStored: Bool {
        departure.source.pointee.history.record(incoming).map { $0 == departure.record } ?? false
            && departure.record.pointee.position == position
    }
}

/// First in, first out; grows up to a limit, and `trim` gives the memory back.
struct WaitingPackets: ~Copyable {
    private var packets: UnsafeMutablePointer<WaitingPacket>?
    private var capacity = 0
    private var head = 0
    private(set) var count = 0
    /// On the wire.
    private(set) var bytes = 0

    private static let firstCapacity = 32

    init() {}

    deinit { packets?.deallocate() }

    var isEmpty: Bool { count == 0 }

    var first: WaitingPacket? { count == 0 ? nil : packets?[head] }

    /// False: as many wait as may.
    mutating func append(_ packet: WaitingPacket) -> Bool {
        if count == capacity {
            guard capacity < Limits.Bandwidth.waitingPackets else { return false }
            grow()
        }
        packets?[(head + count) & (capacity - 1)] = packet
        count += 1
        bytes += packet.size
        return true
    }

    mutating func removeFirst() {
        guard let first else { return }
        head = (head + 1) & (capacity - 1)
        count -= 1
        bytes -= first.size
    }

    /// The slot is about to be freed.
    mutating func remove(_ stream: UnsafeMutablePointer<SendStream>) {
        guard let packets else { return }
        var kept = 0
        for i in 0..<count {
            let packet = packets[(head + i) & (capacity - 1)]
            guard packet.departure.stream != stream else {
                bytes -= packet.size
                continue
            }
            packets[(head + kept) & (capacity - 1)] = packet
            kept += 1
        }
        count = kept
    }

    /// To be called now and then: most sessions never let a packet wait.
    mutating func trim() {
        guard count == 0, let packets else { return }
        packets.deallocate()
        self.packets = nil
        capacity = 0
        head = 0
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<WaitingPacket>.allocate(
            capacity: max(WaitingPackets.firstCapacity, capacity * 2)
        )
        if let packets {
            for i in 0..<count { (larger + i).initialize(to: packets[(head + i) & (capacity - 1)]) }
            packets.deallocate()
        }
        packets = larger
        capacity = max(WaitingPackets.firstCapacity, capacity * 2)
        head = 0
    }
}
