import Foundation
import Signaling
import Telemetry
import Testing

@testable import CLI

@Suite struct TelemetrySettingsTests {
    private func resolve(
        file: String = "",
        ours: [String: String] = [:],
        others: [String: String] = [:]
    ) throws -> TelemetrySettings {
        var settings = try Settings.file(file, name: "sfu.yaml")
        settings.overlay(try Settings.environment(ours))
        return try TelemetrySettings(settings, environment: others)
    }

    @Test func offUnlessSomebodySaysWhere() throws {
        let settings = try resolve()
        #expect(settings.collector == nil && settings.sampleRatio == 1 && settings.serviceName == "sfu")
    }

    @Test func theFileIsBelowOpenTelemetrysVariablesAndThoseBelowOurs() throws {
        let file = """
            telemetry:
              endpoint: http://file:4318
              headers: ["authorization=Bearer s3cret"]
              sample-ratio: 0.5
              service: calls
            """
        let fromFile = try resolve(file: file)
        #expect(fromFile.collector?.url == "http://file:4318/v1/traces" && fromFile.sampleRatio == 0.5)
        #expect(
            fromFile.collector?.headers.map(\.value) == ["Bearer s3cret"] && fromFile.serviceName == "calls"
        )
        let others = [
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel", "OTEL_TRACES_SAMPLER_ARG": "0.25",
            "OTEL_SERVICE_NAME": "other", "OTEL_EXPORTER_OTLP_HEADERS": "a=1,b=2",
        ]
        let mixed = try resolve(file: file, others: others)
        #expect(mixed.collector?.url == "https://otel/v1/traces" && mixed.sampleRatio == 0.25)
        #expect(mixed.serviceName == "other" && mixed.collector?.headers.count == 1)
        #expect(try resolve(others: others).collector?.headers.map(\.name) == ["a", "b"])
        let ours = ["SFU_TELEMETRY_ENDPOINT": "http://ours", "SFU_TELEMETRY_SAMPLE_RATIO": "0"]
        let all = try resolve(file: file, ours: ours, others: others)
        #expect(all.collector?.url == "http://ours/v1/traces" && all.sampleRatio == 0)
    }

    @Test func whatIsWrongIsSaidWithoutSecrets() {
        for (file, part) in [
            ("telemetry: {endpoint: \"collector:4318\"}", "no http:// or https:// address"),
            ("telemetry: {sample-ratio: 2}", "from 0 to 1"),
            ("telemetry: {sample-ratio: many}", "from 0 to 1"),
            ("telemetry: {endpoint: \"http://c\", headers: [\"s3cret\"]}", "name=value"),
            ("telemetry: {endpoint: \"http://u:s3cret@c\"}", "no http:// or https:// address"),
            ("telemetry: {endpont: \"http://c\"}", "did you mean \"telemetry.endpoint\""),
        ] {
            do {
                _ = try resolve(file: file)
                Issue.record("accepted: \(file)")
            } catch {
                #expect("\(error)".contains(part), "\(error)")
                #expect(!"\(error)".contains("s3cret"), "\(error)")
            }
        }
    }
}

@Suite struct TimelineTextTests {
    @Test func oneLineForEachThingThatHappened() throws {
        let json = """
            {"room":"standup","pid":"pa_1","sessions":[{"uid":"ada\\u001b[2J","joinedAt":1,"ended":true,"resumes":1,
            "dropped":3,"entries":[{"t":0,"type":"joined","front":"socket"},{"t":12000,"type":"offer"},
            {"t":15500,"type":"answer"},{"t":3250000,"type":"transport","state":"connected"},
            {"t":3300000,"type":"layer","slot":0,"s":2,"tl":1,"reason":"none"},
            {"t":64300000,"type":"layer","slot":0,"reason":"bandwidth"},{"t":70000000,"type":"closed","code":4008},
            {"t":3700000000,"type":"resumed","outcome":"replay"},{"t":3700000000,"type":"news"},
            {"t":3700000000,"type":"left","reason":"left"}]}]}
            """
        let report = try JSONDecoder().decode(TimelineReport.self, from: Data(json.utf8))
        #expect(
            TimelineText.lines(report) == [
                "pa_1 of ada[2J in standup",
                "  (3 entries gave way to newer ones)",
                "        0 ms       +0 ms  joined by socket",
                "       12 ms      +12 ms  offer",
                "       15 ms       +3 ms  answer",
                "      3.25 s     +3.23 s  transport connected",
                "      3.30 s      +50 ms  slot 0 shows layer 2.1",
                "    1:04 min   +1:01 min  slot 0 shows nothing (bandwidth)",
                "    1:10 min     +5.70 s  socket closed, 4008",
                "   1:01:40 h  +1:00:30 h  resumed: replay",
                "   1:01:40 h       +0 ms  news",
                "   1:01:40 h       +0 ms  left: left",
            ]
        )
    }

    @Test func namesAreSegments() throws {
        #expect(
            try TimelineCommand.address("http://h:1/base/", room: "a/b ?", pid: "pa_1")
                == "http://h:1/base/v1/rooms/a%2Fb%20%3F/participants/pa_1/timeline"
        )
        for url in ["", "h:1", "ftp://h", "http://"] {
            #expect(throws: SettingError.self, "\(url)") {
                try TimelineCommand.address(url, room: "r", pid: "p")
            }
        }
    }
}
