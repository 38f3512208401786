import NIOCore
import RTP
import Seam
import Testing

@testable import SeamLink

@Suite struct FrameTests {
    private let coder = LinkCoder()

    private func read(_ bytes: ByteBuffer, limit: Int = Limits.Link.frameBytes) throws(LinkFault) -> [Frame] {
        var reader = FrameReader(limit: limit)
        reader.append(bytes)
        var frames: [Frame] = []
        while let frame = try reader.next() { frames.append(frame) }
        return frames
    }

    @Test(arguments: Samples.commands) func everyCommandArrivesAsItWas(command: Command) throws {
        let frames = try read(coder.bytes(.commands, [command]))
        #expect(frames.map(\.kind) == [.commands])
        #expect(try coder.value([Command].self, of: frames[0]) == [command])
    }

    @Test(arguments: Samples.events) func everyEventArrivesAsItWas(event: Event) throws {
        let frames = try read(coder.bytes(.events, [event]))
        #expect(try coder.value([Event].self, of: frames[0]) == [event])
    }

    /// A case that is added without a sample would travel untested.
    @Test func thereIsASampleOfEachCase() {
        var commands: Set<Int> = []
        for command in Samples.commands {
            switch command {
            case .open: commands.insert(0)
            case .configure: commands.insert(1)
            case .restartICE: commands.insert(2)
            case .subscribe: commands.insert(3)
            case .mute: commands.insert(4)
            case .close: commands.insert(5)
            case .attach: commands.insert(6)
            case .reportState: commands.insert(7)
            }
        }
        #expect(commands.count == 8)
        var events: Set<Int> = []
        for event in Samples.events + [.state(Samples.state)] {
            switch event {
            case .sessionOpened: events.insert(0)
            case .sessionRefused: events.insert(1)
            case .configured: events.insert(2)
            case .iceRestarted: events.insert(3)
            case .transport: events.insert(4)
            case .sessionClosed: events.insert(5)
            case .publication: events.insert(6)
            case .slots: events.insert(7)
            case .demand: events.insert(8)
            case .speakers: events.insert(9)
            case .counters: events.insert(10)
            case .state: events.insert(11)
            case .quality: events.insert(12)
            }
        }
        #expect(events.count == 13)
    }

    @Test(arguments: [1, 2, 7, 8, 9, 100]) func framesAreFoundInWhateverPiecesTheyCome(size: Int) throws {
        var bytes = try coder.bytes(.commands, Samples.commands)
        bytes.writeImmutableBuffer(coder.bytes(.ping))
        bytes.writeImmutableBuffer(try coder.bytes(.events, Samples.events))
        var reader = FrameReader(limit: Limits.Link.frameBytes)
        var frames: [Frame] = []
        while let piece = bytes.readSlice(length: min(size, bytes.readableBytes)), piece.readableBytes > 0 {
            reader.append(piece)
            while let frame = try reader.next() { frames.append(frame) }
        }
        #expect(frames.map(\.kind) == [.commands, .ping, .events])
        #expect(try coder.value([Command].self, of: frames[0]) == Samples.commands)
        #expect(frames[1].body.readableBytes == 0)
        #expect(try coder.value([Event].self, of: frames[2]) == Samples.events)
    }

    @Test func aTruncatedFrameIsNoFrame() throws {
        let whole = try coder.bytes(.commands, Samples.commands)
        for length in stride(from: 0, to: whole.readableBytes, by: 97) {
            let part = try #require(whole.getSlice(at: 0, length: length))
            #expect(try read(part).isEmpty, "after \(length) bytes")
        }
    }

    @Test func strangersAreFoundOutAtOnce() {
        #expect(throws: LinkFault.foreign) { try read(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n")) }
        #expect(throws: LinkFault.foreign) { try read(ByteBuffer(bytes: [0])) }
        #expect(throws: LinkFault.foreign) { try read(ByteBuffer(bytes: [0x53, 0x47])) }
        #expect(throws: LinkFault.unknownKind(99)) {
            try read(ByteBuffer(bytes: [0x53, 0x46, LinkVersion.current, 99]))
        }
    }

    @Test func anotherVersionIsNamed() {
        let bytes = Frame.bytes(.hello, version: 9, body: ByteBuffer())
        #expect(throws: LinkFault.version(9)) { try read(bytes) }
        #expect(
            LinkFault.version(9).description.contains(
                "version 9 of the link, this one version \(LinkVersion.current)"
            )
        )
    }

    @Test func oversizedFramesAreRefusedByTheirHead() {
        var head = ByteBuffer(bytes: [0x53, 0x46, LinkVersion.current, 3])
        head.writeInteger(UInt32(Limits.Link.frameBytes + 1))
        #expect(throws: LinkFault.oversized(Limits.Link.frameBytes + 1)) { try read(head) }
        #expect(throws: LinkFault.oversized(10)) {
            try read(Frame.bytes(.hello, body: ByteBuffer(repeating: 0, count: 10)), limit: 9)
        }
    }

    @Test(arguments: [
        "", "{", "[1]", "[{\"fly\":{}}]", "{\"attach\":{}}", "\u{0}", "[{\"close\":{\"_0\":7}}]",
    ])
    func bodiesThatCannotBeReadSayWhere(text: String) throws {
        let frame = Frame(kind: .commands, body: ByteBuffer(string: text))
        do throws(LinkFault) {
            _ = try coder.value([Command].self, of: frame)
            Issue.record("read: \(text)")
        } catch {
            let reason: String? = if case .malformed(let reason) = error { reason } else { nil }
            #expect(reason?.isEmpty == false, "\(error)")
        }
    }

    /// What stands in a body may be secret; errors are logged.
    @Test func errorsDoNotRepeatWhatWasRead() throws {
        let body =
            "[{\"restartICE\":{\"_0\":\"se\",\"_1\":{\"ice\":{\"usernameFragment\":1,\"password\":\"s3cret\"}}}}]"
        let error = #expect(throws: LinkFault.self) {
            _ = try coder.value([Command].self, of: Frame(kind: .commands, body: ByteBuffer(string: body)))
        }
        #expect(error.map { !"\($0)".contains("s3cret") } == true)
    }

    /// Random bytes behind a good beginning: nothing but a fault or silence may come of it.
    @Test(arguments: 0..<50) func garbageEndsInAFault(seed: Int) throws {
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 &+ 1
        func random() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        var bytes = try coder.bytes(.commands, Samples.commands)
        for _ in 0...Int(random() % 8) {
            let place = Int(random() % UInt64(bytes.readableBytes))
            bytes.setInteger(UInt8(truncatingIfNeeded: random()), at: place)
        }
        var reader = FrameReader(limit: Limits.Link.frameBytes)
        reader.append(bytes)
        do throws(LinkFault) {
            while let frame = try reader.next() { _ = try coder.value([Command].self, of: frame) }
        } catch {
            #expect(!"\(error)".isEmpty, "seed \(seed)")
        }
    }
}

@Suite struct StatePartTests {
    private let coder = LinkCoder()

    private func travel(_ state: MediaState, bytes: Int) throws -> (state: MediaState?, frames: Int) {
        var cutter = StateCutter(state)
        var assembler = StateAssembler()
        var frames = 0
        while let next = try cutter.take(coder, bytes: bytes) {
            frames += 1
            var reader = FrameReader(limit: Limits.Link.frameBytes)
            reader.append(next)
            let frame = try #require(try reader.next())
            #expect(frame.kind == .state)
            let whole = try assembler.add(try coder.value(StatePart.self, of: frame), limit: 100_000)
            if let whole {
                #expect(try cutter.take(coder, bytes: bytes) == nil)
                return (whole, frames)
            }
        }
        return (nil, frames)
    }

    @Test func aStateArrivesAsItWas() throws {
        #expect(try travel(Samples.state, bytes: 1 << 20).state == Samples.state)
    }

    @Test func anEmptyStateIsOneFrame() throws {
        let empty = MediaState(epoch: "e", sessions: [])
        let (state, frames) = try travel(empty, bytes: 1000)
        #expect(state == empty && frames == 1)
    }

    @Test(arguments: [1, 5000, 60_000]) func aLargeStateIsCutIntoFrames(bytes: Int) throws {
        let large = Samples.state(sessions: 300)
        let (state, frames) = try travel(large, bytes: bytes)
        #expect(state == large)
        #expect(frames > 3)
        #expect(frames <= 300)
    }

    @Test func partsThatDoNotFitAreRefused() throws {
        let sessions = Samples.state(sessions: 3).sessions
        func part(_ epoch: String, isFirst: Bool) -> StatePart {
            StatePart(epoch: epoch, sessions: sessions, isFirst: isFirst, isLast: false)
        }
        var assembler = StateAssembler()
        #expect(throws: LinkFault.unexpected(.state)) {
            try assembler.add(part("a", isFirst: false), limit: 100)
        }
        #expect(try assembler.add(part("a", isFirst: true), limit: 100) == nil)
        #expect(throws: LinkFault.unexpected(.state)) {
            try assembler.add(part("b", isFirst: false), limit: 100)
        }
        assembler = StateAssembler()
        _ = try assembler.add(part("a", isFirst: true), limit: 5)
        #expect(throws: LinkFault.oversized(6)) { try assembler.add(part("a", isFirst: false), limit: 5) }
    }

    /// A state that begins anew replaces one that did not end.
    @Test func aNewBeginningForgetsTheOldOne() throws {
        var assembler = StateAssembler()
        let sessions = Samples.state(sessions: 2).sessions
        _ = try assembler.add(
            StatePart(epoch: "a", sessions: sessions, isFirst: true, isLast: false),
            limit: 100
        )
        let whole = try assembler.add(
            StatePart(epoch: "b", sessions: [], isFirst: true, isLast: true),
            limit: 100
        )
        #expect(whole == MediaState(epoch: "b", sessions: []))
    }
}
