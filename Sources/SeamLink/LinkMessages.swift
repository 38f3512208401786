// The bodies of frames: values of the seam and a few of the link's own, as JSON. Must not know connections.
import NIOCore
import NIOFoundationCompat
import Seam

import class Foundation.JSONDecoder
import class Foundation.JSONEncoder

/// Who is at the other end; for logs alone.
struct Greeting: Codable, Sendable, Equatable {
    /// The program's version.
    var build: String
    var process: Int32
}

/// Why a side ends the connection.
struct Ending: Codable, Sendable, Equatable {
    enum Reason: String, Codable, Sendable {
        /// The other side sent what cannot be understood, another version included.
        case fault
        /// Another gateway is connected.
        case occupied
        /// Stops in good order.
        case shutdown
        /// Nothing was heard for too long.
        case silent
    }

    var reason: Reason
    /// For the operator.
    var text: String
}

/// `Event.state` in pieces: sessions are few or tens of thousands.
struct StatePart: Codable, Sendable, Equatable {
    var epoch: String
    var sessions: [MediaState.Session]
    var isFirst: Bool
    var isLast: Bool
}

/// Values ↔ frames.
struct LinkCoder: Sendable {
    private let encoder = JSONEncoder()
    private let decoder = JSONDecoder()

    /// - Throws: `LinkFault.malformed`; none of the seam's values gives a reason for it.
    func bytes(_ kind: Frame.Kind, _ value: some Encodable) throws(LinkFault) -> ByteBuffer {
        do {
            return Frame.bytes(
                kind,
                body: try encoder.encodeAsByteBuffer(value, allocator: ByteBufferAllocator())
            )
        } catch {
            throw .malformed("\(error)")
        }
    }

    func bytes(_ kind: Frame.Kind) -> ByteBuffer { Frame.bytes(kind, body: ByteBuffer()) }

    /// Says where reading stopped, but not what stands there: a body may hold keys of sessions.
    func value<Value: Decodable>(_ type: Value.Type, of frame: Frame) throws(LinkFault) -> Value {
        do {
            return try decoder.decode(type, from: frame.body)
        } catch let error as DecodingError {
            throw .malformed(LinkCoder.place(of: error))
        } catch {
            throw .malformed("no JSON")
        }
    }

    private static func place(of error: DecodingError) -> String {
        let (what, context): (String, DecodingError.Context) =
            switch error {
            case .typeMismatch(_, let context): ("another type", context)
            case .valueNotFound(_, let context): ("a value is missing", context)
            case .keyNotFound(let key, let context): ("\(key.stringValue) is missing", context)
            case .dataCorrupted(let context): ("no value", context)
            @unknown default: ("an error", DecodingError.Context(codingPath: [], debugDescription: ""))
            }
        let path = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }
        return path.isEmpty ? what : "\(what) at \(path.joined(separator: "."))"
    }
}

/// Cuts a state into parts of about `Limits.Link.stateFrameBytes` as they can be sent.
struct StateCutter: Sendable {
    private let state: MediaState
    private var next = 0
    private var isFirst = true
    /// Bytes of a session so far, to guess how many fit.
    private var sessionBytes = 4096

    init(_ state: MediaState) { self.state = state }

    /// The next frame; nil: everything was taken.
    mutating func take(_ coder: LinkCoder, bytes wanted: Int) throws(LinkFault) -> ByteBuffer? {
        guard isFirst || next < state.sessions.count else { return nil }
        let count = min(max(1, wanted / sessionBytes), state.sessions.count - next)
        let part = StatePart(
            epoch: state.epoch,
            sessions: Array(state.sessions[next..<next + count]),
            isFirst: isFirst,
            isLast: next + count == state.sessions.count
        )
        let bytes = try coder.bytes(.state, part)
        isFirst = false
        next += count
        if count > 0 { sessionBytes = max(256, bytes.readableBytes / count) }
        return bytes
    }
}

/// Puts the parts together again.
struct StateAssembler: Sendable {
    private var state: MediaState?

    /// The whole state with its last part.
    mutating func add(_ part: StatePart, limit: Int) throws(LinkFault) -> MediaState? {
        if part.isFirst { state = MediaState(epoch: part.epoch, sessions: []) }
        guard var whole = state, whole.epoch == part.epoch else { throw .unexpected(.state) }
        guard whole.sessions.count + part.sessions.count <= limit else {
            throw .oversized(whole.sessions.count + part.sessions.count)
        }
        // Not two owners of one array while it grows.
        state = nil
        whole.sessions.append(contentsOf: part.sessions)
        if part.isLast { return whole }
        state = whole
        return nil
    }
}
