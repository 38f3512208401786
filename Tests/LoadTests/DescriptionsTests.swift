// Offers that the server's own reader takes, and answers as servers write them.
import CLinux
import PeerTransport
import RTP
import SDP
import Testing

@testable import Load

@Suite struct DescriptionsTests {
    private func description(_ sections: [LocalDescription.Section], hasFeedback: Bool = true)
        -> LocalDescription
    {
        LocalDescription(
            ice: ICECredentials(usernameFragment: "abcd", password: "0123456789012345678901"),
            fingerprint: Fingerprint(algorithm: "sha-256", digest: (0..<32).map { UInt8($0) }),
            hasFeedback: hasFeedback,
            sections: sections
        )
    }

    private func sources(_ codec: VideoCodec, layers: [Int]) -> [any MediaSource] {
        let audio = AudioFormat(bitsPerSecond: 32_000, isConstant: true, talkPercent: 100, hasDTX: false)
        let video = VideoFormat(codec: codec, layers: layers, framesPerSecond: 30, keyFrameSeconds: 0)
        return [AudioSource(audio, source: 1)]
            + layers.indices.map { VideoSource(video, layer: $0, source: 1) as any MediaSource }
    }

    @Test(arguments: VideoCodec.allCases)
    func publishersOffersCanBeRead(codec: VideoCodec) throws {
        let sources = sources(codec, layers: [500_000])
        let description = description(LocalDescription.publishing(sources, codec: codec))
        let offer = try Offer(parsing: description.offer)
        #expect(offer.sections.map(\.mid) == ["0", "1"])
        #expect(offer.sections.allSatisfy { $0.direction == .sendonly && $0.bundled && $0.rtcpMux })
        #expect(offer.sections.map(\.announcedSSRCs) == sources.map { [$0.stream.ssrc] })
        #expect(offer.remote.fingerprints == [description.fingerprint])
        #expect(offer.sections[0].codecs.map(\.name) == [.opus])
        #expect(offer.sections[1].codecs.map(\.name) == [codec == .vp8 ? .vp8 : .h264])
        #expect(offer.sections[1].rids.isEmpty)
    }

    @Test func simulcastIsOfferedByRid() throws {
        let sources = sources(.vp8, layers: [150_000, 450_000, 1_700_000])
        let offer = try Offer(parsing: description(LocalDescription.publishing(sources, codec: .vp8)).offer)
        #expect(offer.sections[1].rids.map(\.id) == ["l", "m", "h"])
        #expect(offer.sections[1].announcedSSRCs.isEmpty)
    }

    @Test(arguments: [true, false])
    func subscribersOfferFeedbackWhereItIsWanted(hasFeedback: Bool) throws {
        let sections = LocalDescription.receiving(audio: 1, video: 2, codec: .h264, first: 3)
        let offer = try Offer(parsing: description(sections, hasFeedback: hasFeedback).offer)
        #expect(offer.sections.map(\.mid) == ["3", "4", "5"])
        #expect(offer.sections.allSatisfy { $0.direction == .recvonly && $0.announcedSSRCs.isEmpty })
        let video = try #require(offer.sections[2].codecs.first)
        #expect(video.rtxPayloadType == (hasFeedback ? 103 : nil))
        #expect(video.feedback.contains(.nack) == hasFeedback)
        #expect(video.feedback.contains(.transportCC) == hasFeedback)
        #expect(video.feedback.contains(.pli))
    }

    @Test func everybodyInARoomDoesBoth() throws {
        let sent = LocalDescription.publishing(sources(.vp8, layers: []), codec: .vp8)
        let received = LocalDescription.receiving(audio: 4, video: 0, codec: .vp8, first: sent.count)
        let offer = try Offer(parsing: description(sent + received).offer)
        #expect(offer.sections.map(\.mid) == ["0", "1", "2", "3", "4"])
        #expect(offer.sections.map(\.direction) == [.sendonly, .recvonly, .recvonly, .recvonly, .recvonly])
    }

    @Test func anOfferOfTheServerIsAnswered() throws {
        let offer = text(
            Self.answer.map { $0 == "a=setup:passive" ? "a=setup:actpass" : $0 } + [
                "a=rtcp-fb:96 nack", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:2",
            ]
        )
        #expect(try RemoteDescription(offer).role == .client)
        let answer = try SessionDescription(parsing: try description([]).answer(to: offer))
        #expect(answer.attributes.contains(Attribute("group", "BUNDLE 0 1", line: 5)))
        #expect(answer.media.map(\.port) == [9, 9, 0])
        #expect(answer.media[1].formats == ["96"])
        let attributes = answer.media[1].attributes.map { Attribute($0.name, $0.value) }
        for expected in [
            Attribute("setup", "active"), Attribute("recvonly"), Attribute("rtpmap", "96 VP8/90000"),
            Attribute("rtcp-fb", "96 nack"), Attribute("ice-ufrag", "abcd"),
        ] {
            #expect(attributes.contains(expected), "\(expected)")
        }
    }

    private static let answer = [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite", "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host",
        "a=candidate:2 1 udp 2130706430 host.example 7882 typ host",
        "a=candidate:3 1 tcp 2130706432 127.0.0.1 7883 typ host tcptype passive",
        "a=ice-ufrag:AAxyzxyzxy", "a=ice-pwd:0123456789012345678901", "a=fingerprint:SHA-256 00:0A:FF",
        "a=setup:passive", "a=mid:0", "a=rtpmap:111 opus/48000/2", "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0", "a=mid:1", "a=rtpmap:96 VP8/90000",
    ]

    private func text(_ lines: [String]) -> String { lines.map { $0 + "\r\n" }.joined() }

    @Test func readsWhatItNeeds() throws {
        let answer = try RemoteDescription(text(Self.answer))
        #expect(answer.ice.usernameFragment == "AAxyzxyzxy")
        #expect(answer.fingerprints == [Fingerprint(algorithm: "sha-256", digest: [0, 10, 255])])
        #expect(answer.candidate.port == 7882 && answer.candidate.isLoopback)
        #expect(answer.audioType == 111 && answer.videoType == 96 && answer.videoTypes == [96])
        #expect(answer.role == .client && answer.repairs.isEmpty && answer.transportSequenceID == 0)
    }

    @Test func readsRetransmissionsAndFeedback() throws {
        let more = [
            "a=fmtp:97 apt=96", "a=ssrc-group:FID 1001 2002",
            "a=extmap:3 \(HeaderExtension.transportSequence.uri)",
        ]
        var lines = Self.answer.map { $0 == "a=setup:passive" ? "a=setup:active" : $0 }
        lines = lines.map {
            $0 == "m=video 9 UDP/TLS/RTP/SAVPF 96" ? "m=video 9 UDP/TLS/RTP/SAVPF 96 97" : $0
        }
        let answer = try RemoteDescription(text(lines + more))
        #expect(answer.role == .server && answer.repairs == [97: 96] && answer.videoTypes == [96])
        #expect(answer.repairedStreams == [2002: 1001] && answer.transportSequenceID == 3)
    }

    @Test(arguments: ["a=ice-pwd", "a=candidate:1", "a=setup"])
    func saysWhatIsMissing(prefix: String) {
        #expect(throws: LoadError.self) {
            try RemoteDescription(text(Self.answer.filter { !$0.hasPrefix(prefix) }))
        }
    }

    @Test func stampsAreFoundBehindDescriptors() {
        var payload = [UInt8](repeating: 0x55, count: 64)
        let stamp = Stamp(sentAt: 1_234_567_890_123, source: 517, layer: 2, number: 70_000)
        payload.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            #expect(Stamp.read(base, length: 64) == nil)
            stamp.write(to: base + 16)
            #expect(Stamp.read(base, length: 64) == stamp)
            #expect(Stamp.read(base, length: 16 + Stamp.bytes) == stamp)
            #expect(Stamp.read(base, length: 15 + Stamp.bytes) == nil)
        }
    }

    @Test(arguments: [
        ("http://127.0.0.1:18080", true), ("http://[::1]:80/base/", true), ("http://192.0.2.1", false),
    ])
    func knowsLoopback(url: String, isLoopback: Bool) throws {
        #expect(try ServerURL(url).address.isLoopback == isLoopback)
    }

    @Test(arguments: ["https://127.0.0.1", "127.0.0.1:80", "http://:80", "http://127.0.0.1:port"])
    func refusesURLs(url: String) {
        #expect(throws: LoadError.self) { try ServerURL(url) }
    }
}
