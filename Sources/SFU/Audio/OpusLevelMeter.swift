// Measures how loud Opus packets are whose sender does not say so. Sole owner of libopus. Knows no RTP header.
import COpus
import RTP

/// One stream's decoder: about 20 KB, and about 20 µs per packet.
final class OpusLevelMeter {
    private let decoder: OpaquePointer
    private let samples: UnsafeMutablePointer<opus_int16>

    /// Hz. Speech is below 4 kHz, and this is the cheapest rate.
    private static let rate: Int32 = 8000
    /// 120 ms, the longest packet (RFC 6716 §2.1.4).
    private static let capacity: Int32 = 960
    /// Louder than this is called a voice: −50 dBov.
    private static let voice: UInt8 = 50
    /// RFC 6464 §3: 0 dBov is the loudest square wave, that is digital full scale.
    private static let fullScale = 32_768.0

    /// nil: no memory.
    init?() {
        var status: Int32 = 0
        guard let decoder = opus_decoder_create(OpusLevelMeter.rate, 1, &status), status == OPUS_OK else {
            return nil
        }
        self.decoder = decoder
        samples = .allocate(capacity: Int(OpusLevelMeter.capacity))
    }

    deinit {
        opus_decoder_destroy(decoder)
        samples.deallocate()
    }

    /// V bit and −dBov of one packet, as RFC 6464 §3 writes them: 127 is silence. nil: it is no Opus packet.
    func measure(_ packet: UnsafePointer<UInt8>, length: Int) -> UInt8? {
        guard length > 0, length <= Limits.Media.datagramBytes else { return nil }
        guard length > 2 else { return 127 }
        let count = opus_decode(decoder, packet, Int32(length), samples, OpusLevelMeter.capacity, 0)
        guard count > 0 else { return nil }
        var energy: Int64 = 0
        for i in 0..<Int(count) {
            let sample = Int64(samples[i])
            energy += sample * sample
        }
        guard energy > 0 else { return 127 }
        let mean = Double(energy) / Double(count)
        let level = -Decibels.of(power: mean / (OpusLevelMeter.fullScale * OpusLevelMeter.fullScale))
        let byte = UInt8(max(0, min(level + 0.5, 127)))
        return byte <= OpusLevelMeter.voice ? byte | 0x80 : byte
    }
}
