// What clients may ask for beyond the version of the protocol. Must not know who asks.
import RTP

/// What a client may understand beyond the minor version; it lists them in `hello.caps`. Unknown ones are passed over.
public enum Capability: String, Codable, Sendable, CaseIterable, OpenEnumeration {
    case batch

    /// Those of a client's that this server serves, each once.
    static func served(_ caps: [String]?) -> Set<Capability> { Set((caps ?? []).compactMap(Self.init)) }

    public var summary: String {
        switch self {
        case .batch:
            "Messages of the server may hold several envelopes, one per line, up to "
                + "\(Limits.Signaling.batchBytes / MessageDescriptor.kibibyte) KiB together."
        }
    }
}
