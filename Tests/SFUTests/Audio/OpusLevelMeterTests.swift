import COpus
import RTP
import Testing

@testable import SFU

@Suite struct OpusLevelMeterTests {
    /// An encoder of 20 ms packets at 48 kHz.
    private final class Encoder {
        private let encoder: OpaquePointer
        private let channels: Int

        init?(channels: Int, application: Int32 = OPUS_APPLICATION_AUDIO) {
            var status: Int32 = 0
            guard let encoder = opus_encoder_create(48_000, Int32(channels), application, &status) else {
                return nil
            }
            self.encoder = encoder
            self.channels = channels
        }

        deinit { opus_encoder_destroy(encoder) }

        func encode(_ samples: [Int16]) -> [UInt8] {
            let interleaved = samples.flatMap { Array(repeating: $0, count: channels) }
            var packet = [UInt8](repeating: 0, count: 1500)
            let length = opus_encode(encoder, interleaved, Int32(samples.count), &packet, 1500)
            return Array(packet.prefix(max(0, Int(length))))
        }
    }

    /// A sine with period `period` samples, made by rotation; the floor of tests has no sine function either.
    private struct Sine {
        var x: Double
        var y = 0.0
        let step: (cosine: Double, sine: Double)

        /// 1 kHz at 48 kHz: 7.5 degrees a sample.
        init(amplitude: Double) {
            x = amplitude
            step = (0.991_444_861_373_810_4, 0.130_526_192_220_051_6)
        }

        mutating func next() -> Int16 {
            (x, y) = (x * step.cosine - y * step.sine, x * step.sine + y * step.cosine)
            return Int16(max(-32_767, min(y.rounded(), 32_767)))
        }
    }

    private func measure(_ packets: [[UInt8]], _ meter: OpusLevelMeter) -> [UInt8?] {
        packets.map { packet in
            packet.withUnsafeBufferPointer { bytes in
                bytes.baseAddress.flatMap { meter.measure($0, length: bytes.count) }
            }
        }
    }

    /// A sine of amplitude A has the RMS A/√2: 3 dB below.
    @Test(arguments: [(1.0, 3), (0.5, 9), (0.1, 23), (0.01, 43), (0.002, 57)], [1, 2])
    func aSineIsAsLoudAsItIs(sine: (amplitude: Double, level: Int), channels: Int) throws {
        let encoder = try #require(Encoder(channels: channels))
        let meter = try #require(OpusLevelMeter())
        var wave = Sine(amplitude: sine.amplitude * 32_767)
        let packets = (0..<50).map { _ in encoder.encode((0..<960).map { _ in wave.next() }) }
        let levels = measure(packets, meter)
        for level in levels.dropFirst(10) {
            let byte = try #require(level)
            #expect(abs(Int(byte & 0x7f) - sine.level) <= 1, "\(byte & 0x7f) for \(sine.level)")
            #expect((byte & 0x80 != 0) == (sine.level <= 50))
        }
    }

    @Test func silenceIs127() throws {
        let encoder = try #require(Encoder(channels: 1, application: OPUS_APPLICATION_VOIP))
        let meter = try #require(OpusLevelMeter())
        let packets = (0..<20).map { _ in encoder.encode([Int16](repeating: 0, count: 960)) }
        for level in measure(packets, meter) { #expect(try #require(level) & 0x7f >= 90) }
        #expect(measure([[0x78, 0x00], [0x08]], meter) == [127, 127])
    }

    @Test(arguments: UInt64(1)...20)
    func whatIsNoOpusGivesNoLevelOrSome(seed: UInt64) throws {
        let meter = try #require(OpusLevelMeter())
        #expect(measure([[]], meter) == [nil])
        // Code 3 with no frames, with 49, and with lengths beyond the end (RFC 6716 §3.2.5).
        #expect(
            measure([[0x7b, 0x00, 1], [0x7b, 0x3f, 1, 2], [0x7b, 0x82, 0xff, 0xff, 1]], meter) == [
                nil, nil, nil,
            ]
        )
        var random = RandomSource.seeded(seed)
        for _ in 0..<200 {
            let count = Int.random(in: 1...400, using: &random)
            let packet = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = measure([packet], meter)
        }
        // And goes on measuring.
        let encoder = try #require(Encoder(channels: 1))
        var wave = Sine(amplitude: 0.5 * 32_767)
        let packets = (0..<30).map { _ in encoder.encode((0..<960).map { _ in wave.next() }) }
        let last = try #require(measure(packets, meter).last ?? nil)
        #expect(abs(Int(last & 0x7f) - 9) <= 1, "seed \(seed)")
    }
}
