import Foundation
import RTP
import Testing
import Tracing

@testable import Telemetry

@Suite struct TracerTests {
    private let kept = KeptSpans()

    private func tracer(ratio: Double = 1) -> OTLPTracer {
        OTLPTracer(sampler: Sampler(ratio: ratio), sink: kept, random: Counting().next)
    }

    @Test func childrenKnowTheirParent() throws {
        let tracer = tracer()
        let root = tracer.startSpan("root", context: .topLevel, at: Moment(100))
        let child = tracer.startSpan("child", context: root.context, ofKind: .server, at: Moment(200))
        child.attributes["n"] = 7
        child.end(at: Moment(300))
        child.end(at: Moment(400))
        child.attributes["late"] = true
        root.end(at: Moment(50))
        #expect(kept.all.map(\.name) == ["child", "root"])
        let (first, second) = (kept.all[0], kept.all[1])
        #expect(first.identity.traceID == second.identity.traceID)
        #expect(first.parent?.spanID == second.identity.spanID && first.parent?.isRemote == false)
        #expect(first.identity.spanID != second.identity.spanID && second.parent == nil)
        #expect(
            first.start == 200 && first.end == 300 && first.kind == .server && first.attributes.count == 1
        )
        // A clock that was set back.
        #expect(second.start == 100 && second.end == 100)
    }

    @Test func contextCrossesProcesses() throws {
        let tracer = tracer()
        let span = tracer.startSpan("here", context: .topLevel, at: Moment(1))
        var carrier: [String: String] = [:]
        tracer.inject(span.context, into: &carrier, using: Carrier())
        #expect(carrier["tracestate"] == nil)
        carrier["tracestate"] = "vendor=1"
        var context = InstrumentationContext.topLevel
        tracer.extract(carrier, into: &context, using: Carrier())
        let there = tracer.startSpan("there", context: context, at: Moment(2))
        there.end(at: Moment(3))
        let record = try #require(kept.all.first)
        #expect(record.parent?.isRemote == true && record.parent?.spanID == span.context.traceContext?.spanID)
        #expect(record.identity.state.text == "vendor=1")
        var onwards: [String: String] = [:]
        tracer.inject(there.context, into: &onwards, using: Carrier())
        #expect(onwards["tracestate"] == "vendor=1")
        var nothing = InstrumentationContext.topLevel
        tracer.extract(["traceparent": "00-zz"], into: &nothing, using: Carrier())
        #expect(nothing.isEmpty)
    }

    @Test func whatIsNotSampledIsCarriedAndNotKept() throws {
        let tracer = tracer(ratio: 0)
        let span = tracer.startSpan("unseen", context: .topLevel, at: Moment(1))
        #expect(!span.isRecording)
        span.attributes["a"] = 1
        span.addEvent("event")
        let child = tracer.startSpan("child", context: span.context, at: Moment(1))
        var carrier: [String: String] = [:]
        tracer.inject(child.context, into: &carrier, using: Carrier())
        #expect(carrier["traceparent"]?.hasSuffix("-00") == true)
        child.end(at: Moment(2))
        span.end(at: Moment(2))
        #expect(kept.all.isEmpty)
    }

    @Test func tooMuchIsCounted() throws {
        let tracer = tracer()
        let span = tracer.startSpan("much", context: .topLevel, at: Moment(1))
        for _ in 0..<(Limits.Telemetry.eventsPerSpan + 3) { span.addEvent("e") }
        for _ in 0..<(Limits.Telemetry.linksPerSpan + 2) {
            span.addLink(SpanLink(context: span.context, attributes: [:]))
        }
        span.addLink(SpanLink(context: .topLevel, attributes: [:]))
        span.end(at: Moment(2))
        let record = try #require(kept.all.first)
        #expect(record.events.count == Limits.Telemetry.eventsPerSpan && record.droppedEvents == 3)
        #expect(record.links.count == Limits.Telemetry.linksPerSpan && record.droppedLinks == 2)
    }

    @Test func theTextIsWhatCollectorsRead() throws {
        struct Fault: Error {}
        let tracer = tracer()
        let root = tracer.startSpan("root", context: .topLevel, ofKind: .server, at: Moment(1_000_000_000))
        let span = tracer.startSpan("work", context: root.context, at: Moment(2_000_000_000))
        span.attributes["text"] = "a\"b"
        span.attributes["whole"] = 9_007_199_254_740_993 as Int64
        span.attributes["part"] = 0.5
        span.attributes["nan"] = Double.nan
        span.attributes["yes"] = true
        span.attributes["list"] = ["a", "b"]
        span.attributes["long"] = String(repeating: "é", count: 2000)
        span.addEvent(SpanEvent(name: "half", at: Moment(2_500_000_000), attributes: ["k": "v"]))
        span.recordError(Fault(), attributes: [:], at: Moment(2_600_000_000))
        span.addLink(SpanLink(context: root.context, attributes: [:]))
        span.setStatus(SpanStatus(code: .error, message: "no"))
        span.end(at: Moment(3_000_000_000))
        root.end(at: Moment(4_000_000_000))
        let resource = TelemetryResource(serviceName: "sfu", serviceVersion: "1", instanceID: "i")
        let body = try OTLPText.body(kept.all, of: resource)
        let json = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
        let top = try #require((json["resourceSpans"] as? [[String: Any]])?.first)
        let attributes = (top["resource"] as? [String: Any])?["attributes"] as? [[String: Any]]
        #expect(
            attributes?.map { $0["key"] as? String } == [
                "service.name", "service.version", "service.instance.id",
            ]
        )
        let scope = try #require((top["scopeSpans"] as? [[String: Any]])?.first)
        let spans = try #require(scope["spans"] as? [[String: Any]])
        let (work, rootText) = (spans[0], spans[1])
        #expect(work["parentSpanId"] as? String == rootText["spanId"] as? String)
        #expect((work["traceId"] as? String)?.count == 32 && (work["spanId"] as? String)?.count == 16)
        #expect(rootText["parentSpanId"] == nil && rootText["kind"] as? Int == 2 && work["kind"] as? Int == 1)
        #expect(work["startTimeUnixNano"] as? String == "2000000000" && work["flags"] as? Int == 0x101)
        var values: [String: [String: Any]] = [:]
        for pair in try #require(work["attributes"] as? [[String: Any]]) {
            values[pair["key"] as? String ?? ""] = pair["value"] as? [String: Any]
        }
        #expect(values["text"]?["stringValue"] as? String == "a\"b")
        #expect(values["whole"]?["intValue"] as? String == "9007199254740993")
        #expect(values["part"]?["doubleValue"] as? Double == 0.5)
        #expect(values["nan"]?["doubleValue"] as? String == "NaN")
        #expect(values["yes"]?["boolValue"] as? Bool == true)
        let list = (values["list"]?["arrayValue"] as? [String: Any])?["values"] as? [[String: Any]]
        #expect(list?.map { $0["stringValue"] as? String } == ["a", "b"])
        #expect((values["long"]?["stringValue"] as? String)?.utf8.count == Limits.Telemetry.attributeBytes)
        let events = try #require(work["events"] as? [[String: Any]])
        #expect(events.map { $0["name"] as? String } == ["half", "exception"])
        #expect(events[0]["timeUnixNano"] as? String == "2500000000")
        let links = try #require(work["links"] as? [[String: Any]])
        #expect(links.first?["spanId"] as? String == rootText["spanId"] as? String)
        #expect((work["status"] as? [String: Any])?["code"] as? Int == 2)
    }
}
