import Logging
import NIOCore
import NIOEmbedded
import RTP
import Seam
import Synchronization
import Testing

@testable import Signaling

@Suite("How often a gateway looks at the time")
struct GatewayTickTests {
    /// A gateway on a loop whose time stands still, and how often it asked for the time.
    private final class Harness: Sendable {
        let loop = NIOAsyncTestingEventLoop()
        let gateway: Gateway
        private let reads: Reads

        private final class Reads: Sendable {
            let count = Mutex(0)
        }

        init() {
            let reads = Reads()
            self.reads = reads
            gateway = Gateway(
                eventLoop: loop,
                media: FakeMediaPlane(),
                verifier: FakeVerifier(),
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
                clock: {
                    reads.count.withLock { $0 += 1 }
                    return Instant(microseconds: 1_000_000)
                },
                wallClock: { 1_795_000_000_000 }
            )
        }

        /// Ticks of the next second; each asks once.
        func ticks() async -> Int {
            reads.count.withLock { $0 = 0 }
            await loop.advanceTime(by: .seconds(1))
            return reads.count.withLock { $0 }
        }
    }

    @Test func oftenWhileSomebodyIsConnectedAndSeldomElse() async {
        let harness = Harness()
        await harness.gateway.start()
        #expect(await harness.ticks() == 4)
        let socket = FakeSocket()
        let request = SignalingRequest(room: "standup", remoteAddress: "192.0.2.9", traceparent: nil)
        let id = await harness.gateway.opened(socket, request: request)
        #expect(await harness.ticks() == 20)
        await harness.gateway.closed(id)
        // The one that was on its way, then the slow ones.
        #expect((4...5).contains(await harness.ticks()))
        await harness.gateway.shutdown()
        #expect(await harness.ticks() == 0)
    }

    /// Who connects just after a slow tick does not wait for the next.
    @Test func aSocketHurriesTheNextTick() async {
        let harness = Harness()
        await harness.gateway.start()
        await harness.loop.advanceTime(by: .milliseconds(10))
        let request = SignalingRequest(room: "standup", remoteAddress: "192.0.2.9", traceparent: nil)
        let socket = FakeSocket()
        _ = await harness.gateway.opened(socket, request: request)
        let before = await harness.gateway.lastSweep
        await harness.loop.advanceTime(by: .milliseconds(50))
        #expect(before == nil)
        #expect(await harness.gateway.lastSweep != nil)
    }
}
