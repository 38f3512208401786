import RTP
import SDP
import Testing

@Suite struct OfferTests {
    @Test func chromiumSimulcast() throws {
        let offer = try Fixture.offer("chromium_VP8_sim.offer.sdp")
        #expect(
            offer.remote.ice == ICECredentials(usernameFragment: "mstU", password: "OgKLuyxdwyFXr9EefE1bZHHw")
        )
        #expect(offer.remote.setup == .actpass)
        #expect(offer.remote.fingerprints.map { $0.algorithm } == ["sha-256"])
        #expect(offer.remote.fingerprints[0].digest.prefix(3) == [0x66, 0xf8, 0xdf])
        #expect(!offer.isICELite)
        #expect(offer.bundle == ["0", "1", "2"])
        #expect(offer.allowsMixedExtensions)
        #expect(offer.sections.map { $0.kind } == [.audio, .video, .application])
        #expect(offer.sections.allSatisfy { $0.bundled && !$0.isRejected && $0.hasMid })

        let audio = offer.sections[0]
        #expect(audio.direction == .sendonly)
        #expect(audio.trackID == "993c9683-358b-4827-97fb-1f5afcfff4cd")
        #expect(audio.streamID == nil)
        #expect(audio.codecs.map { $0.name } == [.opus, .red])
        #expect(audio.codecs[0].formatParameters == "minptime=10;useinbandfec=1")
        #expect(audio.codecs[0].channels == 2)
        #expect(audio.codecs[0].feedback == [.transportCC])
        #expect(audio.encodings == [EncodingParameters(ssrc: 198_129_321)])

        let video = offer.sections[1]
        #expect(
            video.codecs == [
                CodecParameters(
                    payloadType: 96,
                    name: .vp8,
                    clockRate: 90_000,
                    rtxPayloadType: 97,
                    feedback: [.nack, .pli, .fir, .transportCC, .remb]
                )
            ]
        )
        #expect(video.rids.map { $0.id } == ["q", "h", "f"])
        #expect(video.encodings.map { $0.rid } == ["q", "h", "f"])
        #expect(video.rtcpReducedSize)
        let extensions = video.extensions.map { $0.header }
        #expect(extensions.contains(HeaderExtensionID(.dependencyDescriptor, id: 12)))
        #expect(extensions.contains(HeaderExtensionID(.videoLayersAllocation, id: 9)))
        #expect(extensions.count == 11)  // toffset and video-timing are not known
    }

    @Test func firefoxSimulcast() throws {
        let offer = try Fixture.offer("firefox_VP8_sim.offer.sdp")
        #expect(offer.remote.ice.usernameFragment == "4246bf66")
        #expect(offer.remote.fingerprints[0].digest.first == 0x42)
        #expect(!offer.allowsMixedExtensions)
        let video = offer.sections[1]
        #expect(!video.isRejected)  // port 0, but bundle-only
        #expect(video.allowsMixedExtensions)
        #expect(video.encodings.map { $0.rid } == ["q", "h", "f"])  // rids win over ssrc-group
        #expect(video.encodings.allSatisfy { $0.ssrc == nil && $0.rtxSSRC == nil })
        #expect(video.announcedSSRCs.count == 6)
        #expect(video.codecs.map { $0.payloadType } == [120])
        #expect(video.codecs[0].rtxPayloadType == 124)
        #expect(
            video.extensions.contains(OfferedExtension(HeaderExtensionID(.rid, id: 9), direction: .sendonly))
        )
        #expect(
            video.extensions.contains(
                OfferedExtension(HeaderExtensionID(.playoutDelay, id: 6), direction: .recvonly)
            )
        )
        #expect(offer.sections[2].kind == .application)
    }

    @Test func firefoxSingleStreamPairsItsSSRCs() throws {
        let video = try Fixture.offer("firefox_AV1.offer.sdp").sections[1]
        #expect(video.encodings == [EncodingParameters(ssrc: 711_562_444, rtxSSRC: 3_565_465_450)])
        #expect(video.codecs.map { $0.name } == [.av1])
        #expect(video.codecs[0].rtxPayloadType == 100)
    }

    @Test func aiortcHasThreeFingerprintsAndItsOwnNumbers() throws {
        let offer = try Fixture.offer("aiortc_offer.sdp")
        #expect(offer.remote.fingerprints.map { $0.algorithm } == ["sha-256", "sha-384", "sha-512"])
        #expect(offer.remote.fingerprints.map { $0.digest.count } == [32, 48, 64])
        #expect(offer.sections[0].codecs.map { $0.payloadType } == [96])
        #expect(offer.sections[0].direction == .sendrecv)
        #expect(offer.sections[1].codecs.map { $0.h264Profile } == [.baseline, .constrainedBaseline])
        #expect(
            offer.sections[1].encodings == [EncodingParameters(ssrc: 3_639_189_115, rtxSSRC: 3_825_385_905)]
        )
        #expect(offer.sections[1].streamID == "39d3efe3-cad7-4c44-8d72-b0aabb1fa28b")
        #expect(offer.sections[1].trackID == "4e0c4922-f5fd-4e5a-b9ea-acecfd92180a")
    }

    @Test func gstreamerNamesItsStreamsBySource() throws {
        let offer = try Fixture.offer("gst_offer.sdp")
        #expect(offer.sections.map { $0.mid } == ["video0", "audio1", "application2"])
        #expect(offer.sections[1].codecs.map { $0.name } == [.opus])  // "OPUS"
        #expect(offer.sections[1].codecs[0].rtxPayloadType == 101)
        #expect(offer.sections[0].streamID == "user3210862471@host-3469b41")
        #expect(offer.sections[0].trackID == "webrtctransceiver0")
        #expect(!offer.sections[1].isRejected)
    }

    @Test func recvonlyOffersSendNothing() throws {
        let offer = try Fixture.offer("lk_offer.sdp")
        #expect(offer.sections.count == 9)
        #expect(offer.sections.filter { $0.direction == .recvonly }.allSatisfy { $0.encodings.isEmpty })
        #expect(offer.sections[3].codecs.count == 10)
    }

    @Test func simulcastBySSRCGroup() throws {
        let offer = try OfferText(
            OfferText.vp8 + [
                "a=ssrc-group:SIM 30 10 20", "a=ssrc-group:FID 30 31", "a=ssrc-group:FID 10 11",
                "a=ssrc-group:FID 20 21", "a=ssrc:10 cname:x", "a=ssrc:11 cname:x", "a=ssrc:30 cname:x",
            ]
        ).offer
        #expect(
            offer.sections[0].encodings == [
                EncodingParameters(ssrc: 30, rtxSSRC: 31), EncodingParameters(ssrc: 10, rtxSSRC: 11),
                EncodingParameters(ssrc: 20, rtxSSRC: 21),
            ]
        )
    }

    @Test func repairStreamsAreNotPublications() throws {
        let offer = try OfferText(
            OfferText.vp8 + ["a=ssrc:7 cname:x", "a=ssrc:6 cname:x", "a=ssrc-group:FID 6 7"]
        ).offer
        #expect(offer.sections[0].encodings == [EncodingParameters(ssrc: 6, rtxSSRC: 7)])
    }

    static let ridExtension = "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"

    @Test func pausedAndAlternativeRids() throws {
        let offer = try OfferText(
            OfferText.vp8 + [
                Self.ridExtension, "a=rid:a send", "a=rid:b send pt=96,99;max-width=640;max-fps=15",
                "a=rid:c send",
                "a=rid:d send", "a=rid:z recv", "a=simulcast:recv z send c;~b,d;nowhere",
            ]
        ).offer
        #expect(
            offer.sections[0].rids == [
                OfferedRid("c"),
                OfferedRid(
                    "b",
                    isPaused: true,
                    payloadTypes: [96, 99],
                    restrictions: "max-width=640;max-fps=15"
                ),
            ]
        )
    }

    @Test func ridsWithoutTheirExtensionAreOfNoUse() throws {
        let offer = try OfferText(
            OfferText.vp8 + ["a=rid:a send", "a=rid:b send", "a=simulcast:send a;b", "a=ssrc:5 cname:x"]
        ).offer
        #expect(offer.sections[0].encodings == [EncodingParameters(ssrc: 5)])
    }

    @Test func transportOnTheSessionLevelIsOverriddenInTheSection() throws {
        let media = OfferText.opus + ["a=ice-ufrag:other", "a=setup:active"]
        let remote = try OfferText(media).offer.remote
        #expect(remote.ice == ICECredentials(usernameFragment: "other", password: "OgKLuyxdwyFXr9EefE1bZHHw"))
        #expect(remote.setup == .active)
    }

    @Test func theTransportIsThatOfTheFirstLivingBundledSection() throws {
        var text = OfferText(
            ["m=audio 0 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2", "a=ice-ufrag:dead"],
            OfferText.vp8 + ["a=ice-ufrag:alive"]
        )
        #expect(try text.offer.remote.ice.usernameFragment == "alive")
        text.sections[0][0] = "m=audio 9 UDP/TLS/RTP/SAVPF 111"
        #expect(try text.offer.remote.ice.usernameFragment == "dead")
    }

    @Test func missingMidsAreInvented() throws {
        let text = OfferText(OfferText.opus, OfferText.opus).text
            .replacing("a=mid:0\r\n", with: "").replacing("a=mid:1\r\n", with: "a=mid:0\r\n")
        let offer = try Offer(parsing: text)
        #expect(offer.sections.map { $0.mid } == ["1", "0"])
        #expect(offer.sections.map { $0.hasMid } == [false, true])
    }

    @Test func sectionLevelDirectionWinsOverSessionLevel() throws {
        let offer = try OfferText(session: ["a=recvonly"], OfferText.opus, OfferText.opus + ["a=inactive"])
            .offer
        #expect(offer.sections.map { $0.direction } == [.recvonly, .inactive])
    }

    @Test func wildcardFeedbackAndUnknownValues() throws {
        let offer = try OfferText(
            [
                "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 vp8/90000", "a=rtcp-fb:* NACK",
                "a=rtcp-fb:96 rrtr",
            ]
        ).offer
        #expect(offer.sections[0].codecs[0].feedback == [.nack])
    }

    @Test func payloadTypesOfRTCPAndUnknownClocksAreNotCodecs() throws {
        let offer = try OfferText(
            [
                "m=audio 9 UDP/TLS/RTP/SAVPF 72 96 97 98 96", "a=rtpmap:72 opus/48000/2",
                "a=rtpmap:96 opus/48000/2",
                "a=rtpmap:97 opus/16000", "a=rtpmap:98 VP8/90000",
            ]
        ).offer
        #expect(offer.sections[0].codecs.map { $0.payloadType } == [96])
    }

    @Test func extensionIDsThatCannotBeUsedArePassedOver() throws {
        let mid = "urn:ietf:params:rtp-hdrext:sdes:mid"
        let lines = [
            "a=extmap:4096 \(mid)", "a=extmap:15 \(HeaderExtension.audioLevel.uri)",
            "a=extmap:3 urn:unknown", "a=extmap:3 \(HeaderExtension.absoluteSendTime.uri)",
            "a=extmap:20 \(HeaderExtension.absoluteCaptureTime.uri)", "a=extmap:5 \(mid)",
            "a=extmap:6 \(mid)",
        ]
        let plain = try OfferText(OfferText.opus + lines).offer.sections[0].extensions.map { $0.header }
        #expect(plain == [HeaderExtensionID(.mid, id: 5)])
        let mixed = try OfferText(session: ["a=extmap-allow-mixed"], OfferText.opus + lines).offer
        #expect(
            mixed.sections[0].extensions.map { $0.header } == [
                HeaderExtensionID(.absoluteCaptureTime, id: 20), HeaderExtensionID(.mid, id: 5),
            ]
        )
    }

    @Test(arguments: [
        ("a=rtpmap:96", "rtpmap"), ("a=rtpmap:128 VP8/90000", "rtpmap"), ("a=rtpmap:x VP8/90000", "rtpmap"),
        ("a=rtpmap:96 VP8", "rtpmap"), ("a=rtpmap:96 VP8/0", "rtpmap"),
        ("a=rtpmap:96 VP8/90000/1/2", "rtpmap"),
        ("a=fmtp:", "fmtp"), ("a=fmtp:300 x=1", "fmtp"), ("a=rtcp-fb:96", "rtcp-fb"),
        ("a=rtcp-fb:z nack", "rtcp-fb"),
        ("a=extmap:0 urn:x", "extmap"), ("a=extmap:undefined urn:x", "extmap"), ("a=extmap:3", "extmap"),
        ("a=extmap:3/sideways urn:x", "extmap"), ("a=rid:q", "rid"), ("a=rid:q sideways", "rid"),
        ("a=rid:12345678901234567 send", "rid"), ("a=rid:q send pt=x", "rid"),
        ("a=simulcast:send", "simulcast"),
        ("a=simulcast:sideways q", "simulcast"), ("a=simulcast:send q;;h", "simulcast"),
        ("a=ssrc:x cname:y", "ssrc"),
        ("a=ssrc:4294967296 cname:y", "ssrc"), ("a=ssrc-group:FID", "ssrc-group"),
        ("a=ssrc-group:FID x", "ssrc-group"),
        ("a=mid:1", "mid"), ("a=msid:", "msid"), ("a=setup:holdconn", "setup"),
        ("a=ice-ufrag:abc", "ice-ufrag"),
        ("a=ice-ufrag:ab:cd", "ice-ufrag"), ("a=ice-pwd:short", "ice-pwd"),
        ("a=fingerprint:sha-256", "fingerprint"),
        ("a=fingerprint:sha-256 AA:BB", "fingerprint"), ("a=fingerprint:sha-256 GG", "fingerprint"),
        ("a=fingerprint:sha-256 +A", "fingerprint"),
    ])
    func malformedAttributesAreRefused(line: String, name: String) {
        let text = OfferText(OfferText.vp8 + [line]).text
        let place = text.utf8.split(separator: 10).count
        #expect(throws: SDPError(line: place, problem: .malformedAttribute(name))) {
            try Offer(parsing: text)
        }
    }

    @Test func duplicateMidsAreRefused() {
        let text = OfferText(OfferText.opus, OfferText.opus).text.replacing("a=mid:1", with: "a=mid:0")
        #expect(throws: SDPError(line: 15, problem: .duplicateMid("0"))) { try Offer(parsing: text) }
    }

    @Test(arguments: [
        ("a=ice-ufrag:mstU\r\n", SDPError.Problem.missingICECredentials),
        ("a=ice-pwd:OgKLuyxdwyFXr9EefE1bZHHw\r\n", .missingICECredentials),
        (OfferText.transport[3] + "\r\n", .missingFingerprint),
    ])
    func offersWithoutATransportAreRefused(missing: String, problem: SDPError.Problem) {
        let text = OfferText(OfferText.opus).text.replacing(missing, with: "")
        #expect(throws: SDPError(line: 9, problem: problem)) { try Offer(parsing: text) }
    }

    @Test func unsafeHashesAreNoFingerprint() {
        let weak = "a=fingerprint:sha-1 " + Array(repeating: "66", count: 20).joined(separator: ":")
        let text = OfferText(OfferText.opus).text.replacing(OfferText.transport[3], with: weak)
        #expect(throws: SDPError(line: 10, problem: .missingFingerprint)) { try Offer(parsing: text) }
    }

    @Test func offersWithoutSectionsAreRefused() {
        #expect(throws: SDPError(line: 0, problem: .noMediaSections)) {
            try Offer(parsing: "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n")
        }
    }

    @Test func boundsOfOneSection() {
        let sources = (1...65).map { "a=ssrc:\($0) cname:x" }
        #expect(throws: SDPError.self) { try OfferText(OfferText.vp8 + sources).offer }
        let fingerprints = Array(repeating: OfferText.transport[3], count: 9)
        #expect(throws: SDPError.self) { try OfferText(OfferText.vp8 + fingerprints).offer }
    }
}
