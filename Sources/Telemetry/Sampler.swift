// Which traces are recorded: what the parent says, and a share of those that begin here.
// Must not know spans.

public struct Sampler: Sendable, Equatable {
    /// Share of the traces that begin here, 0 to 1.
    public let ratio: Double
    /// Of the 56 low bits of a trace id, from here up.
    private let threshold: UInt64

    private static let range: UInt64 = 1 << 56

    /// `ratio` is brought into 0…1; what is no number counts as 0.
    public init(ratio: Double) {
        let ratio = ratio.isNaN ? 0 : min(max(ratio, 0), 1)
        self.ratio = ratio
        threshold = Self.range - UInt64((ratio * Double(Self.range)).rounded())
    }

    /// The same id gets the same answer everywhere, and whoever has a higher ratio takes all that the lower ones take.
    public func samples(_ id: TraceID, parent: TraceContext?) -> Bool {
        if let parent { return parent.isSampled }
        return id.low & (Self.range - 1) >= threshold
    }
}
