// The structures that the dependency descriptors of one encoding are read with: the newest, and the one before for
// packets that are late. Knows no packet and no layer choice.
import RTP

/// Memory is taken with the first descriptor: most encodings have none.
struct StructureTable {
    private var memory: UnsafeMutablePointer<DependencyStructure>?
    /// The packets that brought them.
    private(set) var start = Int64.min
    private var formerStart = Int64.min
    /// Counts structures.
    private(set) var number: UInt8 = 0
    /// Packets that wait for a structure.
    var unread = 0
    /// Some of them can be read, once there is room for them to wait.
    var hasMore = false

    func free() { memory?.deallocate() }

    /// The sender started over.
    mutating func clear() {
        start = .min
        formerStart = .min
        number &+= 2
        unread = 0
        hasMore = false
        memory?.update(repeating: DependencyStructure(), count: 2)
    }

    var newest: UnsafeMutablePointer<DependencyStructure>? { start == .min ? nil : memory }

    /// The structure that held where this packet belongs; nil: too long ago.
    func structure(at sequence: Int64) -> UnsafeMutablePointer<DependencyStructure>? {
        guard start != .min, let memory else { return nil }
        if sequence >= start { return memory }
        return formerStart != .min && sequence >= formerStart ? memory + 1 : nil
    }

    /// nil: too long ago.
    @inline(__always)
    subscript(_ wanted: UInt8) -> UnsafeMutablePointer<DependencyStructure>? {
        guard let memory else { return nil }
        if wanted == number { return memory }
        return wanted == number &- 1 ? memory + 1 : nil
    }

    /// Which structure the descriptor of this packet was read with.
    @inline(__always)
    func number(of read: DependencyDescriptor, sequence: Int64) -> UInt8 {
        if read.hasStructure && sequence != start { return number &- 2 }
        return sequence >= start ? number : number &- 1
    }

    /// Reads the descriptor of this packet with the structure of its place.
    /// - Parameter isNewest: no packet with a higher number came before.
    /// - Returns: nil: malformed, or its structure did not come.
    @inline(__always)
    mutating func read(
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        sequence: Int64,
        isNewest: Bool
    ) -> DependencyDescriptor? {
        let memory = memory ?? begin()
        // Flags: a structure follows (AV1 RTP specification, A.8.2).
        if length > 3 && bytes[3] & 0x80 != 0 { return readStructure(bytes, length, sequence, memory) }
        if sequence >= start {
            return DependencyDescriptor.parse(
                bytes,
                length: length,
                structure: &memory[0],
                isNewest: isNewest
            )
        }
        guard sequence >= formerStart else { return nil }
        return DependencyDescriptor.parse(bytes, length: length, structure: &memory[1], isNewest: false)
    }

    @inline(never)
    private mutating func readStructure(
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        _ sequence: Int64,
        _ memory: UnsafeMutablePointer<DependencyStructure>
    ) -> DependencyDescriptor? {
        var structure = DependencyStructure()
        guard
            let read = DependencyDescriptor.parse(
                bytes,
                length: length,
                structure: &structure,
                isNewest: true
            )
        else { return nil }
        guard sequence > start else { return read }
        memory[1] = memory[0]
        memory[0] = structure
        formerStart = start
        start = sequence
        number &+= 1
        return read
    }

    @inline(never)
    private mutating func begin() -> UnsafeMutablePointer<DependencyStructure> {
        let new = UnsafeMutablePointer<DependencyStructure>.allocate(capacity: 2)
        new.initialize(repeating: DependencyStructure(), count: 2)
        memory = new
        return new
    }
}
