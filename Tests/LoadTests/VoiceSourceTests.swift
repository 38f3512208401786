// Packets of a microphone as a server reads them, and the roles in a room.
import RTP
import Testing

@testable import Load

@Suite struct VoiceSourceTests {
    private func packet(_ source: inout VoiceSource, _ content: VoiceSource.Content, frame: Int64) -> [UInt8]
    {
        [UInt8](unsafeUninitializedCapacity: OutgoingStream.packetBytes) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            count = source.write(content, frame: frame, into: base).length
        }
    }

    @Test func saysHowLoudItIsAndWhoseItIs() throws {
        var source = VoiceSource()
        let stamp = Stamp(sentAt: 123_456_789_012, source: 4, number: 70_000)
        let noise = packet(&source, .silence(level: 127), frame: 20)
        let voice = packet(&source, .voice(level: 25, stamp: stamp, bytes: 80), frame: 21)
        let next = packet(&source, .voice(level: 25, stamp: stamp, bytes: 80), frame: 22)
        var headers: [RTPHeader] = []
        for bytes in [noise, voice, next] {
            try bytes.withUnsafeBufferPointer { buffer in
                let base = try #require(buffer.baseAddress)
                headers.append(try #require(RTPHeader(parsing: base, length: buffer.count)))
            }
        }
        #expect(headers.map(\.marker) == [false, true, false])
        #expect(headers[1].sequenceNumber == headers[0].sequenceNumber &+ 1)
        #expect(headers[1].timestamp == headers[0].timestamp &+ 960)
        #expect(noise.count - headers[0].headerLength == AudioSource.silenceBytes)
        #expect(voice.count - headers[1].headerLength == 80)
        // One-byte extensions (RFC 8285 §4.2): the level is the first.
        #expect(noise[16] == LocalDescription.audioLevelID << 4 && noise[17] == 127)
        #expect(voice[16] == LocalDescription.audioLevelID << 4 && voice[17] == 0x80 | 25)
        voice.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let payload = base + headers[1].headerLength
            #expect(Stamp.read(payload, length: 80) == stamp)
        }
        #expect(source.stream.packets == 3 && source.stream.octets == 163)
    }

    @Test(arguments: [(25, 5, 20), (1000, 5, 20), (7, 3, 2)])
    func rolesAreGivenOnce(people: Int, speakers: Int, listeners: Int) throws {
        let roles = VoicesRun.roles(people: people, speakers: speakers, listeners: listeners)
        #expect(roles.count == people)
        #expect(roles.compactMap(\.speaker) == Array(0..<speakers))
        #expect(roles.compactMap(\.listener) == Array(0..<listeners))
        #expect(roles.allSatisfy { $0.speaker == nil || $0.listener == nil })
    }
}
