// The end of a connection's pipeline until its first request: what reaches it is not an upgrade, and is handed to
// HTTP. Also the only one who minds slow, silent and garbled connections until then. Must not know routes.
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOWebSocket
import RTP

typealias HTTPConnection = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

final class FirstRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let isTLS: Bool
    private let logger: Logger
    private let timeout: TimeAmount
    /// Succeeds with nil when no HTTP comes of this connection.
    private let outcome: EventLoopPromise<HTTPConnection?>
    private var isDecided = false
    private var sawBytes = false
    private var timer: Scheduled<Void>?

    init(isTLS: Bool, timeout: TimeAmount, outcome: EventLoopPromise<HTTPConnection?>, logger: Logger) {
        self.isTLS = isTLS
        self.timeout = timeout
        self.outcome = outcome
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: timeout) {
            let (handler, context) = bound.value
            guard !handler.isDecided else { return }
            handler.timer = nil
            if handler.sawBytes {
                handler.refuse(.requestTimeout, context)
            } else {
                context.close(promise: nil)
            }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { decide(nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isDecided { handOver(context) }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        sawBytes = true
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        decide(nil)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard !isDecided else { return context.fireUserInboundEventTriggered(event) }
        switch event {
        case is ChannelShouldQuiesceEvent, ChannelEvent.inputClosed: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDecided else { return context.fireErrorCaught(error) }
        switch error {
        // The upgrader says so before it lets a refused request through.
        case is NIOWebSocketUpgradeError: break
        case HTTPParserError.headerOverflow: refuse(.requestHeaderFieldsTooLarge, context)
        case is HTTPParserError: refuse(.badRequest, context)
        default: context.close(promise: nil)
        }
    }

    private func handOver(_ context: ChannelHandlerContext) {
        do {
            let pipeline = context.pipeline.syncOperations
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: isTLS))
            let idle = Duration.microseconds(Limits.HTTP.idleTimeout.microseconds)
            try pipeline.addHandler(HTTPConnectionStateHandler(idleTimeout: idle, logger: logger))
            let connection = try HTTPConnection(
                wrappingChannelSynchronously: context.channel,
                configuration: .init(isOutboundHalfClosureEnabled: true)
            )
            decide(connection)
        } catch {
            decide(nil)
            context.close(promise: nil)
        }
    }

    private func decide(_ connection: HTTPConnection?) {
        guard !isDecided else { return }
        isDecided = true
        timer?.cancel()
        timer = nil
        outcome.succeed(connection)
    }

    private func refuse(_ status: HTTPResponseStatus, _ context: ChannelHandlerContext) {
        decide(nil)
        let headers: HTTPHeaders = ["connection": "close", "content-length": "0"]
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }
}
