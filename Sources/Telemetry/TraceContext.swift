// W3C Trace Context, level 1: the two headers as values, with every rule of their grammar.
// Must not know spans, HTTP or who exports what.
import RTP
import Tracing

/// 16 bytes, not all zero.
public struct TraceID: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    /// nil for zero.
    public init?(high: UInt64, low: UInt64) {
        guard high | low != 0 else { return nil }
        self.high = high
        self.low = low
    }

    public var description: String { Hex.text(high) + Hex.text(low) }
}

/// 8 bytes, not all zero.
public struct SpanID: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    /// nil for zero.
    public init?(_ rawValue: UInt64) {
        guard rawValue != 0 else { return nil }
        self.rawValue = rawValue
    }

    public var description: String { Hex.text(rawValue) }
}

/// Who a span is: what its children and other processes know of it.
public struct TraceContext: Sendable, Equatable {
    public var traceID: TraceID
    public var spanID: SpanID
    /// It is recorded and exported.
    public var isSampled: Bool
    public var state: TraceState
    /// It came from another process.
    public var isRemote: Bool

    public init(
        traceID: TraceID,
        spanID: SpanID,
        isSampled: Bool,
        state: TraceState = TraceState(),
        isRemote: Bool = false
    ) {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
        self.state = state
        self.isRemote = isRemote
    }

    public static let parentKey = "traceparent"
    public static let stateKey = "tracestate"

    /// nil where `traceparent` breaks a rule (§3.2.2); a `tracestate` that breaks one is left out (§3.3.1).
    public init?(traceparent: String, tracestate: String? = nil) {
        let bytes = Array(traceparent.utf8)
        let dash = UInt8(ascii: "-")
        guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Hex.number(bytes[0..<2]), version != 0xff,
            // A later version may say more, after a dash (§3.2.4).
            bytes.count == 55 || (version > 0 && bytes[55] == dash),
            let high = Hex.number(bytes[3..<19]), let low = Hex.number(bytes[19..<35]),
            let parent = Hex.number(bytes[36..<52]), let flags = Hex.number(bytes[53..<55]),
            let traceID = TraceID(high: high, low: low), let spanID = SpanID(parent)
        else { return nil }
        self.init(
            traceID: traceID,
            spanID: spanID,
            isSampled: flags & 1 != 0,
            state: tracestate.flatMap { TraceState($0) } ?? TraceState(),
            isRemote: true
        )
    }

    public var traceparent: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }
}

extension InstrumentationContext {
    private enum Key: InstrumentationContextKey {
        typealias Value = TraceContext
        static var nameOverride: String? { "sfu-trace-context" }
    }

    /// The span that work done in this context belongs to.
    public var traceContext: TraceContext? {
        get { self[Key.self] }
        set { self[Key.self] = newValue }
    }
}

/// Lower-case hexadecimal, as the headers and OTLP write identities.
enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ value: UInt64) -> String {
        String(
            decoding: (0..<16).map { digits[Int(value >> UInt64(60 - 4 * $0) & 15)] },
            as: UTF8.self
        )
    }

    /// nil where a character is none of 0–9 and a–f. At most 16 characters.
    static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }
}
