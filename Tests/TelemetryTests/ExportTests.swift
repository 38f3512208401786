import Foundation
import RTP
import Testing
import Tracing

@testable import Telemetry

@Suite struct ExportRetryTests {
    @Test func answersAndWhatFollows() {
        for (answer, expected): (ExportAnswer, ExportRetry.OnAnswer) in [
            (.status(200, retryAfter: nil, rejected: 0), .delivered(rejected: 0)),
            (.status(202, retryAfter: nil, rejected: 3), .delivered(rejected: 3)),
            (.status(400, retryAfter: nil, rejected: 0), .dropped("status 400")),
            (.status(301, retryAfter: .seconds(1), rejected: 0), .dropped("status 301")),
            (.status(500, retryAfter: nil, rejected: 0), .dropped("status 500")),
            (.status(429, retryAfter: .seconds(7), rejected: 0), .wait(.seconds(7))),
            (.status(503, retryAfter: .seconds(99_999), rejected: 0), .wait(Limits.Telemetry.retryLongest)),
            (.status(502, retryAfter: nil, rejected: 0), .wait(Limits.Telemetry.retryFirst)),
            (.status(504, retryAfter: nil, rejected: 0), .wait(Limits.Telemetry.retryFirst)),
            (.failed("reset"), .wait(Limits.Telemetry.retryFirst)),
        ] {
            var retry = ExportRetry()
            #expect(retry.received(answer, random: 1) == expected)
        }
    }

    @Test func waitsGrowAndEnd() {
        var retry = ExportRetry()
        var waits: [Interval] = []
        var last: ExportRetry.OnAnswer?
        for _ in 0..<Limits.Telemetry.attempts {
            last = retry.received(.failed("gone"), random: 0)
            if case .wait(let interval)? = last { waits.append(interval) }
        }
        #expect(waits == [500, 1000, 2000, 4000, 8000].map { .milliseconds($0) })
        #expect(last == .dropped("gone"))
    }

    @Test func retryAfterIsSecondsOrADate() {
        #expect(RetryAfter.parse("120", now: 0) == .seconds(120))
        #expect(RetryAfter.parse(" 3 ", now: 0) == .seconds(3))
        #expect(RetryAfter.parse("Sun, 06 Nov 1994 08:49:37 GMT", now: 784_111_770) == .seconds(7))
        #expect(RetryAfter.parse("Sun, 06 Nov 1994 08:49:37 GMT", now: 784_111_999) == .zero)
        #expect(RetryAfter.parse("Tue, 29 Feb 2028 00:00:00 GMT", now: 1_835_395_190) == .seconds(10))
        for text in [
            "", "-1", "soon", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 99 Nov 1994 08:49:37 GMT", "1.5",
        ] {
            #expect(RetryAfter.parse(text, now: 0) == nil, "\(text)")
        }
    }
}

@Suite struct SpanExporterTests {
    private let pauses = Pauses()
    private let reports = Reports()
    private static let ok = ExportAnswer.status(200, retryAfter: nil, rejected: 0)

    private func exporter(_ transport: ToldTransport, _ pauses: Pauses? = nil) -> SpanExporter {
        SpanExporter(
            resource: TelemetryResource(serviceName: "sfu", serviceVersion: "1", instanceID: "i"),
            transport: transport,
            pause: (pauses ?? self.pauses).pause,
            random: { 1 },
            report: reports.take,
            logger: quiet
        )
    }

    private func end(_ count: Int, into exporter: SpanExporter) {
        let tracer = OTLPTracer(sampler: Sampler(ratio: 1), sink: exporter)
        for index in 0..<count {
            tracer.startSpan("s\(index)", context: .topLevel, at: Moment(1)).end(at: Moment(2))
        }
    }

    private static func count(_ body: [UInt8]) -> Int {
        String(decoding: body, as: UTF8.self).components(separatedBy: "\"spanId\"").count - 1
    }

    @Test func aFullBatchGoesAtOnceAndTheRestAtTheEnd() async {
        let transport = ToldTransport(Self.ok)
        let exporter = exporter(transport)
        let running = Task { await exporter.run() }
        end(Limits.Telemetry.batchSpans, into: exporter)
        await transport.requests(1)
        end(3, into: exporter)
        exporter.close()
        await running.value
        #expect(transport.bodies.map(Self.count).reduce(0, +) == Limits.Telemetry.batchSpans + 3)
        #expect(transport.bodies.allSatisfy { Self.count($0) <= Limits.Telemetry.batchSpans })
        #expect(reports.exported == Limits.Telemetry.batchSpans + 3)
        end(1, into: exporter)
        #expect(reports.dropped(.queue) == 1)
    }

    @Test func aFullQueueDropsAndNeverBlocks() async {
        let transport = ToldTransport(Self.ok)
        let exporter = exporter(transport)
        transport.hold()
        let running = Task { await exporter.run() }
        end(Limits.Telemetry.batchSpans, into: exporter)
        await transport.requests(1)
        // The collector hangs: the queue fills, the rest is lost, and who ends spans does not wait.
        end(Limits.Telemetry.queuedSpans + 10, into: exporter)
        #expect(exporter.waitingCount == Limits.Telemetry.queuedSpans)
        #expect(reports.dropped(.queue) == 10)
        transport.release()
        exporter.close()
        await running.value
        #expect(reports.exported == Limits.Telemetry.batchSpans + Limits.Telemetry.queuedSpans)
    }

    @Test func whatIsRefusedForNowIsSentAgain() async {
        let transport = ToldTransport(
            .status(429, retryAfter: .seconds(9), rejected: 0),
            .failed("reset"),
            .status(200, retryAfter: nil, rejected: 1)
        )
        let exporter = exporter(transport)
        let running = Task { await exporter.run() }
        end(4, into: exporter)
        exporter.close()
        await running.value
        #expect(transport.bodies.count == 3 && Set(transport.bodies).count == 1)
        #expect(
            pauses.retries == [
                .seconds(9), Interval(microseconds: Limits.Telemetry.retryFirst.microseconds * 2),
            ]
        )
        #expect(reports.exported == 3 && reports.dropped(.collector) == 1)
    }

    @Test func whatIsRefusedForGoodIsCounted() async {
        let transport = ToldTransport(.status(400, retryAfter: nil, rejected: 0))
        let exporter = exporter(transport)
        let running = Task { await exporter.run() }
        end(5, into: exporter)
        exporter.close()
        await running.value
        #expect(transport.bodies.count == 1 && reports.dropped(.collector) == 5 && reports.exported == 0)
    }

    @Test func aHangingCollectorDoesNotHoldUpTheEnd() async {
        let transport = ToldTransport(Self.ok)
        transport.hold()
        let exporter = exporter(transport)
        let running = Task { await exporter.run() }
        end(Limits.Telemetry.batchSpans + 7, into: exporter)
        await transport.requests(1)
        exporter.close()
        running.cancel()
        await running.value
        #expect(reports.dropped(.shutdown) == Limits.Telemetry.batchSpans + 7)
        #expect(reports.exported == 0)
    }

    @Test func aRetryThatWaitsEndsWithItsTask() async {
        let transport = ToldTransport(.failed("away"))
        let exporter = exporter(transport, Pauses(holdsRetries: true))
        let running = Task { await exporter.run() }
        end(Limits.Telemetry.batchSpans, into: exporter)
        await transport.requests(1)
        running.cancel()
        await running.value
        #expect(reports.dropped(.shutdown) == Limits.Telemetry.batchSpans && transport.bodies.count == 1)
    }
}
