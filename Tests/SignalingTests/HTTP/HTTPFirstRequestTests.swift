import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Signaling

@Suite("A connection until its first request, on virtual time")
struct HTTPFirstRequestTests {
    private final class Harness {
        let loop = EmbeddedEventLoop()
        let channel: EmbeddedChannel
        let outcome: EventLoopFuture<HTTPConnection?>

        init() throws {
            channel = EmbeddedChannel(loop: loop)
            let promise = loop.makePromise(of: HTTPConnection?.self)
            outcome = promise.futureResult
            let handler = FirstRequestHandler(
                isTLS: false,
                timeout: .seconds(10),
                outcome: promise,
                logger: Logger(label: "test")
            )
            try channel.pipeline.syncOperations.addHandler(handler)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }

        /// The status that was answered, if any.
        func status() throws -> HTTPResponseStatus? {
            guard case .head(let head) = try channel.readOutbound(as: HTTPServerResponsePart.self) else {
                return nil
            }
            #expect(head.headers["connection"] == ["close"])
            return head.status
        }

        /// Whether the connection ended without HTTP.
        func isOver() throws -> Bool {
            loop.run()
            return try !channel.isActive && outcome.wait() == nil
        }
    }

    @Test func silenceEndsWithoutAWord() throws {
        let harness = try Harness()
        harness.loop.advanceTime(by: .milliseconds(9999))
        #expect(harness.channel.isActive)
        harness.loop.advanceTime(by: .milliseconds(1))
        #expect(try harness.status() == nil)
        #expect(try harness.isOver())
    }

    @Test func aHeadThatDoesNotEndIsTold() throws {
        let harness = try Harness()
        for _ in 0..<9 {
            // Bytes that are not a head yet do not start the time anew.
            harness.channel.pipeline.fireChannelReadComplete()
            harness.loop.advanceTime(by: .seconds(1))
        }
        #expect(try harness.status() == nil)
        harness.loop.advanceTime(by: .seconds(1))
        #expect(try harness.status() == .requestTimeout)
        #expect(try harness.isOver())
    }

    @Test func garbageIsTold() throws {
        for (error, status) in [
            (HTTPParserError.invalidMethod, HTTPResponseStatus.badRequest),
            (.headerOverflow, .requestHeaderFieldsTooLarge),
        ] {
            let harness = try Harness()
            harness.channel.pipeline.fireErrorCaught(error)
            #expect(try harness.status() == status)
            #expect(try harness.isOver())
        }
    }

    @Test func shutdownAndHalfCloseEndIt() throws {
        for event in [ChannelShouldQuiesceEvent(), ChannelEvent.inputClosed] as [any Sendable] {
            let harness = try Harness()
            harness.channel.pipeline.fireUserInboundEventTriggered(event)
            #expect(try harness.status() == nil)
            #expect(try harness.isOver())
        }
    }
}
