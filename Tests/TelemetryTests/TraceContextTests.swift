// Every rule of W3C Trace Context, level 1, that a header can break.
import Testing
import Tracing

@testable import Telemetry

@Suite struct TraceContextTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let parent = "00f067aa0ba902b7"
    private static let header = "00-\(trace)-\(parent)-01"

    @Test func aHeaderIsReadAndWritten() throws {
        let context = try #require(TraceContext(traceparent: Self.header))
        #expect("\(context.traceID)" == Self.trace && "\(context.spanID)" == Self.parent)
        #expect(context.isSampled && context.isRemote && context.state.isEmpty)
        #expect(context.traceparent == Self.header)
        let unsampled = try #require(TraceContext(traceparent: "00-\(Self.trace)-\(Self.parent)-00"))
        #expect(!unsampled.isSampled && unsampled.traceparent.hasSuffix("-00"))
    }

    @Test func unknownFlagsAreNotHandedOn() throws {
        for (flags, isSampled) in [("02", false), ("03", true), ("fe", false), ("ff", true)] {
            let context = try #require(TraceContext(traceparent: "00-\(Self.trace)-\(Self.parent)-\(flags)"))
            #expect(context.isSampled == isSampled)
            #expect(context.traceparent.hasSuffix(isSampled ? "-01" : "-00"))
        }
    }

    @Test func laterVersionsAreReadAsFarAsTheyAreKnown() {
        #expect(TraceContext(traceparent: "cc-\(Self.trace)-\(Self.parent)-01") != nil)
        #expect(TraceContext(traceparent: "cc-\(Self.trace)-\(Self.parent)-01-what-the-future-brings") != nil)
        #expect(TraceContext(traceparent: "cc-\(Self.trace)-\(Self.parent)-01-") != nil)
        #expect(TraceContext(traceparent: "cc-\(Self.trace)-\(Self.parent)-01.what") == nil)
        #expect(TraceContext(traceparent: "cc-\(Self.trace)-\(Self.parent)-010") == nil)
    }

    @Test(arguments: [
        "", "00", "00-", Self.header + "-", Self.header + "-x", Self.header + " ", " " + Self.header,
        "ff-\(trace)-\(parent)-01", "0-\(trace)-\(parent)-01", "000-\(trace)-\(parent)-01",
        "0x-\(trace)-\(parent)-01", "00-\(trace.uppercased())-\(parent)-01",
        "00-\(trace)-\(parent.uppercased())-01", "00-\(trace)-\(parent)-0A", "00-\(trace)-\(parent)-1",
        "00-\(trace)-\(parent)-001", "00-\(trace)-\(parent)", "00-\(trace)-\(parent)-",
        "00-00000000000000000000000000000000-\(parent)-01", "00-\(trace)-0000000000000000-01",
        "00-\(trace.dropLast())-\(parent)-01", "00-\(trace)0-\(parent)-01", "00-\(trace)-\(parent)0-01",
        "00_\(trace)_\(parent)_01", "00-\(trace.dropLast())g-\(parent)-01", "00-\(trace)-\(parent)-0g",
        "\(header),\(header)", "00-\(trace.dropLast())é-\(parent)-01",
    ])
    func malformedHeadersAreNone(_ text: String) {
        #expect(TraceContext(traceparent: text) == nil)
        #expect(TraceContext(traceparent: text, tracestate: "a=1") == nil)
    }

    @Test func stateIsHandedOnAsItCame() throws {
        for text in [
            "congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=b c", "fw529a3039@dt=x",
            "1a@b=x", "a_-*/9=!\"#", "a=" + String(repeating: "v", count: 256),
        ] {
            #expect(try #require(TraceState(text)).text == text)
        }
        #expect(try #require(TraceState(" a=1 ,\t, b=2\t")).text == "a=1,b=2")
        #expect(try #require(TraceState("")).isEmpty)
        let context = try #require(TraceContext(traceparent: Self.header, tracestate: "a=1,b=2"))
        #expect(context.state.text == "a=1,b=2")
    }

    @Test(arguments: [
        "a", "=1", "a=", "a=b=c", "A=1", "1a=1", "a b=1", "é=1", "a=é", "a=1,a=2", "a@=1", "@a=1", "a@b@c=1",
        "a@1b=1", "a=\u{7f}", String(repeating: "k", count: 257) + "=1",
        "a@" + String(repeating: "s", count: 15) + "=1", "a=" + String(repeating: "v", count: 257),
        (1...33).map { "k\($0)=1" }.joined(separator: ","),
    ])
    func malformedStateIsLeftOut(_ text: String) throws {
        #expect(TraceState(text) == nil)
        let context = try #require(TraceContext(traceparent: Self.header, tracestate: text))
        #expect(context.state.isEmpty)
    }

    @Test func longStateLosesLongMembersFirst() throws {
        let long = "long=" + String(repeating: "v", count: 200)
        let others = (1...20).map { "key\($0)=" + String(repeating: "v", count: 16) }
        let state = try #require(TraceState(([long] + others).joined(separator: ",")))
        #expect(
            state.text
                == others.joined(separator: ",").prefix(512).split(separator: ",").filter {
                    others.contains(String($0))
                }.joined(separator: ",")
        )
        #expect(state.text.utf8.count <= 512 && !state.text.contains("long"))
    }
}

@Suite struct SamplerTests {
    private static func id(_ low: UInt64) throws -> TraceID { try #require(TraceID(high: 1, low: low)) }

    @Test func theParentDecides() throws {
        let span = try #require(SpanID(1))
        for isSampled in [true, false] {
            let parent = TraceContext(traceID: try Self.id(1), spanID: span, isSampled: isSampled)
            for ratio in [0.0, 1.0] {
                #expect(Sampler(ratio: ratio).samples(try Self.id(1), parent: parent) == isSampled)
            }
        }
    }

    @Test func rootsAreSampledByTheirID() throws {
        var generator = SystemRandomNumberGenerator()
        var counts = [0.0: 0, 0.25: 0, 1.0: 0]
        let samplers = counts.keys.sorted().map { Sampler(ratio: $0) }
        for _ in 0..<10_000 {
            let id = try Self.id(generator.next())
            let taken = samplers.map { $0.samples(id, parent: nil) }
            for (sampler, isTaken) in zip(samplers, taken) where isTaken {
                counts[sampler.ratio, default: 0] += 1
            }
            // A higher ratio takes whatever a lower one takes.
            #expect(zip(taken, taken.dropFirst()).allSatisfy { !$0 || $1 })
        }
        #expect(counts[0] == 0 && counts[1] == 10_000)
        #expect((2000...3000).contains(counts[0.25] ?? 0))
    }

    @Test func strangeRatiosAreBroughtIntoRange() throws {
        #expect(Sampler(ratio: -1) == Sampler(ratio: 0))
        #expect(Sampler(ratio: 7) == Sampler(ratio: 1))
        #expect(Sampler(ratio: .nan).ratio == 0)
    }
}
