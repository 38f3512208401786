// Writes one STUN message (RFC 8489 §5) into memory that is handed in. Must not know what the message is for.

/// Attributes go on in the order of the calls; what does not fit makes the message fail as a whole.
public struct STUNWriter {
    public enum Kind: UInt16, Sendable {
        case bindingRequest = 0x0001
        case bindingIndication = 0x0011
        case bindingSuccess = 0x0101
        case bindingFailure = 0x0111
    }

    private let bytes: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    /// Bytes written; 0 once something did not fit or could not be signed.
    public private(set) var length: Int

    /// - Parameter transaction: 12 bytes, copied.
    public init(
        _ bytes: UnsafeMutablePointer<UInt8>,
        capacity: Int,
        kind: Kind,
        transaction: UnsafePointer<UInt8>
    ) {
        self.bytes = bytes
        self.capacity = capacity
        guard capacity >= STUN.headerBytes else {
            length = 0
            return
        }
        length = STUN.headerBytes
        store(UInt64(kind.rawValue) << 48 | UInt64(STUN.magicCookie), size: 8, at: 0)
        (bytes + 8).update(from: transaction, count: 12)
    }

    public mutating func add(_ attribute: UInt16, _ value: UnsafeBufferPointer<UInt8>) {
        guard let place = append(attribute, size: value.count), let source = value.baseAddress else { return }
        (bytes + place).update(from: source, count: value.count)
    }

    public mutating func add(_ attribute: UInt16) { _ = append(attribute, size: 0) }

    public mutating func add(_ attribute: UInt16, _ value: UInt32) {
        if let place = append(attribute, size: 4) { store(UInt64(value), size: 4, at: place) }
    }

    public mutating func add(_ attribute: UInt16, _ value: UInt64) {
        if let place = append(attribute, size: 8) { store(value, size: 8, at: place) }
    }

    /// RFC 8489 §14.2.
    public mutating func addXORMappedAddress(_ address: IPAddress, port: UInt16) {
        let type = STUN.Attribute.xorMappedAddress
        guard let place = append(type, size: address.isIPv6 ? 20 : 8) else { return }
        let maskedPort = port ^ UInt16(STUN.magicCookie >> 16)
        store(UInt64(address.isIPv6 ? 2 : 1) << 16 | UInt64(maskedPort), size: 4, at: place)
        guard address.isIPv6 else {
            return store((address.low ^ UInt64(STUN.magicCookie)) & 0xffff_ffff, size: 4, at: place + 4)
        }
        store(address.high ^ load64(bytes, 4), size: 8, at: place + 4)
        store(address.low ^ load64(bytes, 12), size: 8, at: place + 12)
    }

    /// RFC 8489 §14.8, without a reason phrase.
    public mutating func addErrorCode(_ code: STUN.ErrorCode) {
        let (hundreds, rest) = code.rawValue.quotientAndRemainder(dividingBy: 100)
        add(STUN.Attribute.errorCode, UInt32(hundreds << 8 | rest))
    }

    /// RFC 8489 §14.10: the types that made us answer 420.
    public mutating func addUnknownAttributes(of request: STUNMessage) {
        let size = request.unknownRequiredAttributes * 2
        guard var place = append(STUN.Attribute.unknownAttributes, size: size) else { return }
        let end = place + size
        request.forEachUnknownRequiredAttribute { type in
            guard place < end else { return }
            store(UInt64(type), size: 2, at: place)
            place += 2
        }
    }

    public mutating func seal(key: [UInt8], integrity: STUNIntegrity) {
        let offset = length
        guard let place = append(STUN.Attribute.messageIntegrity, size: STUNIntegrity.digestBytes) else {
            return
        }
        if !integrity.sign(bytes, before: offset, key: key, into: bytes + place) { length = 0 }
    }

    public mutating func addFingerprint() {
        guard let place = append(STUN.Attribute.fingerprint, size: 4) else { return }
        store(UInt64(CRC32.checksum(bytes, count: place - 4) ^ STUN.fingerprintMask), size: 4, at: place)
    }

    /// Writes the attribute's header and zero padding, counts it in the message's length; where its value goes.
    private mutating func append(_ attribute: UInt16, size: Int) -> Int? {
        let padded = (size + 3) & ~3
        guard length > 0, size <= 0xffff, length + 4 + padded <= capacity else {
            length = 0
            return nil
        }
        store(UInt64(attribute) << 16 | UInt64(size), size: 4, at: length)
        let place = length + 4
        if padded > size { store(0, size: 4, at: place + padded - 4) }
        length = place + padded
        store(UInt64(length - STUN.headerBytes), size: 2, at: 2)
        return place
    }

    private func store(_ value: UInt64, size: Int, at offset: Int) {
        for i in 0..<size {
            bytes[offset + i] = UInt8(truncatingIfNeeded: value >> UInt64((size - 1 - i) * 8))
        }
    }
}
