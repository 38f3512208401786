// The spans of one member that still run, and those that others link to. Decides nothing; bounded by what a member
// may have: requests in flight, publications, slots.
import RTP
import Seam
import Tracing

struct MemberTrace {
    /// Of the present socket, or of a WHIP or WHEP session.
    var session: TraceSpan?
    /// The newest session, ended or not: later ones link to it.
    var lastSession: InstrumentationContext?
    /// The newest negotiation: what its media does is its consequence.
    var negotiation: InstrumentationContext?
    var requests: [UInt64: TraceSpan] = [:]
    var ice: TraceSpan?
    var dtls: TraceSpan?
    var firstMedia: [PublicationID: TraceSpan] = [:]
    /// What the first frames of others link to.
    var publications: [PublicationID: InstrumentationContext] = [:]
    /// By m-section.
    var firstFrames: [String: (publication: PublicationID, span: TraceSpan)] = [:]

    /// What media belongs to.
    var media: InstrumentationContext? { negotiation ?? session?.context ?? lastSession }
}

extension Tracing.Span {
    /// Ends in an error, in our own words.
    func fail(_ reason: String, at instant: TraceInstant) {
        setStatus(SpanStatus(code: .error, message: reason))
        end(at: instant)
    }
}
