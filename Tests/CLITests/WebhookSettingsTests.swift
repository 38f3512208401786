import EventLog
import RTP
import Testing

@testable import CLI

@Suite struct WebhookSettingsTests {
    private static let secret = "0123456789abcdef0123456789abcdef"

    private func destinations(file: String = "", environment: [String: String] = [:]) throws
        -> [WebhookDestination]
    {
        var settings = try Settings.file(file, name: "sfu.yaml")
        settings.overlay(try Settings.environment(environment))
        return try EventSettings(settings).destinations
    }

    @Test func destinationsOfAFile() throws {
        let destinations = try destinations(
            file: """
                webhooks:
                  - url: https://chat.example.org/sfu-events
                    secrets: [\(Self.secret), \(Self.secret)x]
                    events: [user.*, call.summary]
                    timeout: 5
                  - name: audit
                    url: http://audit.example.org/
                    allow-http: true
                    secrets: \(Self.secret)
                """
        )
        #expect(destinations.map(\.name) == ["https://chat.example.org/sfu-events", "audit"])
        #expect(destinations[0].secrets == [Self.secret, Self.secret + "x"])
        #expect(destinations[0].types == ["user.joined", "user.left", "call.summary"])
        #expect(destinations[0].timeout == .seconds(5))
        #expect(destinations[1].types == nil && destinations[1].timeout == Limits.Events.webhookTimeout)
    }

    @Test func aDestinationOfTheEnvironment() throws {
        let destinations = try destinations(environment: [
            "SFU_WEBHOOK_URL": "http://127.0.0.1:9000/hook",
            "SFU_WEBHOOK_SECRETS": "\(Self.secret),\(Self.secret)2",
            "SFU_WEBHOOK_EVENTS": "room.*",
        ])
        #expect(destinations.map(\.url) == ["http://127.0.0.1:9000/hook"])
        #expect(
            destinations[0].secrets.count == 2 && destinations[0].types == ["room.started", "room.ended"]
        )
    }

    @Test(arguments: [
        ("webhooks: https://a.example/", "list of destinations"),
        ("webhooks: [a]", "mapping with url"),
        ("webhooks: [{url: 'https://a.example/', secret: x}]", "did you mean \"secrets\"?"),
        ("webhooks: [{url: ['https://a.example/'], secrets: x}]", "wrong form"),
        ("webhooks: [{secrets: SECRET}]", "needs a url"),
        ("webhooks: [{url: 'https://a.example/'}]", "one secret is needed"),
        ("webhooks: [{url: 'https://a.example/', secrets: short}]", "at least 32 bytes"),
        ("webhooks: [{url: 'http://a.example/', secrets: SECRET}]", "http:// is for loopback"),
        (
            "webhooks: [{url: 'https://a.example/', secrets: SECRET, events: [user.joind]}]",
            "did you mean \"user.joined\"?"
        ),
        ("webhooks: [{url: 'https://a.example/', secrets: SECRET, events: []}]", "names none"),
        (
            "webhooks: [{url: 'https://a.example/', secrets: SECRET, timeout: soon}]",
            "whole number of seconds"
        ),
        ("webhooks: [{url: 'https://a.example/', secrets: SECRET, timeout: 61}]", "from 1 to 60"),
        ("webhooks: [{url: 'https://a.example/', secrets: SECRET, allow-http: maybe}]", "true or false"),
        (
            "webhooks: [{url: 'https://a.example/', secrets: SECRET}, {url: 'https://a.example/?b', secrets: SECRET}]",
            "different names"
        ),
        ("webhook: []", "did you mean \"webhooks\"?"),
    ])
    func badWebhooksSayWhatIsWrong(file: String, expected: String) {
        do {
            _ = try destinations(file: file.replacing("SECRET", with: Self.secret))
            Issue.record("accepted: \(file)")
        } catch {
            #expect("\(error)".contains(expected), "\(error)")
            #expect(!"\(error)".contains(Self.secret))
        }
    }

    @Test func boundsOfTheLog() throws {
        let settings = try Settings.file("events: {hours: 24, count: 5000, megabytes: 100}", name: "sfu.yaml")
        let bounds = try EventSettings(settings).bounds
        #expect(bounds == EventLogBounds(age: .seconds(86_400), count: 5000, bytes: 100 << 20))
        #expect(try EventSettings(Settings()).bounds == EventLogBounds())
    }
}
