// Who is not let in: other versions, strangers, second gateways, and those who say nothing.
import NIOCore
import NIOPosix
import RTP
import Seam
import Testing

@testable import SeamLink

@Suite struct RefusalTests {
    /// Whatever somebody did, the next gateway is let in.
    private func expectService(_ link: LinkFixture) async throws {
        let (client, events) = try await link.client()
        #expect(await events.states(1) == ["e"])
        #expect(client.isConnected)
    }

    @Test func aGatewayOfAnotherVersionIsToldSo() async throws {
        try await LinkFixture.run { link in
            try await link.server(FakePlane())
            let (peer, channel) = try await RawPeer.connect(to: link.path)
            try await channel.writeAndFlush(Frame.bytes(.hello, version: 9, body: ByteBuffer(string: "{}")))
            let ending = try await peer.ending()
            #expect(ending.reason == .fault)
            #expect(ending.text.contains("version 9"))
            try await expectService(link)
        }
    }

    /// A media plane of a later version, as it answers this one.
    @Test func aMediaPlaneOfAnotherVersionIsNamed() async throws {
        try await LinkFixture.run { link in
            let listener = try await ServerBootstrap(group: link.group)
                .childChannelInitializer { channel in
                    let bytes = Frame.bytes(.end, version: 9, body: ByteBuffer(string: "{}"))
                    return channel.pipeline.addHandler(Sayer(bytes))
                }
                .bind(unixDomainSocketPath: link.path).get()
            let (client, events) = try await link.client()
            var absence = client.absence
            while absence?.contains("version 9") != true {
                await Task.yield()
                absence = client.absence
            }
            #expect(absence?.contains("run the same build of sfu on both sides") == true)
            #expect(events.all.isEmpty)
            try await listener.close()
        }
    }

    @Test(arguments: ["GET / HTTP/1.1\r\n\r\n", "\u{0}", "SF\u{1}\u{63}"])
    func strangersAreRefused(text: String) async throws {
        try await LinkFixture.run { link in
            try await link.server(FakePlane())
            let (peer, channel) = try await RawPeer.connect(to: link.path)
            try await channel.writeAndFlush(ByteBuffer(string: text))
            #expect(try await peer.ending().reason == .fault)
            try await expectService(link)
        }
    }

    @Test func commandsBeforeHelloAreRefused() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            try await link.server(plane)
            let (peer, channel) = try await RawPeer.connect(to: link.path)
            try await channel.writeAndFlush(LinkCoder().bytes(.commands, [Command.close(Samples.session)]))
            #expect(try await peer.ending().reason == .fault)
            try await expectService(link)
            #expect(plane.commands.all.isEmpty)
        }
    }

    @Test func aLargeGreetingIsRefusedUnread() async throws {
        try await LinkFixture.run { link in
            try await link.server(FakePlane())
            let (peer, channel) = try await RawPeer.connect(to: link.path)
            var head = ByteBuffer(bytes: [0x53, 0x46, LinkVersion.current, 1])
            head.writeInteger(UInt32(Limits.Link.greetingBytes + 1))
            try await channel.writeAndFlush(head)
            #expect(try await peer.ending().text.contains("\(Limits.Link.greetingBytes + 1) bytes"))
            try await expectService(link)
        }
    }

    @Test func aGatewayThatSendsGarbageIsLetGo() async throws {
        try await LinkFixture.run { link in
            try await link.server(FakePlane())
            let (peer, channel) = try await link.rawGateway()
            _ = await peer.frames.wait { $0.first { $0.kind == .state } }
            try await channel.writeAndFlush(
                Frame.bytes(.commands, body: ByteBuffer(string: "[{\"fly\":{}}]"))
            )
            #expect(try await peer.ending().reason == .fault)
            try await expectService(link)
        }
    }

    @Test func aSecondGatewayWaitsForTheFirst() async throws {
        try await LinkFixture.run { link in
            let plane = FakePlane()
            try await link.server(plane)
            let (first, firstEvents) = try await link.client()
            #expect(await firstEvents.states(1) == ["e"])
            let (peer, _) = try await link.rawGateway()
            let ending = try await peer.ending()
            #expect(ending.reason == .occupied)
            #expect(ending.text.contains("process 2"))
            let (second, secondEvents) = try await link.client()
            await first.sendSoon(.close(Samples.session))
            _ = await plane.commands.wait(count: 1)
            #expect(first.isConnected && !second.isConnected)
            #expect(secondEvents.all.isEmpty)
            await first.stop()
            #expect(await secondEvents.states(1) == ["e"])
        }
    }

    @Test func whoSaysNothingIsLetGo() async throws {
        try await LinkFixture.run { link in
            let server = try await link.server(FakePlane())
            let (peer, channel) = try await RawPeer.connect(to: link.path)
            // The server knows of it once it is served; a second connection comes behind it.
            let (gateway, _) = try await link.rawGateway()
            _ = await gateway.frames.wait { $0.first { $0.kind == .state } }
            link.clock.advance(by: Limits.Link.greetingTimeout)
            await server.tick(at: link.clock.now)
            #expect(try await peer.ending().reason == .silent)
            try? await channel.close()
        }
    }

    @Test func onlySoManyStrangersMayWait() async throws {
        try await LinkFixture.run { link in
            try await link.server(FakePlane())
            var strangers: [(RawPeer, any Channel)] = []
            for _ in 0...Limits.Link.greetings { strangers.append(try await RawPeer.connect(to: link.path)) }
            let last = try #require(strangers.last)
            #expect(await last.0.ends.wait { $0.first } == .some(nil))
            #expect(strangers.dropLast().allSatisfy { $0.0.ends.all.isEmpty })
            for stranger in strangers { stranger.1.close(promise: nil) }
            for stranger in strangers { _ = await stranger.0.ends.wait { $0.first } }
            try await expectService(link)
        }
    }

    @Test func aGatewayThatHangsIsLetGo() async throws {
        try await LinkFixture.run { link in
            let server = try await link.server(FakePlane())
            let (peer, channel) = try await link.rawGateway()
            _ = await peer.frames.wait { $0.first { $0.kind == .state } }
            link.clock.advance(by: Limits.Link.pingInterval)
            await server.tick(at: link.clock.now)
            _ = await peer.frames.wait { $0.first { $0.kind == .ping } }
            // Whoever answers stays.
            try await channel.writeAndFlush(LinkCoder().bytes(.pong))
            while await server.gateway?.lastHeard != link.clock.now { await Task.yield() }
            link.clock.advance(by: Limits.Link.deadAfter - .milliseconds(1))
            await server.tick(at: link.clock.now)
            #expect(await server.gateway != nil)
            link.clock.advance(by: .milliseconds(1))
            await server.tick(at: link.clock.now)
            #expect(await server.gateway == nil)
            #expect(try await peer.ending().reason == .silent)
        }
    }

    @Test func aMediaPlaneThatHangsIsLeftAndTriedAgain() async throws {
        try await LinkFixture.run { link in
            try await link.server(FakePlane())
            let (client, events) = try await link.client()
            #expect(await events.states(1) == ["e"])
            link.clock.advance(by: Limits.Link.deadAfter)
            await client.tick(at: link.clock.now)
            #expect(await events.states(2) == ["e", "e"])
        }
    }
}
