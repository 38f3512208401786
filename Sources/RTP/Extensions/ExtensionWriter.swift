// Writes one header-extension block (RFC 8285) per outgoing packet. Must not know which extensions a peer
// wants.

/// Appends elements in place; `finish` closes the block. The writer is used up then.
///
///     var writer = ExtensionWriter(at: packet + 12, capacity: room, form: .oneByte)
///     writer.append16(id: 3, transportSequence)
///     let bytes = writer.finish()          // 0: nothing was written, leave the X bit clear
public struct ExtensionWriter {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    @usableFromInline let capacity: Int
    public let form: ExtensionForm
    @usableFromInline var end: Int

    /// `base` is where the block's profile goes, 12 + 4·CSRC bytes into the packet.
    @inlinable
    public init(at base: UnsafeMutablePointer<UInt8>, capacity: Int, form: ExtensionForm) {
        self.base = base
        self.capacity = capacity
        self.form = form
        end = 4
    }

    /// Bytes written so far with the four of the block's header; the next element starts here.
    @inlinable
    public var length: Int { end }

    /// Appends `count` bytes. false: id or length do not fit the form, or the room is used up (then nothing
    /// changes). The value lies at `length - count` afterwards.
    @inlinable
    @discardableResult
    public mutating func append(id: UInt8, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        guard let value = open(id, count) else { return false }
        // Mids have a byte or two: not worth a call.
        if count == 1 {
            value[0] = bytes[0]
        } else if count == 2 {
            value[0] = bytes[0]
            value[1] = bytes[1]
        } else {
            value.update(from: bytes, count: count)
        }
        return true
    }

    @inlinable
    @discardableResult
    public mutating func append8(id: UInt8, _ value: UInt8) -> Bool {
        guard let place = open(id, 1) else { return false }
        place[0] = value
        return true
    }

    @inlinable
    @discardableResult
    public mutating func append16(id: UInt8, _ value: UInt16) -> Bool {
        guard let place = open(id, 2) else { return false }
        ByteOrder.store16(value, place, 0)
        return true
    }

    @inlinable
    @discardableResult
    public mutating func append24(id: UInt8, _ value: UInt32) -> Bool {
        guard let place = open(id, 3) else { return false }
        ByteOrder.store24(value, place, 0)
        return true
    }

    /// Reserves an element of `count` bytes and returns where its value goes.
    /// nil: id or length do not fit the form, or the room is used up (then nothing changes).
    @inlinable
    public mutating func reserve(id: UInt8, count: Int) -> UnsafeMutablePointer<UInt8>? {
        open(id, count)
    }

    @inlinable @inline(__always)
    mutating func open(_ id: UInt8, _ count: Int) -> UnsafeMutablePointer<UInt8>? {
        guard form.fits(id: id, length: count) else { return nil }
        let header = form == .oneByte ? 1 : 2
        // The padding of `finish` must fit too.
        guard (end &+ header &+ count &+ 3) & ~3 <= capacity else { return nil }
        let place = base + end
        if form == .oneByte {
            place[0] = id &<< 4 | UInt8(truncatingIfNeeded: count &- 1)
        } else {
            place[0] = id
            place[1] = UInt8(truncatingIfNeeded: count)
        }
        end = end &+ header &+ count
        return place + header
    }

    /// Pads to 32 bits, writes profile and length. Returns the bytes of the whole block; 0 when it is empty.
    @inlinable
    public mutating func finish() -> Int {
        guard end > 4 else { return 0 }
        let padding = -end & 3
        if padding > 0 { base[end] = 0 }
        if padding > 1 { base[end &+ 1] = 0 }
        if padding > 2 { base[end &+ 2] = 0 }
        end = end &+ padding
        let profile = form == .oneByte ? ExtensionForm.oneByteProfile : ExtensionForm.twoByteProfile
        ByteOrder.store32(UInt32(profile) << 16 | UInt32(truncatingIfNeeded: end &- 4) >> 2, base, 0)
        return end
    }
}
