// Writes one header-extension block (RFC 8285) per outgoing packet. Must not know which extensions a peer wants.

/// Appends elements in place; `finish` closes the block. The writer is used up then.
///
///     var writer = ExtensionWriter(at: packet + 12, capacity: room, form: .oneByte)
///     writer.append16(id: 3, transportSequence)
///     let bytes = writer.finish()          // 0: nothing was written, leave the X bit clear
public struct ExtensionWriter {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    @usableFromInline let capacity: Int
    public let form: ExtensionForm
    /// Bytes written so far with the four of the block's header; the next element starts here.
    public private(set) var length: Int

    /// `base` is where the block's profile goes, 12 + 4·CSRC bytes into the packet.
    public init(at base: UnsafeMutablePointer<UInt8>, capacity: Int, form: ExtensionForm) {
        self.base = base
        self.capacity = capacity
        self.form = form
        length = 4
    }

    /// Appends `count` bytes. false: id or length do not fit the form, or the room is used up (then nothing changes).
    /// The value lies at `length - count` afterwards.
    @discardableResult
    public mutating func append(id: UInt8, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        guard let value = open(id, count) else { return false }
        value.update(from: bytes, count: count)
        return true
    }

    @discardableResult
    public mutating func append8(id: UInt8, _ value: UInt8) -> Bool {
        guard let place = open(id, 1) else { return false }
        place[0] = value
        return true
    }

    @discardableResult
    public mutating func append16(id: UInt8, _ value: UInt16) -> Bool {
        guard let place = open(id, 2) else { return false }
        ByteOrder.store16(value, place, 0)
        return true
    }

    @discardableResult
    public mutating func append24(id: UInt8, _ value: UInt32) -> Bool {
        guard let place = open(id, 3) else { return false }
        ByteOrder.store24(value, place, 0)
        return true
    }

    /// Reserves an element of `count` bytes and returns where its value goes.
    /// nil: id or length do not fit the form, or the room is used up (then nothing changes).
    public mutating func reserve(id: UInt8, count: Int) -> UnsafeMutablePointer<UInt8>? {
        open(id, count)
    }

    @inline(__always)
    private mutating func open(_ id: UInt8, _ count: Int) -> UnsafeMutablePointer<UInt8>? {
        guard form.fits(id: id, length: count) else { return nil }
        let header = form == .oneByte ? 1 : 2
        // The padding of `finish` must fit too.
        guard (length + header + count + 3) & ~3 <= capacity else { return nil }
        let place = base + length
        if form == .oneByte {
            place[0] = id << 4 | UInt8(truncatingIfNeeded: count - 1)
        } else {
            place[0] = id
            place[1] = UInt8(truncatingIfNeeded: count)
        }
        length += header + count
        return place + header
    }

    /// Pads to 32 bits, writes profile and length. Returns the bytes of the whole block; 0 when it is empty.
    public mutating func finish() -> Int {
        guard length > 4 else { return 0 }
        while length & 3 != 0 {
            base[length] = 0
            length += 1
        }
        ByteOrder.store16(
            form == .oneByte ? ExtensionForm.oneByteProfile : ExtensionForm.twoByteProfile, base, 0)
        ByteOrder.store16(UInt16(truncatingIfNeeded: (length - 4) >> 2), base, 2)
        return length
    }
}
