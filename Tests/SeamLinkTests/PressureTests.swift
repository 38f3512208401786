// One side is slower than the other: queues stay bounded, nobody is held up, and the state is told again.
import NIOCore
import RTP
import Seam
import Testing

@testable import SeamLink

@Suite struct PressureTests {
    @Test func aGatewayThatDoesNotReadCostsABoundedQueueAndHearsTheStateAgain() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane(sessions: 3)
            let server = try await link.server(plane, queuedEvents: 500)
            let (peer, channel) = try await link.rawGateway(reads: false)
            _ = await plane.reports.wait(count: 1)
            // Each of these is said only once; the kernel and the process hold a few megabytes of them.
            var emitted = 0
            while await server.isWritable {
                plane.emit((emitted..<emitted + 100).map { Samples.closed($0) })
                emitted += 100
                while await server.isWritable, server.queue.waiting > 0 { await Task.yield() }
                try #require(emitted < 10_000_000)
            }
            #expect(server.queue.overflows == 0)
            while server.queue.overflows == 0 {
                plane.emit((0..<100).map { Samples.closed($0) })
                #expect(server.queue.waiting <= 500)
            }
            #expect(server.queue.dropped > 500)
            #expect(plane.reports.all.count == 1, "asked for when it can be told, not before")
            try await channel.setOption(.autoRead, value: true).get()
            #expect(await plane.reports.wait(count: 2)?.count == 2)
            plane.emit([Samples.closed(-1)])
            let coder = LinkCoder()
            let last = await peer.frames.wait { frames -> [Frame]? in
                guard let frame = frames.last, frame.kind == .events,
                    let events = try? coder.value([Event].self, of: frame), events.last == Samples.closed(-1)
                else { return nil }
                return frames
            }
            let kinds = try #require(last).map(\.kind)
            #expect(kinds.count { $0 == .state } == 2)
            // After the second state there is nothing of what waited before.
            let second = try #require(kinds.lastIndex(of: .state))
            #expect(kinds[second...].count { $0 == .events } == 1)
            channel.close(promise: nil)
        }
    }

    @Test func whereTheMailboxIsFullReadingStopsAndNothingIsLost() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            plane.room = 0
            try await link.server(plane)
            let (client, events) = try await link.client(queuedCommands: 50)
            #expect(await events.states(1) == ["e"])
            // Fills the socket, then the queue.
            let text = String(repeating: "x", count: Limits.Media.attachmentBytes)
            var sent: [Command] = []
            var refused = 0
            while refused < 1000 {
                let command = Command.attach(
                    Samples.session,
                    key: "k",
                    revision: UInt64(sent.count),
                    text: text
                )
                if client.send(command) {
                    sent.append(command)
                    refused = 0
                } else {
                    refused += 1
                    await Task.yield()
                }
                try #require(sent.count < 100_000)
            }
            #expect(sent.count > 50)
            #expect(plane.commands.all.isEmpty)
            plane.room = .max
            #expect(await plane.commands.wait(count: sent.count) == sent)
        }
    }

    @Test func aStalledGatewayIsNotTakenForDead() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            plane.room = 0
            let server = try await link.server(plane)
            let (_, channel) = try await link.rawGateway()
            try await channel.writeAndFlush(LinkCoder().bytes(.commands, [Command.close(Samples.session)]))
            while await server.gateway?.isStalled != true { await Task.yield() }
            for _ in 0..<5 {
                link.clock.advance(by: Limits.Link.deadAfter)
                await server.tick(at: link.clock.now)
            }
            #expect(await server.gateway != nil)
            plane.room = 1
            #expect(await plane.commands.wait(count: 1) == [.close(Samples.session)])
            channel.close(promise: nil)
        }
    }

    /// The queue of a connection that ended while it could take nothing must wake the next one.
    @Test func afterAStuckGatewayTheNextOneIsServed() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            let server = try await link.server(plane, queuedEvents: 500)
            let (_, channel) = try await link.rawGateway(reads: false)
            _ = await plane.reports.wait(count: 1)
            while server.queue.overflows == 0 { plane.emit((0..<100).map { Samples.closed($0) }) }
            try await channel.close()
            let (_, events) = try await link.client()
            #expect(await events.states(1) == ["e"])
            plane.emit([Samples.closed(7)])
            #expect(await events.wait(count: 2)?.last == Samples.closed(7))
        }
    }
}

@Suite struct OrphanTests {
    private let closes: [Command] = (0..<3).map { .close(SessionID("se_\($0)")) }

    @Test func mediaWithoutAGatewayLivesItsTime() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane(sessions: 3)
            let server = try await link.server(plane)
            let (peer, channel) = try await link.rawGateway()
            _ = await peer.frames.wait { $0.first { $0.kind == .state } }
            link.clock.advance(by: .seconds(60))
            try await channel.close()
            while await server.gateway != nil { await Task.yield() }
            link.clock.advance(by: Limits.Media.gatewayAbsence - .milliseconds(1))
            await server.tick(at: link.clock.now)
            #expect(plane.reports.all.count == 1)
            link.clock.advance(by: .milliseconds(1))
            await server.tick(at: link.clock.now)
            let commands = try #require(await plane.commands.wait(count: 3))
            #expect(Set(commands.map { "\($0)" }) == Set(closes.map { "\($0)" }))
            #expect(await server.counts.orphansClosed == 3)
            await server.tick(at: link.clock.now)
            #expect(plane.commands.all.count == 3 && plane.reports.all.count == 2)
        }
    }

    @Test func aFullMailboxIsTriedAgain() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane(sessions: 3)
            plane.room = 1
            let server = try await link.server(plane)
            link.clock.advance(by: Limits.Media.gatewayAbsence)
            await server.tick(at: link.clock.now)
            #expect(await plane.commands.wait(count: 1)?.count == 1)
            plane.room = 5
            await server.tick(at: link.clock.now)
            #expect(await plane.commands.wait(count: 3)?.count == 3)
        }
    }

    @Test func aGatewayThatComesBackInTimeFindsItsSessions() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane(sessions: 3)
            let server = try await link.server(plane)
            link.clock.advance(by: Limits.Media.gatewayAbsence - .milliseconds(1))
            let (peer, channel) = try await link.rawGateway()
            _ = await peer.frames.wait { $0.first { $0.kind == .state } }
            link.clock.advance(by: Limits.Link.pingInterval)
            await server.tick(at: link.clock.now)
            try await channel.close()
            while await server.gateway != nil { await Task.yield() }
            link.clock.advance(by: Limits.Media.gatewayAbsence - .milliseconds(1))
            await server.tick(at: link.clock.now)
            #expect(plane.commands.all.isEmpty && plane.reports.all.count == 1)
        }
    }
}
