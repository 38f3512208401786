// One connection's channel: bytes become frames for whoever owns the link. Must not know what frames mean.
import NIOCore
import RTP

/// A connection's number, unique within its side.
struct LinkID: Hashable, Sendable {
    let rawValue: UInt64
}

/// Called on the channel's event loop.
protocol LinkDelegate: AnyObject, Sendable {
    func linkOpened(_ id: LinkID, _ channel: any Channel)
    func linkReceived(_ frame: Frame, bytes: Int, on id: LinkID)
    /// The other side did something wrong; nothing more is read.
    func linkFailed(_ id: LinkID, _ fault: LinkFault)
    func linkBecameWritable(_ id: LinkID)
    /// Exactly once, after `linkOpened`.
    func linkClosed(_ id: LinkID)
}

final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let id: LinkID
    private weak var delegate: (any LinkDelegate)?
    private var reader = FrameReader(limit: Limits.Link.greetingBytes)
    private var hasFailed = false

    init(id: LinkID, delegate: any LinkDelegate) {
        self.id = id
        self.delegate = delegate
    }

    func channelActive(context: ChannelHandlerContext) {
        delegate?.linkOpened(id, context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasFailed else { return }
        reader.append(unwrapInboundIn(data))
        do throws(LinkFault) {
            while let frame = try reader.next() {
                // Who has said hello may say more.
                reader.limit = Limits.Link.frameBytes
                delegate?.linkReceived(frame, bytes: Frame.headBytes + frame.body.readableBytes, on: id)
            }
        } catch {
            hasFailed = true
            delegate?.linkFailed(id, error)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { delegate?.linkBecameWritable(id) }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        delegate?.linkClosed(id)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    static var watermark: ChannelOptions.Types.WriteBufferWaterMark {
        ChannelOptions.Types.WriteBufferWaterMark(
            low: Limits.Link.writeLowWatermark,
            high: Limits.Link.writeHighWatermark
        )
    }
}

extension Channel {
    /// Says why, then closes; where the other side reads nothing more, the process does not wait for it.
    func end(_ ending: Ending, _ coder: LinkCoder) {
        guard let bytes = try? coder.bytes(.end, ending) else { return close(promise: nil) }
        writeAndFlush(bytes, promise: nil)
        close(promise: nil)
    }
}
