// How one m-section numbers its header extensions (RFC 8285), as a small value without heap storage.
// Must not know SDP.

/// Maps extension ids to meanings and back. 32 bytes, trivially copied.
public struct HeaderExtensionMap: Sendable {
    /// Meaning of ids 1–15 as `HeaderExtension.rawValue`, `unknown` where nothing is mapped.
    @usableFromInline var kinds: InlineArray<16, UInt8>
    /// Id of each `HeaderExtension.rawValue`, 0 where not negotiated.
    @usableFromInline var ids: InlineArray<13, UInt8>

    static let unknown: UInt8 = 0xFF

    /// Of two ids for one meaning, or two meanings for one id, the first counts; id 0 is ignored.
    public init(_ negotiated: [HeaderExtensionID]) {
        kinds = InlineArray(repeating: HeaderExtensionMap.unknown)
        ids = InlineArray(repeating: 0)
        for entry in negotiated where entry.id != 0 && kind(of: entry.id) == nil {
            let index = Int(entry.kind.rawValue)
            guard ids[index] == 0 else { continue }
            ids[index] = entry.id
            if entry.id < 16 { kinds[Int(entry.id)] = entry.kind.rawValue }
        }
    }

    public init() { self.init([]) }

    /// The id of `kind`, 0 where it was not negotiated.
    @inlinable
    public func id(of kind: HeaderExtension) -> UInt8 { ids[Int(kind.rawValue)] }

    /// The meaning of `id`, nil where it was not negotiated.
    @inlinable
    public func kind(of id: UInt8) -> HeaderExtension? {
        if id < 16 { return HeaderExtension(rawValue: kinds[Int(id)]) }
        for index in 0..<ids.count where ids[index] == id {
            return HeaderExtension(rawValue: UInt8(index))
        }
        return nil
    }
}

extension HeaderExtensionMap: Equatable {
    public static func == (a: HeaderExtensionMap, b: HeaderExtensionMap) -> Bool {
        for index in 0..<a.ids.count where a.ids[index] != b.ids[index] { return false }
        return true
    }
}

/// The two element forms of RFC 8285.
public enum ExtensionForm: Sendable, Equatable {
    /// Ids 1–14, 1–16 bytes each (§4.2).
    case oneByte
    /// Ids 1–255, 0–255 bytes each (§4.3). Only for peers that agreed on `a=extmap-allow-mixed`.
    case twoByte

    @inlinable
    public static var oneByteProfile: UInt16 { 0xBEDE }
    @inlinable
    public static var twoByteProfile: UInt16 { 0x1000 }

    /// Whether an element fits this form.
    @inlinable
    public func fits(id: UInt8, length: Int) -> Bool {
        switch self {
        case .oneByte: id >= 1 && id <= 14 && length >= 1 && length <= 16
        case .twoByte: id >= 1 && length >= 0 && length <= 255
        }
    }
}
