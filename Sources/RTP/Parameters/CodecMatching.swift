// Whether two payload types, numbered by two peers, name the same bitstream. Levels and preferences are not
// looked at.

extension CodecParameters {
    /// One parameter of the `a=fmtp` value; names are compared without case (RFC 8866 §6.15).
    public func formatParameter(_ name: String) -> Substring? {
        for item in formatParameters.utf8.split(separator: UInt8(ascii: ";")) {
            let parameter = Substring(item)
            guard let equals = parameter.utf8.firstIndex(of: UInt8(ascii: "=")) else { continue }
            if trimmed(parameter[..<equals]).lowercased() == name.lowercased() {
                return trimmed(parameter[parameter.utf8.index(after: equals)...])
            }
        }
        return nil
    }

    /// RED only: the payload type of all its blocks, the first that `a=fmtp` names (RFC 2198 §5).
    public var redundantPayloadType: UInt8? {
        guard name == .red, let first = formatParameters.utf8.split(separator: UInt8(ascii: "/")).first else {
            return nil
        }
        return UInt8(trimmed(Substring(first)))
    }

    /// H.264 only; nil where `profile-level-id` names a profile that no WebRTC client sends.
    public var h264Profile: H264Profile? {
        guard name == .h264 else { return nil }
        guard let text = formatParameter("profile-level-id") else { return .constrainedBaseline }
        return H264Profile(profileLevelID: text)
    }

    /// RFC 6184 §8.1, 0 where it is missing.
    var packetizationMode: Substring { formatParameter("packetization-mode") ?? "0" }

    /// VP9 `profile-id` (RFC 9628 §7) or AV1 `profile`, 0 where it is missing.
    public var profile: Substring {
        switch name {
        case .vp9: formatParameter("profile-id") ?? "0"
        case .av1: formatParameter("profile") ?? "0"
        case .opus, .red, .vp8, .h264: "0"
        }
    }
}

/// The H.264 profiles of WebRTC clients (RFC 6184 §8.1, table 5).
public enum H264Profile: Sendable, Hashable {
    case constrainedBaseline, baseline, main, constrainedHigh, high

    /// Reads the six hexadecimal digits profile_idc, profile-iop, level_idc.
    public init?(profileLevelID text: Substring) {
        guard text.utf8.count == 6, let number = UInt32(text, radix: 16) else { return nil }
        let constraints = UInt8(truncatingIfNeeded: number >> 8)
        switch number >> 16 {
        case 0x42: self = constraints & 0x40 != 0 ? .constrainedBaseline : .baseline
        case 0x4d: self = constraints & 0x80 != 0 ? .constrainedBaseline : .main
        case 0x58 where constraints & 0xc0 == 0xc0: self = .constrainedBaseline
        case 0x58 where constraints & 0x80 != 0: self = .baseline
        case 0x64: self = constraints & 0x0c == 0x0c ? .constrainedHigh : .high
        default: return nil
        }
    }

    /// Whether a decoder of this profile decodes streams of `other` (H.264 annex A.2). What the baseline has
    /// beyond the constrained baseline (slices out of order, redundant pictures) no WebRTC encoder writes, so
    /// both count alike.
    public func decodes(_ other: H264Profile) -> Bool {
        if other == .baseline || other == .constrainedBaseline { return true }
        return self == other || self == .high
    }
}

/// Whether both name the same codec configuration: name, clock, channels, profile and, for H.264, the
/// packetization mode. Payload types, feedback, levels and all other parameters may differ.
public func isCompatible(_ a: CodecParameters, _ b: CodecParameters) -> Bool {
    guard a.name == b.name, a.clockRate == b.clockRate, a.channels == b.channels else { return false }
    switch a.name {
    case .opus, .red, .vp8:
        return true
    case .vp9, .av1:
        return a.profile == b.profile
    case .h264:
        guard let first = a.h264Profile, let second = b.h264Profile else { return false }
        return first == second && a.packetizationMode == b.packetizationMode
    }
}

/// Whether a peer that negotiated `receiver` can decode what is sent as `stream`. Wider than `isCompatible`:
/// an H.264 decoder takes streams of lesser profiles, and packetization mode 1 includes mode 0.
public func isDecodable(_ stream: CodecParameters, by receiver: CodecParameters) -> Bool {
    if isCompatible(stream, receiver) { return true }
    guard stream.name == .h264, receiver.name == .h264, stream.clockRate == receiver.clockRate,
        let sent = stream.h264Profile, let decoder = receiver.h264Profile
    else { return false }
    let modeFits = stream.packetizationMode == receiver.packetizationMode || receiver.packetizationMode == "1"
    return decoder.decodes(sent) && modeFits
}

private func trimmed(_ text: Substring) -> Substring {
    let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    var bytes = text.utf8
    while let first = bytes.first, isBlank(first) { bytes.removeFirst() }
    while let last = bytes.last, isBlank(last) { bytes.removeLast() }
    return Substring(bytes)
}
