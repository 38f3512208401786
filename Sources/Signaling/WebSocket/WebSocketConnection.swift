// One WebSocket as a plain channel handler: frames in, whole text messages to the delegate, text and Close out.
// Must not know rooms, messages or HTTP. About a quarter of a kilobyte besides its channel.
import NIOCore
import NIOWebSocket
import RTP

final class WebSocketConnection: ChannelInboundHandler, SignalingSocket {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private enum State {
        case open
        /// Our Close frame is on its way; only the peer's Close or the end of the connection counts now.
        case closing
        case closed
    }

    private let hub: WebSocketHub
    /// The delegate's number for it.
    private(set) var id: ConnectionID?
    /// Until the delegate has it.
    private var request: SignalingRequest?
    private var context: ChannelHandlerContext?
    private var state = State.open
    private var assembler = MessageAssembler()
    /// Since something was read, as far as the hub was there to read it.
    private var silence = TimeAmount.zero
    private var pinged = false
    /// As the delegate wants it.
    private var readingPaused = false
    /// Until the next tick: the client sends more than its share.
    private var isHeldBack = false
    /// Frames and bytes since the last tick.
    private var read = (frames: 0, bytes: 0)
    private var flushPending = false
    /// The newest PING that was not answered: nothing could be written, or enough was (RFC 6455 §5.5.3).
    private var owedPong: ByteBuffer?
    /// Since the last flush.
    private var pongs = 0
    private var closeTimer: Scheduled<Void>?

    init(hub: WebSocketHub, request: SignalingRequest) {
        self.hub = hub
        self.request = request
    }

    // MARK: SignalingSocket

    var isWritable: Bool { state == .open && context?.channel.isWritable == true }

    func send(text: ByteBuffer) {
        guard state == .open, let context else { return }
        hub.counted(sent: text.readableBytes)
        write(.text, text, context)
    }

    func close(code: UInt16, reason: String) {
        guard state == .open, let context else { return }
        var payload = context.channel.allocator.buffer(capacity: 2 + 123)
        payload.writeInteger(code)
        payload.writeString(Self.fitting(reason))
        startClosing(payload, context)
        hub.counted(close: code)
    }

    /// While reading is stopped, silence is not judged.
    func pauseReading(_ paused: Bool) {
        guard paused != readingPaused else { return }
        readingPaused = paused
        applyReading()
    }

    // MARK: channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard let request else { return }
        self.request = nil
        id = hub.opened(self, request)
        if state == .closed, let id { hub.delegate.socketClosed(id) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish()
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        silence = .zero
        pinged = false
        let frame = unwrapInboundIn(data)
        let onFrame = assembler.receive(frame)
        guard state == .open else {
            // What was written in this turn goes first, our own Close frame perhaps.
            if case .close = onFrame {
                flush()
                context.close(promise: nil)
            }
            return
        }
        count(frame)
        switch onFrame {
        case .nothing, .pong: break
        case .text(let text):
            hub.counted(received: text.readableBytes)
            if let id { hub.delegate.socketReceived(text, on: id) }
        case .ping(let payload): answer(ping: payload, context)
        case .close(let code): answer(close: code, context)
        case .violation(let code, let reason): close(code: code, reason: reason)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, state == .open {
            if let payload = owedPong {
                owedPong = nil
                write(.pong, payload, context)
            }
        }
        if let id, state == .open {
            hub.delegate.socketWritabilityChanged(id, isWritable: context.channel.isWritable)
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            close(code: CloseCode.drain.rawValue, reason: "the server is restarting")
        case ChannelEvent.inputClosed:
            // Nothing more can come, and a WebSocket is of no use in one direction.
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength: close(code: 1009, reason: "message too large")
        case is NIOWebSocketError: close(code: 1002, reason: "invalid control frame")
        // What comes after the broken frame. The peer gets its time to read why.
        case is ByteToMessageDecoderError where state == .closing: break
        default: context.close(promise: nil)
        }
    }

    // MARK: time

    /// Called about once a second, with the time since the last call.
    func tick(_ elapsed: TimeAmount) {
        read = (0, 0)
        if isHeldBack {
            isHeldBack = false
            applyReading()
        }
        guard state == .open, !readingPaused, let context else { return }
        silence = silence + elapsed
        if silence >= TimeAmount(Limits.WebSocket.deadAfter) {
            close(code: CloseCode.heartbeatTimeout.rawValue, reason: "no sign of life")
            hub.flushNow()
            context.close(promise: nil)
        } else if silence >= TimeAmount(Limits.WebSocket.pingAfter), !pinged {
            pinged = true
            write(.ping, ByteBuffer(), context)
        }
    }

    func flush() {
        flushPending = false
        pongs = 0
        if let payload = owedPong, isWritable, let context {
            owedPong = nil
            context.write(
                wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: payload)),
                promise: nil
            )
        }
        context?.flush()
    }

    // MARK: parts

    private func answer(ping payload: ByteBuffer, _ context: ChannelHandlerContext) {
        guard context.channel.isWritable, pongs < Limits.WebSocket.pongsPerFlush else {
            owedPong = payload
            return
        }
        // A newer answer is one for all that are owed.
        owedPong = nil
        pongs += 1
        write(.pong, payload, context)
    }

    /// However small its frames are, a client has its share of the loop and no more.
    private func count(_ frame: WebSocketFrame) {
        read.frames += 1
        read.bytes += frame.length
        guard !isHeldBack,
            read.frames >= Limits.WebSocket.framesPerSecond || read.bytes >= Limits.WebSocket.bytesPerSecond
        else { return }
        isHeldBack = true
        applyReading()
    }

    private func applyReading() {
        guard let context else { return }
        silence = .zero
        try? context.channel.syncOptions?.setOption(.autoRead, value: !readingPaused && !isHeldBack)
    }

    private func answer(close code: UInt16?, _ context: ChannelHandlerContext) {
        state = .closing
        var payload = context.channel.allocator.buffer(capacity: 2)
        if let code { payload.writeInteger(code) }
        hub.counted(close: code ?? 1005)
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: payload)
        armCloseTimer(context)
        // §7.1.1: the server closes the connection first, once its answer is out.
        context.writeAndFlush(wrapOutboundOut(frame)).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    private func startClosing(_ payload: ByteBuffer, _ context: ChannelHandlerContext) {
        write(.connectionClose, payload, context)
        state = .closing
        owedPong = nil
        readingPaused = false
        isHeldBack = false
        applyReading()
        armCloseTimer(context)
    }

    private func armCloseTimer(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        closeTimer = context.eventLoop.scheduleTask(in: TimeAmount(Limits.WebSocket.closeTimeout)) {
            bound.value.context?.close(promise: nil)
        }
    }

    private func finish() {
        guard state != .closed else { return }
        state = .closed
        closeTimer?.cancel()
        closeTimer = nil
        context = nil
        owedPong = nil
        hub.closed(self, id)
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        let frame = WebSocketFrame(fin: true, opcode: opcode, data: data)
        context.write(wrapOutboundOut(frame), promise: nil)
        guard !flushPending else { return }
        flushPending = true
        hub.flushLater(self)
    }

    /// A control frame carries 125 bytes, two of them the code; a character is never cut.
    private static func fitting(_ reason: String) -> String {
        var reason = reason
        while reason.utf8.count > 123 { reason.removeLast() }
        return reason
    }
}

extension TimeAmount {
    init(_ interval: Interval) { self = .microseconds(interval.microseconds) }
}
