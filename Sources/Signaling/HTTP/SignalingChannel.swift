// One accepted connection: TLS, HTTP/1.1, and the fork between requests and a WebSocket. The router decides about the
// upgrade; NIO's untyped upgrader carries it out, because the typed one loses the requests that it refuses.
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL
import NIOWebSocket
import RTP

struct SignalingChannel: HTTPChannelHandler {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        /// nil: the connection became a WebSocket, or ended.
        let http: EventLoopFuture<HTTPConnection?>
    }

    let dispatcher: RequestDispatcher
    let certificate: TLSCertificate?
    let hub: NIOLoopBoundBox<WebSocketHub>
    let firstRequestTimeout: TimeAmount

    var responder: Responder { dispatcher.responder }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            // NIO keeps the largest buffer that a connection has read into: it begins small, for those that stay idle.
            let reading = AdaptiveRecvByteBufferAllocator(
                minimum: Limits.HTTP.leastReadBytes,
                initial: Limits.HTTP.leastReadBytes,
                maximum: Limits.HTTP.readBytes
            )
            try channel.syncOptions?.setOption(.recvAllocator, value: reading)
            let pipeline = channel.pipeline.syncOperations
            if let certificate {
                try pipeline.addHandler(NIOSSLServerHandler(context: certificate.context))
            }
            let outcome = channel.eventLoop.makePromise(of: HTTPConnection?.self)
            let first = FirstRequestHandler(
                isTLS: certificate != nil,
                timeout: firstRequestTimeout,
                outcome: outcome,
                logger: logger
            )
            let bound = NIOLoopBound(first, eventLoop: channel.eventLoop)
            do {
                var limits = NIOHTTPDecoderLimitConfiguration()
                limits.maxHeaderListSize = Limits.HTTP.headerBytes
                limits.maxHeaderFieldSize = Limits.HTTP.headerBytes
                limits.maxHeaderFieldCount = Limits.HTTP.headerFields
                let upgrade: NIOHTTPServerUpgradeConfiguration = (
                    upgraders: [upgrader()],
                    completionHandler: { context in
                        context.pipeline.syncOperations.removeHandler(bound.value, promise: nil)
                    }
                )
                try pipeline.configureHTTPServerPipeline(
                    withPipeliningAssistance: false,
                    withServerUpgrade: upgrade,
                    withErrorHandling: false,
                    withOutboundHeaderValidation: false,
                    withEncoderConfiguration: .init(),
                    withDecoderLimitConfiguration: limits
                )
                try pipeline.addHandler(first)
            } catch {
                outcome.succeed(nil)
                throw error
            }
            return Value(channel: channel, http: outcome.futureResult)
        }
    }

    func handle(value: Value, logger: Logger) async {
        dispatcher.connectionOpened(value.channel)
        await withTaskCancellationHandler {
            guard let connection = try? await value.http.get() else { return }
            await handleHTTP(asyncChannel: connection, logger: logger)
        } onCancel: {
            value.channel.close(promise: nil)
        }
    }

    private func upgrader() -> NIOWebSocketServerUpgrader {
        let box = UpgradeBox()
        return NIOWebSocketServerUpgrader(
            maxFrameSize: Limits.WebSocket.messageBytes,
            automaticErrorHandling: false,
            shouldUpgrade: { [dispatcher, isTLS = certificate != nil] channel, head in
                channel.eventLoop.makeFutureWithTask {
                    await dispatcher.judgeUpgrade(head, channel, isTLS: isTLS, box)
                }
            },
            upgradePipelineHandler: { [hub] channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    guard let request = box.request else { throw ChannelError.inappropriateOperationForState }
                    try hub.value.accept(channel, request)
                }
            }
        )
    }
}
