// Bytes of the link ↔ frames: a head of eight bytes, then the body. Must not know what a body means, nor sockets.
//
//     "SF"  version (1 byte)  kind (1 byte)  length of the body (4 bytes, big-endian)  body
//
// These eight bytes stay as they are in all versions, so that each side can tell that the other speaks another one.
import NIOCore
import RTP

/// The version of the bodies: of these files and of all `Codable` values in the seam.
public enum LinkVersion {
    public static let current: UInt8 = 3
}

struct Frame: Sendable, Equatable {
    enum Kind: UInt8, Sendable, CaseIterable {
        /// The first frame of each side; `Greeting`.
        case hello = 1
        /// The last one: why the connection ends; `Ending`.
        case end = 2
        /// To the media plane: `[Command]`.
        case commands = 3
        /// To the gateway: `[Event]`, none of them `.state`.
        case events = 4
        /// To the gateway: a part of `Event.state`; `StatePart`.
        case state = 5
        /// Without a body; answered by a `pong`.
        case ping = 6
        case pong = 7
    }

    var kind: Kind
    var body = ByteBuffer()

    static let headBytes = 8
    static let magic: UInt16 = 0x5346

    /// Head and body as they travel.
    static func bytes(_ kind: Kind, version: UInt8 = LinkVersion.current, body: ByteBuffer) -> ByteBuffer {
        var body = body
        var bytes = ByteBuffer()
        bytes.reserveCapacity(headBytes + body.readableBytes)
        bytes.writeInteger(magic)
        bytes.writeInteger(version)
        bytes.writeInteger(kind.rawValue)
        bytes.writeInteger(UInt32(body.readableBytes))
        bytes.writeBuffer(&body)
        return bytes
    }
}

/// What the other side did wrong. Each of these ends the connection.
enum LinkFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// These bytes were not written by this program.
    case foreign
    case version(UInt8)
    case unknownKind(UInt8)
    case oversized(Int)
    /// A body that cannot be read, and why.
    case malformed(String)
    /// A frame that does not belong here.
    case unexpected(Frame.Kind)

    var description: String {
        switch self {
        case .foreign: "the other side does not speak this protocol"
        case .version(let version):
            "the other side speaks version \(version) of the link, this one version \(LinkVersion.current); "
                + "run the same build of sfu on both sides"
        case .unknownKind(let kind): "a frame of unknown kind \(kind)"
        case .oversized(let count): "a frame of \(count) bytes"
        case .malformed(let reason): "a frame that cannot be read: \(reason)"
        case .unexpected(let kind): "a frame of kind \(kind) in the wrong place"
        }
    }
}

/// Puts frames together from whatever pieces the socket gives. Holds one frame and one read at most.
struct FrameReader: Sendable {
    private var buffer = ByteBuffer()
    /// Largest body, bytes.
    var limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func append(_ bytes: ByteBuffer) {
        var bytes = bytes
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.discardReadBytes()
            buffer.writeBuffer(&bytes)
        }
    }

    /// The next whole frame; nil: more bytes are needed. After a fault the reader is of no use any more.
    mutating func next() throws(LinkFault) -> Frame? {
        let start = buffer.readerIndex
        // What is there of the head is judged at once: a stranger need not send eight bytes to be found out.
        if let first: UInt8 = buffer.getInteger(at: start), first != UInt8(Frame.magic >> 8) {
            throw .foreign
        }
        guard let magic: UInt16 = buffer.getInteger(at: start) else { return nil }
        guard magic == Frame.magic else { throw .foreign }
        guard let version: UInt8 = buffer.getInteger(at: start + 2) else { return nil }
        guard version == LinkVersion.current else { throw .version(version) }
        guard let kind: UInt8 = buffer.getInteger(at: start + 3) else { return nil }
        guard let kind = Frame.Kind(rawValue: kind) else { throw .unknownKind(kind) }
        guard let length: UInt32 = buffer.getInteger(at: start + 4) else { return nil }
        guard Int(length) <= limit else { throw .oversized(Int(length)) }
        guard buffer.readableBytes >= Frame.headBytes + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: Frame.headBytes)
        guard let body = buffer.readSlice(length: Int(length)) else { return nil }
        return Frame(kind: kind, body: body)
    }
}
