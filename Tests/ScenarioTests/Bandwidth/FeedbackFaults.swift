// What a viewer does wrong for five seconds in what it reports, and what of it the server may show.
import RTP
import Simulation

@testable import SFU

struct FeedbackFault: CustomStringConvertible, Sendable {
    typealias Generator = SimulatedICEClient.Generator

    static let from = 6.0
    static let to = 11.0

    var description: String
    /// Called when it begins.
    var begin: @Sendable (FaultyRoom) -> Void
    /// Called ten times a second while it lasts.
    var each: @Sendable (FaultyRoom) -> Void = { _ in }
    /// Seconds after its end until all must be as before.
    var within = 4.0
    /// The viewer's link falls to 600 kbit/s meanwhile.
    var isNarrow = false
    /// The server counts numbers that it never sent.
    var isCounted = false
    /// Its messages are changed.
    var isForged = false

    /// - Parameter change: the messages that go out instead of one.
    private static func messages(
        _ name: String,
        within: Double = 4,
        isNarrow: Bool = false,
        isCounted: Bool = false,
        _ change: @escaping @Sendable (FeedbackMessage, inout Generator) -> [FeedbackMessage]
    ) -> FeedbackFault {
        FeedbackFault(
            description: name,
            begin: { room in
                room.faulty.onFeedback = { bytes in
                    guard let message = FeedbackMessage(bytes) else { return [bytes] }
                    room.changed += 1
                    return change(message, &room.generator).map(\.bytes)
                }
            },
            within: within,
            isNarrow: isNarrow,
            isCounted: isCounted,
            isForged: true
        )
    }

    static let all: [FeedbackFault] = [
        messages("all is lost") { _, _ in [] },
        messages("30 % is lost") { message, dice in
            UInt8.random(in: 0..<100, using: &dice) < 30 ? [] : [message]
        },
        messages("each comes three times") { message, _ in [message, message, message] },
        late, reordered, replayed,
        messages("all is said to arrive, at the rate it was sent with", within: 7, isNarrow: true) {
            message,
            _ in
            [message.sayingAll(delta: 4)]
        },
        messages("all is said to arrive at once", within: 7, isNarrow: true) { message, _ in
            [message.sayingAll(delta: 0)]
        },
        messages("numbers that were never sent", isCounted: true) { message, _ in
            var other = message
            other.base ^= 0x8000
            return [other]
        },
        messages("reference times that jump") { message, dice in
            var other = message
            other.reference = UInt32.random(in: 0..<1 << 24, using: &dice)
            return [other]
        },
        messages("deltas of nonsense") { message, dice in [message.withDeltas(from: &dice)] },
        messages("chunks of nonsense", within: 20) { message, dice in [message.withChunks(from: &dice)] },
        messages("cut off") { message, dice in [message.cut(by: &dice)] },
        estimate("REMB of nothing", 0, within: 18), estimate("REMB of 10 Gbit/s", 10_000_000_000),
        lossReports, silent, clock,
    ]

    private static let late = FeedbackFault(
        description: "each is three seconds late",
        begin: { room in
            room.faulty.onFeedback = { bytes in
                room.late.append((room.scene.call.now + .seconds(3), bytes))
                return []
            }
        },
        within: 6
    )

    private static let reordered = FeedbackFault(
        description: "each is overtaken by the next",
        begin: { room in
            room.faulty.onFeedback = { bytes in
                guard let held = room.held else {
                    room.held = bytes
                    return []
                }
                room.held = nil
                return [bytes, held]
            }
        }
    )

    private static let replayed = FeedbackFault(
        description: "old ones come again and again",
        begin: { room in
            room.faulty.onFeedback = { bytes in
                if room.kept.count < 10 { room.kept.append(bytes) }
                return [bytes]
            }
        },
        each: { room in for bytes in room.kept { room.send(bytes) } }
    )

    private static func estimate(_ name: String, _ rate: UInt64, within: Double = 4) -> FeedbackFault {
        FeedbackFault(
            description: name,
            begin: { _ in },
            each: { $0.sendEstimate(rate) },
            within: within
        )
    }

    private static let lossReports = FeedbackFault(
        description: "receiver reports of 100 % loss",
        begin: { room in
            room.faulty.reportsReception = true
            room.faulty.reportsPictures = true
            room.faulty.reportedLoss = 255
        }
    )

    private static let silent = FeedbackFault(
        description: "no reports and no requests at all",
        begin: { $0.faulty.isSilent = true }
    )

    private static let clock = FeedbackFault(
        description: "the clock jumps by minutes",
        begin: { $0.faulty.clock = .seconds(1300) },
        each: { room in
            let ahead: [Int64] = [1300, 700, 1000, 1090, 910]
            let second = Int(Double(room.scene.slices[0].count) / 10 - FeedbackFault.from)
            room.faulty.clock = .seconds(ahead[max(0, min(second, ahead.count - 1))])
        }
    )
}

/// A viewer with a fault, and one without in the same room, each behind 5 Mbit/s of its own.
final class FaultyRoom {
    let scene: BandwidthScene
    var generator: FeedbackFault.Generator
    var late: [(at: Instant, bytes: [UInt8])] = []
    var held: [UInt8]?
    var kept: [[UInt8]] = []
    /// Messages that were changed.
    var changed = 0
    var faulty: SimulatedPeer { scene.viewers[0] }

    private static let rate = 5_000_000

    init(seed: UInt64) throws {
        scene = try BandwidthScene(seed: seed)
        generator = FeedbackFault.Generator(seed: seed)
        for _ in 0..<2 {
            try scene.join(BandwidthScene.link(FaultyRoom.rate)) { $0.clock = .seconds(1000) }
        }
    }

    func run(_ fault: FeedbackFault, seconds: Double) {
        scene.run(seconds: seconds) { second in
            while let first = late.first, first.at <= scene.call.now {
                send(first.bytes)
                late.removeFirst()
            }
            if second == FeedbackFault.from {
                fault.begin(self)
                if fault.isNarrow { faulty.down.conditions.rate = 600_000 }
            }
            if second == FeedbackFault.to { end() }
            if second >= FeedbackFault.from && second < FeedbackFault.to { fault.each(self) }
        }
    }

    private func end() {
        faulty.onFeedback = nil
        faulty.isSilent = false
        faulty.reportsReception = false
        faulty.clock = .seconds(1000)
        faulty.down.conditions.rate = FaultyRoom.rate
    }

    func send(_ bytes: [UInt8]) { faulty.send(protectedRTCP: bytes, at: scene.call.now) }

    func sendEstimate(_ rate: UInt64) {
        var bytes = [UInt8](repeating: 0, count: 200)
        let length = bytes.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            var writer = RTCPWriter(base, capacity: buffer.count)
            _ = writer.appendReceiverReport(ssrc: 1)
            let sources = faulty.slots.map(\.ssrc)
            sources.withUnsafeBufferPointer { sources in
                guard let first = sources.baseAddress else { return }
                _ = writer.appendREMB(sender: 1, bitrate: rate, first, count: sources.count)
            }
            return writer.length
        }
        send(Array(bytes.prefix(length)))
    }
}

/// Transport-wide feedback, taken apart so far that it can be forged.
struct FeedbackMessage {
    /// Up to the sequence number.
    private var head: [UInt8]
    var base: UInt16
    private var count: UInt16
    /// 24 bits.
    var reference: UInt32
    private var number: UInt8
    /// Chunks and deltas.
    private var rest: [UInt8]

    init?(_ bytes: [UInt8]) {
        guard bytes.count > 22, bytes[1] == 205 else { return nil }
        head = Array(bytes[..<12])
        base = UInt16(bytes[12]) << 8 | UInt16(bytes[13])
        count = UInt16(bytes[14]) << 8 | UInt16(bytes[15])
        reference = UInt32(bytes[16]) << 16 | UInt32(bytes[17]) << 8 | UInt32(bytes[18])
        number = bytes[19]
        rest = Array(bytes[20...])
    }

    var bytes: [UInt8] {
        var all = head
        for word in [base, count] { all += [UInt8(word >> 8), UInt8(word & 0xff)] }
        all += [16, 8, 0].map { UInt8(truncatingIfNeeded: reference >> $0) } + [number] + rest
        while all.count % 4 != 0 { all.append(0) }
        let words = all.count / 4 - 1
        // No padding bit: what is at the end is not looked at.
        all[0] &= ~0x20
        all[2] = UInt8(words >> 8)
        all[3] = UInt8(words & 0xff)
        return all
    }

    private func saying(symbol: UInt16, deltas: [UInt8]) -> FeedbackMessage {
        var other = self
        let chunk = symbol << 13 | min(count, 8191)
        other.rest = [UInt8(chunk >> 8), UInt8(chunk & 0xff)] + deltas
        return other
    }

    /// Every packet came, each so many quarters of a millisecond after the one before.
    func sayingAll(delta: UInt8) -> FeedbackMessage {
        saying(symbol: 1, deltas: [UInt8](repeating: delta, count: min(Int(count), 1000)))
    }

    /// Every packet came, up to eight seconds before or after the one before.
    func withDeltas(from dice: inout FeedbackFault.Generator) -> FeedbackMessage {
        let deltas = (0..<2 * min(Int(count), 500)).map { _ in UInt8.random(in: 0...255, using: &dice) }
        return saying(symbol: 2, deltas: deltas)
    }

    func withChunks(from dice: inout FeedbackFault.Generator) -> FeedbackMessage {
        var other = self
        for index in rest.indices { other.rest[index] = UInt8.random(in: 0...255, using: &dice) }
        return other
    }

    func cut(by dice: inout FeedbackFault.Generator) -> FeedbackMessage {
        var other = self
        other.rest.removeLast(Int.random(in: 1...rest.count, using: &dice))
        return other
    }
}
