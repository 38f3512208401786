// Both ends over a real socket: what arrives, in which order, and what happens when either goes away.
import NIOCore
import RTP
import Seam
import Testing

@testable import SeamLink

@Suite struct LinkTests {
    @Test func theStateComesFirstThenEvents() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane(epoch: "one", sessions: 200)
            try await link.server(plane)
            plane.emit([Samples.closed(1)])
            let (client, events) = try await link.client()
            #expect(await events.states(1) == ["one"])
            plane.emit(Samples.events)
            let all = try #require(await events.wait(count: 1 + Samples.events.count))
            #expect(all.first == .state(Samples.state(sessions: 200, epoch: "one")))
            #expect(withoutLinkCounts(Array(all.dropFirst())) == Samples.events)
            #expect(client.isConnected && client.absence == nil)
        }
    }

    /// The first worker's counters have those of the link in them.
    private func withoutLinkCounts(_ events: [Event]) -> [Event] {
        events.map { event in
            guard case .counters(var counters) = event else { return event }
            counters.counts = counters.counts.filter { !$0.key.hasPrefix("link_") }
            return .counters(counters)
        }
    }

    @Test func everyCommandArrivesInOrder() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            try await link.server(plane)
            let (client, _) = try await link.client()
            let commands = Samples.commands.filter { $0 != .reportState }
            await client.sendSoon(commands[0])
            for command in commands[1...] { #expect(client.send(command)) }
            #expect(await plane.commands.wait(count: commands.count) == commands)
            #expect(client.send(.reportState))
            #expect(await plane.reports.wait(count: 2)?.count == 2)
        }
    }

    @Test func aReportThatWasAskedForComesInItsPlace() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane(sessions: 2)
            try await link.server(plane)
            let (client, events) = try await link.client()
            await client.sendSoon(.reportState)
            #expect(await events.states(2) == ["e", "e"])
            #expect(client.isConnected)
        }
    }

    @Test func whileTheMediaPlaneIsAwayNothingIsTaken() async throws {
        try await LinkFixture.run { link in
            let (client, events) = try await link.client()
            #expect(!client.send(.close(Samples.session)))
            #expect(!client.isConnected && client.absence != nil)
            let plane = FakePlane(epoch: "late")
            try await link.server(plane)
            #expect(await events.states(1) == ["late"])
            await client.sendSoon(.close(Samples.session))
            #expect(await plane.commands.wait(count: 1) == [.close(Samples.session)])
        }
    }

    @Test func aNewMediaPlaneIsFoundAndItsStateComesFirst() async throws {
        try await LinkFixture.run { link in
            let first = try await link.server(FakePlane(epoch: "one"))
            let (client, events) = try await link.client()
            #expect(await events.states(1) == ["one"])
            await first.stop()
            let plane = FakePlane(epoch: "two")
            try await link.server(plane)
            #expect(await events.states(2) == ["one", "two"])
            await client.sendSoon(.close(Samples.session))
            #expect(await plane.commands.wait(count: 1) == [.close(Samples.session)])
            let statistics = client.statistics
            #expect(statistics.connects == 2 && statistics.losses == 1 && statistics.isConnected)
        }
    }

    @Test func theGatewayIsToldThatTheMediaPlaneStops() async throws {
        try await LinkFixture.run { link in
            let server = try await link.server(FakePlane())
            let (peer, _) = try await link.rawGateway()
            _ = await peer.frames.wait { $0.first { $0.kind == .state } }
            await server.stop()
            #expect(try await peer.ending() == Ending(reason: .shutdown, text: "the media plane stops"))
        }
    }

    /// What the gateway orders last, when it shuts down, is the end of its sessions.
    @Test func whatWasTakenIsSentBeforeTheGatewayStops() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            try await link.server(plane)
            let (client, _) = try await link.client()
            await client.sendSoon(.close(SessionID("0")))
            for number in 1..<500 { #expect(client.send(.close(SessionID("\(number)")))) }
            await client.stop()
            #expect(!client.send(.close(Samples.session)))
            #expect(client.absence == "this gateway stops")
            let commands = try #require(await plane.commands.wait(count: 500))
            #expect(commands == (0..<500).map { .close(SessionID("\($0)")) })
            #expect(client.statistics.commandsDropped == 0)
        }
    }

    @Test func bothEndsCount() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            try await link.server(plane)
            #expect(link.metrics["sfu_link_up"] == nil)
            let (client, events) = try await link.client()
            await client.sendSoon(.close(Samples.session))
            _ = await plane.commands.wait(count: 1)
            #expect(link.metrics["sfu_link_up"] == 1)
            plane.emit([.counters(WorkerCounters(worker: 0)), .counters(WorkerCounters(worker: 1))])
            let counters = await events.wait { events in
                let found = events.compactMap { event -> WorkerCounters? in
                    if case .counters(let counters) = event { counters } else { nil }
                }
                return found.count == 2 ? found : nil
            }
            #expect(counters?[0].counts["link_accepted"] == 1)
            #expect(counters?[0].counts["link_events_dropped"] == 0)
            #expect(counters?[1].counts == [:])
            let statistics = client.statistics
            // Hello and a command; hello, the state and the counters.
            #expect(statistics.framesOut == 2)
            #expect(statistics.framesIn == 3)
            #expect(link.metrics["sfu_link_frames_total direction=out"] == 2)
            #expect(link.metrics["sfu_link_bytes_total direction=in"] == Int64(statistics.bytesIn))
            #expect(link.metrics["sfu_link_connects_total"] == 1)
        }
    }
}

@Suite struct BackoffTests {
    @Test func waitsDoubleUpToABound() {
        var backoff = Backoff()
        #expect((0..<7).map { _ in backoff.next().milliseconds } == [100, 200, 400, 800, 1600, 2000, 2000])
        backoff.reset()
        #expect(backoff.next().milliseconds == 100)
    }
}
