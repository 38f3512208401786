// Packets of a microphone as a server reads them, and the roles in a room.
import RTP
import SDP
import Testing

@testable import Load

@Suite struct VoiceSourceTests {
    private func packet(_ source: inout VoiceSource, _ content: VoiceSource.Content, frame: Int64) -> [UInt8]
    {
        [UInt8](unsafeUninitializedCapacity: MediaSource.packetBytes) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            count = source.write(content, frame: frame, into: base).length
        }
    }

    @Test func saysHowLoudItIsAndWhoseItIs() throws {
        var source = VoiceSource(payloadType: 111)
        let stamp = Stamp.Voice(sentAt: 123_456_789_012, speaker: 4, frame: 70_000)
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
        #expect(noise.count - headers[0].headerLength == VoiceSource.silenceBytes)
        #expect(voice.count - headers[1].headerLength == 80)
        // One-byte extensions (RFC 8285 §4.2): the level is the first.
        #expect(noise[16] == OfferTemplate.audioLevelID << 4 && noise[17] == 127)
        #expect(voice[16] == OfferTemplate.audioLevelID << 4 && voice[17] == 0x80 | 25)
        voice.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let payload = base + headers[1].headerLength
            #expect(Stamp.readVoice(payload, length: 80) == stamp)
            #expect(Stamp.read(payload, length: 80) == stamp.sentAt)
            #expect(Stamp.readVoice(payload, length: Stamp.voiceBytes) == nil)
        }
        #expect(source.packets == 3 && source.octets == 163)
    }

    @Test func offersAMicrophoneAndSlots() throws {
        let template = OfferTemplate(
            ice: ICECredentials(usernameFragment: "abcd", password: "0123456789012345678901"),
            fingerprint: Fingerprint(algorithm: "sha-256", digest: (0..<32).map { UInt8($0) }),
            hasVideo: false
        )
        let offer = try Offer(parsing: template.conference(audio: 9, slots: 4))
        #expect(offer.sections.map(\.mid) == ["0", "1", "2", "3", "4"])
        #expect(offer.sections.map(\.direction) == [.sendonly, .recvonly, .recvonly, .recvonly, .recvonly])
        #expect(offer.sections[0].announcedSSRCs == [9])
        #expect(offer.sections.allSatisfy { $0.bundled && $0.rtcpMux })
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
