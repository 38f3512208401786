import Metrics
import NIOCore
import NIOEmbedded
import NIOWebSocket
import RTP
import Testing

@testable import Signaling

@Suite("One socket, on a clock of its own")
struct WebSocketConnectionTests {
    /// A socket over an embedded channel.
    private final class Harness {
        let loop = EmbeddedEventLoop()
        let channel: EmbeddedChannel
        let delegate: EchoSockets
        let hub: WebSocketHub
        let registry = PrometheusRegistry()
        private var clock = NIODeadline.uptimeNanoseconds(1)

        init() throws {
            channel = EmbeddedChannel(loop: loop)
            delegate = EchoSockets(eventLoop: loop)
            let time = NIOLoopBoundBox(NIODeadline.uptimeNanoseconds(1), eventLoop: loop)
            hub = WebSocketHub(delegate: delegate, eventLoop: loop, metrics: registry, now: { time.value })
            self.time = time
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try hub.accept(channel, SignalingRequest(room: "r", remoteAddress: "127.0.0.1"))
        }

        private let time: NIOLoopBoundBox<NIODeadline>

        /// Looks at the clock each second, as a server does.
        func advance(_ amount: TimeAmount) {
            var rest = amount
            while rest > .zero {
                let step = min(rest, .seconds(1))
                stall(step)
                rest = rest - step
            }
        }

        /// Nobody looks at the clock for so long.
        func stall(_ amount: TimeAmount) {
            time.value = time.value + amount
            loop.advanceTime(by: amount)
            hub.sweep()
            loop.run()
        }

        func receive(_ opcode: WebSocketOpcode, _ text: String = "") throws {
            let key: WebSocketMaskingKey = [1, 2, 3, 4]
            var data = ByteBuffer(string: text)
            data.webSocketMask(key)
            try channel.writeInbound(WebSocketFrame(fin: true, opcode: opcode, maskKey: key, data: data))
            loop.run()
        }

        var isRead: Bool {
            channel.options.first { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool ?? true
        }

        func sent() throws -> WebSocketFrame? { try channel.readOutbound(as: WebSocketFrame.self) }
    }

    @Test func silenceIsPingedThenEnded() throws {
        let harness = try Harness()
        harness.advance(.seconds(9))
        #expect(try harness.sent() == nil)
        harness.advance(.seconds(1))
        #expect(try harness.sent()?.opcode == .ping)
        harness.advance(.seconds(5))
        #expect(try harness.sent() == nil)
        // Any byte counts as life, and starts the count anew.
        try harness.receive(.pong)
        harness.advance(.seconds(9))
        #expect(try harness.sent() == nil)
        harness.advance(.seconds(1))
        #expect(try harness.sent()?.opcode == .ping)
        harness.advance(.seconds(14))
        #expect(harness.channel.isActive)
        harness.advance(.seconds(1))
        var close = try #require(try harness.sent())
        #expect(close.opcode == .connectionClose)
        #expect(close.data.readInteger(as: UInt16.self) == CloseCode.heartbeatTimeout.rawValue)
        #expect(!harness.channel.isActive)
        #expect(harness.delegate.openCount == 0)
        #expect(harness.hub.count == 0)
    }

    @Test func aServerThatStoodStillCallsNobodyDead() throws {
        let harness = try Harness()
        harness.advance(.seconds(9))
        harness.stall(.seconds(60))
        // It asks first, and waits for the answer as long as ever.
        #expect(try harness.sent()?.opcode == .ping)
        harness.stall(.seconds(60))
        harness.advance(.seconds(11))
        #expect(harness.channel.isActive)
        try harness.receive(.pong)
        harness.advance(.seconds(9))
        #expect(try harness.sent() == nil)
    }

    @Test func whoIsHeldBackIsNotCalledDead() throws {
        let harness = try Harness()
        let connection = try harness.channel.pipeline.syncOperations.handler(type: WebSocketConnection.self)
        connection.pauseReading(true)
        harness.advance(.seconds(60))
        #expect(harness.channel.isActive)
        #expect(try harness.sent() == nil)
        connection.pauseReading(false)
        harness.advance(.seconds(10))
        #expect(try harness.sent()?.opcode == .ping)
        #expect(harness.channel.isActive)
    }

    @Test func anUnansweredCloseEndsAfterItsTime() throws {
        let harness = try Harness()
        try harness.receive(.text, "close:4101")
        #expect(try harness.sent()?.opcode == .connectionClose)
        try harness.receive(.text, "not heard")
        #expect(try harness.sent() == nil)
        harness.advance(.milliseconds(1999))
        #expect(harness.channel.isActive)
        harness.advance(.milliseconds(1))
        #expect(!harness.channel.isActive)
        #expect(harness.hub.count == 0)
    }

    @Test func closingTwiceSendsOneFrame() throws {
        let harness = try Harness()
        let connection = try harness.channel.pipeline.syncOperations.handler(type: WebSocketConnection.self)
        connection.close(code: 4000, reason: String(repeating: "ä", count: 100))
        connection.close(code: 4001, reason: "")
        connection.send(text: ByteBuffer(string: "late"))
        harness.loop.run()
        var close = try #require(try harness.sent())
        #expect(close.data.readableBytes <= 125)
        #expect(close.data.readInteger(as: UInt16.self) == 4000)
        #expect(MessageAssembler.isUTF8(close.data))
        #expect(try harness.sent() == nil)
        #expect(!connection.isWritable)
    }

    @Test func pingsAreAnsweredOnceWhenNothingCanBeWritten() throws {
        let harness = try Harness()
        harness.channel.isWritable = false
        for number in 0..<50 { try harness.receive(.ping, "\(number)") }
        #expect(try harness.sent() == nil)
        harness.channel.isWritable = true
        harness.channel.pipeline.fireChannelWritabilityChanged()
        harness.loop.run()
        let pong = try #require(try harness.sent())
        #expect(pong.opcode == .pong)
        #expect(String(buffer: pong.data) == "49")
        #expect(try harness.sent() == nil)
    }

    @Test func pingsOfOneTurnAreAnsweredInModeration() throws {
        let harness = try Harness()
        let key: WebSocketMaskingKey = [1, 2, 3, 4]
        for number in 0..<50 {
            var data = ByteBuffer(string: "\(number)")
            data.webSocketMask(key)
            try harness.channel.writeInbound(
                WebSocketFrame(fin: true, opcode: .ping, maskKey: key, data: data)
            )
        }
        harness.loop.run()
        var answers: [String] = []
        while let pong = try harness.sent() { answers.append(String(buffer: pong.data)) }
        #expect(answers == (0..<Limits.WebSocket.pongsPerFlush).map(String.init) + ["49"])
        try harness.receive(.ping, "next")
        #expect(try harness.sent().map { String(buffer: $0.data) } == "next")
        #expect(try harness.sent() == nil)
    }

    @Test func manyFramesAreReadInTheNextSecond() throws {
        let harness = try Harness()
        for _ in 1..<Limits.WebSocket.framesPerSecond { try harness.receive(.pong) }
        #expect(harness.isRead)
        try harness.receive(.pong)
        #expect(!harness.isRead)
        // What had been read already still counts.
        try harness.receive(.text, "heard")
        #expect(try harness.sent().map { String(buffer: $0.data) } == "heard")
        harness.advance(.seconds(1))
        #expect(harness.isRead)
        try harness.receive(.pong)
        #expect(harness.isRead)
    }

    @Test func manyBytesAreReadInTheNextSecond() throws {
        let harness = try Harness()
        let text = String(repeating: "x", count: Limits.WebSocket.messageBytes)
        for _ in 1..<(Limits.WebSocket.bytesPerSecond / text.utf8.count) { try harness.receive(.text, text) }
        #expect(harness.isRead)
        try harness.receive(.text, text)
        #expect(!harness.isRead)
        // Whoever the delegate holds back as well is read when both agree.
        let connection = try harness.channel.pipeline.syncOperations.handler(type: WebSocketConnection.self)
        connection.pauseReading(true)
        harness.advance(.seconds(1))
        #expect(!harness.isRead)
        connection.pauseReading(false)
        #expect(harness.isRead)
    }

    @Test func whoIsToldToCloseIsReadAgain() throws {
        let harness = try Harness()
        for _ in 0..<Limits.WebSocket.framesPerSecond { try harness.receive(.pong) }
        #expect(!harness.isRead)
        try harness.receive(.text, "close:4101")
        #expect(harness.isRead)
        for _ in 0..<Limits.WebSocket.framesPerSecond { try harness.receive(.pong) }
        #expect(harness.isRead)
    }

    @Test func messagesOfOneTurnShareAFlush() throws {
        let harness = try Harness()
        let connection = try harness.channel.pipeline.syncOperations.handler(type: WebSocketConnection.self)
        for _ in 0..<3 { connection.send(text: ByteBuffer(string: "x")) }
        #expect(try harness.sent() == nil)
        harness.loop.run()
        for _ in 0..<3 { #expect(try harness.sent()?.opcode == .text) }
    }

    @Test func closesAreCountedByCode() throws {
        let harness = try Harness()
        try harness.receive(.text, "close:4100")
        var text = PrometheusText()
        harness.registry.write(to: &text)
        #expect(text.text.contains("sfu_signal_sockets_closed_total{code=\"4100\"} 1\n"))
        #expect(text.text.contains("sfu_signal_sockets 1\n"))
    }
}
