// Opus packets of 20 ms of somebody who talks and pauses: sizes around a bit rate, levels, silence with or without DTX.
// Must not know keys, sockets or clocks.
import RTP

struct AudioFormat: Equatable {
    /// 0: no audio.
    var bitsPerSecond: Int
    /// All packets have the same size.
    var isConstant: Bool
    /// Part of the time in which somebody talks, per cent; 100: always.
    var talkPercent: Int
    /// Silence is one packet in 400 ms instead of packets all the time.
    var hasDTX: Bool

    /// Payload of a packet on average.
    var payloadBytes: Int { bitsPerSecond / 8 / Int(AudioSource.framesPerSecond) }
}

final class AudioSource: MediaSource {
    static let framesPerSecond: Int64 = 50
    /// What a silent Opus frame takes, bytes.
    static let silenceBytes = 3
    /// With DTX an encoder sends one packet in so many while nobody speaks: 400 ms (RFC 7587 §3.1.3).
    static let silenceEvery: Int64 = 20
    /// TOC: CELT, 20 ms, mono (RFC 6716 §3.1).
    static let tableOfContents: UInt8 = 0xf8
    /// Of silence, -dBov.
    static let silentLevel: UInt8 = 127
    /// One stretch of talk, frames: 0.6 to 2.5 s.
    private static let stretches: ClosedRange<Int64> = 30...125
    /// Loud and soft by syllables, -dBov.
    private static let levels: ClosedRange<UInt8> = 20...36

    private(set) var stream: OutgoingStream
    let interval: Int64 = 1_000_000_000 / AudioSource.framesPerSecond
    private(set) var frame: Int64 = 0
    private let format: AudioFormat
    private let source: UInt16
    private var random: SeededGenerator
    /// The frame in which talk becomes silence or silence talk.
    private var changesAt: Int64 = 0
    private(set) var isTalking: Bool

    /// - Parameter source: which publisher it is; sizes and pauses follow from it.
    init(_ format: AudioFormat, source: UInt16) {
        stream = OutgoingStream(
            payloadType: LocalDescription.audioType,
            clockRate: 48_000,
            mid: LocalDescription.audioMid
        )
        self.format = format
        self.source = source
        random = SeededGenerator(seed: UInt64(source) &+ 1)
        isTalking = format.talkPercent >= 100
        if !isTalking {
            // Not everybody begins together.
            isTalking = Int.random(in: 0..<100, using: &random) < format.talkPercent
            changesAt = stretch() / 2
        }
    }

    func requestKeyFrame() {}
    func skip() { frame += 1 }

    func produce(
        sentAt: Int64,
        into packet: UnsafeMutablePointer<UInt8>,
        send: (OutgoingPacket) -> Void
    ) {
        let isFirst = advance()
        defer { frame += 1 }
        guard isTalking || !format.hasDTX || (frame + Int64(source)) % Self.silenceEvery == 0 else { return }
        let level = isTalking ? 0x80 | UInt8.random(in: Self.levels, using: &random) : Self.silentLevel
        let header = stream.writeHeader(
            packet,
            marker: isFirst,
            timestamp: stream.timestamp(at: frame * interval),
            level: level
        )
        let size = isTalking || !format.hasDTX ? payloadBytes() : Self.silenceBytes
        let payload = packet + header
        payload.update(repeating: Self.tableOfContents, count: size)
        if size > Stamp.bytes {
            Stamp(sentAt: sentAt, source: source, number: stream.packets).write(to: payload + 1)
        }
        send(stream.finish(header: header, payload: size))
    }

    private func payloadBytes() -> Int {
        let mean = format.payloadBytes
        let size = format.isConstant ? mean : Int.random(in: mean * 3 / 4...mean * 5 / 4, using: &random)
        return max(size, 1 + Stamp.bytes)
    }

    /// Whether a stretch of talk begins with this frame.
    private func advance() -> Bool {
        guard format.talkPercent < 100 else { return frame == 0 }
        guard frame >= changesAt else { return frame == 0 && isTalking }
        isTalking.toggle()
        changesAt = frame + stretch()
        return isTalking
    }

    /// How long it stays as it is.
    private func stretch() -> Int64 {
        let talk = Int64.random(in: Self.stretches, using: &random)
        guard !isTalking else { return talk }
        let share = Int64(max(1, format.talkPercent))
        return talk * (100 - share) / share
    }
}
