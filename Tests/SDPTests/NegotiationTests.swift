import RTP
import SDP
import Testing

@Suite struct NegotiationTests {
    @Test func chromiumPublisherBecomesReceiveSections() throws {
        let session = try answered(Fixture.offer("chromium_VP8_sim.offer.sdp")).session
        #expect(session.sections.map { $0.mid } == ["0", "1", "2"])
        #expect(session.sections[2].rejection == .unsupportedKind)
        let audio = try #require(session.sections[0].media)
        #expect(audio.codecs.map { $0.name } == [.opus, .red])
        #expect(audio.receive == [EncodingParameters(ssrc: 198_129_321)])
        #expect(audio.slot == nil)
        #expect(audio.allowsMixedExtensions)
        let video = try #require(session.sections[1].media)
        #expect(video.receive.map { $0.rid } == ["q", "h", "f"])
        #expect(video.codecs[0].feedback == [.nack, .pli, .fir, .transportCC])
        #expect(video.codecs[0].formatParameters == "")
        #expect(
            Set(video.extensions.map { $0.kind }).isSuperset(of: [
                .mid, .rid, .repairedRid, .videoLayersAllocation,
            ])
        )
        #expect(session.media == [audio, video])
    }

    @Test func receiveSectionsOfThePeerBecomeSlots() throws {
        let session = try answered(Fixture.offer("lk_offer.sdp")).session
        let slots = session.sections.compactMap { $0.media?.slot }
        #expect(slots.count == 6)
        #expect(
            session.sections.prefix(3).allSatisfy { $0.media?.slot != nil && $0.media?.slot?.rtxSSRC == nil }
        )
        #expect(session.sections[3..<6].allSatisfy { $0.media?.slot?.rtxSSRC != nil })
        #expect(session.sections[3].media?.receive == [])
        #expect(
            session.sections.suffix(2).allSatisfy { $0.media?.slot == nil && $0.media?.receive.count == 1 }
        )
        // transport-cc without its extension is of no use: REMB stays
        #expect(session.sections[3].media?.codecs[0].feedback == [.nack, .pli, .fir, .remb])
        #expect(Set(slots.flatMap { [$0.ssrc, $0.rtxSSRC ?? 0] }).count == 10)
    }

    @Test func codecsComeInTheOrderOfThePolicy() throws {
        let offer = try Fixture.offer("lk_offer.sdp")
        let preferred = try answered(offer).session.sections[3].media?.codecs.map { $0.name }
        #expect(preferred == [.vp8, .vp9, .vp9, .h264, .h264, .h264, .h264, .h264, .h264, .av1])
        let narrow = try answered(offer, policy: AnswerPolicy(videoCodecs: [.h264, .vp8])).session.sections[3]
            .media
        #expect(narrow?.codecs.map { $0.payloadType } == [103, 107, 109, 115, 117, 39, 96])
        #expect(narrow?.codecs.first?.rtxPayloadType == 104)
    }

    @Test func codecsThatTheOtherSideLacksRejectTheSectionAlone() throws {
        let firefox = try Fixture.offer("firefox_VP9.offer.sdp")
        let policy = AnswerPolicy(videoCodecs: [.h264])
        let (session, text) = try answered(firefox, policy: policy)
        #expect(session.sections.map { $0.rejection } == [nil, .noCommonCodec, .unsupportedKind])
        let answer = try SessionDescription(parsing: text)
        #expect(answer.media.map { $0.port } == [9, 0, 0])
        #expect(answer.attributes.contains { $0.value == "BUNDLE 0" })
        #expect(answer.media[1].has("inactive"))
        #expect(answer.media[1].values("mid") == ["1"])
        #expect(!answer.media[1].has("ice-ufrag"))
    }

    @Test func strictPoliciesWantEverySection() throws {
        var policy = AnswerPolicy(receive: [], requiresEverySection: true)
        #expect(try answered(Fixture.offer("gst_whip_offer.sdp"), policy: policy).session.media.count == 2)
        #expect(throws: NegotiationError.sectionRefused(mid: "application2", .unsupportedKind)) {
            try answered(Fixture.offer("gst_offer.sdp"), policy: policy)
        }
        policy.videoCodecs = [.h264]
        #expect(throws: NegotiationError.sectionRefused(mid: "video0", .noCommonCodec)) {
            try answered(Fixture.offer("gst_whip_offer.sdp"), policy: policy)
        }
        let stopped = OfferText(OfferText.opus, ["m=video 0 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000"])
        #expect(try answered(stopped.offer, policy: policy).session.sections[1].rejection == .stopped)
    }

    @Test func twoLiteAgentsCannotTalk() throws {
        let text = try answered(Fixture.offer("chromium_VP8.offer.sdp")).text
        #expect(throws: NegotiationError.peerIsICELite) { try answered(Offer(parsing: text)) }
        let inSection = try OfferText(OfferText.opus + ["a=ice-lite"]).offer
        #expect(throws: NegotiationError.peerIsICELite) { try answered(inSection) }
    }

    @Test(
        arguments: [
            (MediaDirection.sendrecv, true, true, MediaDirection.sendrecv),
            (.sendrecv, true, false, .recvonly),
            (.sendrecv, false, true, .sendonly), (.sendonly, true, true, .recvonly),
            (.recvonly, true, true, .sendonly),
            (.inactive, true, true, .inactive), (.inactive, false, false, .inactive),
            (.sendonly, false, true, nil),
            (.recvonly, true, false, nil), (.sendrecv, false, false, nil),
        ] as [(MediaDirection, Bool, Bool, MediaDirection?)]
    )
    func directionsAreMirroredAsFarAsAllowed(
        offered: MediaDirection,
        publish: Bool,
        receive: Bool,
        expected: MediaDirection?
    ) throws {
        let offer = try OfferText(OfferText.vp8 + ["a=\(offered.rawValue)"]).offer
        let policy = AnswerPolicy(publish: publish ? [.video] : [], receive: receive ? [.video] : [])
        let section = try answered(offer, policy: policy).session.sections[0]
        #expect(section.accepted?.direction == expected)
        #expect(section.rejection == (expected == nil ? .notAllowed : nil))
        #expect(section.media?.receive.isEmpty == expected.map { !$0.receives })
        #expect((section.media?.slot != nil) == (expected?.sends ?? false))
    }

    @Test(arguments: [
        ("m=video 9 RTP/AVP 96", "a=sendonly", RejectionReason.unsupportedProtocol),
        ("m=text 9 UDP/TLS/RTP/SAVPF 96", "a=sendonly", .unsupportedKind),
        ("m=video 0 UDP/TLS/RTP/SAVPF 96", "a=sendonly", .stopped),
        ("m=video 9 UDP/TLS/RTP/SAVPF 97", "a=sendonly", .noCommonCodec),
    ])
    func sectionsThatCannotBeServed(line: String, direction: String, reason: RejectionReason) throws {
        let offer = try OfferText(OfferText.opus, [line, "a=rtpmap:96 VP8/90000", direction]).offer
        let session = try answered(offer).session
        #expect(session.sections.map { $0.rejection } == [nil, reason])
    }

    @Test func sectionsNeedTheTransportOfTheOthers() throws {
        let text = OfferText(OfferText.opus, OfferText.opus).text
        let unmuxed = try Offer(parsing: text.replacing("a=rtcp-mux\r\n", with: ""))
        #expect(try answered(unmuxed).session.sections.map { $0.rejection } == [.noRTCPMux, .noRTCPMux])
        let apart = try Offer(parsing: text.replacing("BUNDLE 0 1", with: "BUNDLE 0"))
        #expect(try answered(apart).session.sections.map { $0.rejection } == [nil, .notBundled])
        let (session, answer) = try answered(
            Offer(parsing: text.replacing("a=group:BUNDLE 0 1\r\n", with: ""))
        )
        #expect(session.sections.map { $0.rejection } == [nil, .notBundled])
        #expect(!answer.contains("BUNDLE"))
    }

    @Test func simulcastCanBeRefused() throws {
        let policy = AnswerPolicy(acceptsSimulcast: false)
        let chromium = try answered(Fixture.offer("chromium_VP8_sim.offer.sdp"), policy: policy).session
        #expect(chromium.sections[1].media?.receive == [EncodingParameters()])
        let firefox = try answered(Fixture.offer("firefox_VP8_sim.offer.sdp"), policy: policy).session
        let first = EncodingParameters(ssrc: 1_964_912_392, rtxSSRC: 2_247_883_156)
        #expect(firefox.sections[1].media?.receive == [first])
    }

    @Test func layersAreBoundedAndRestrictionsEchoed() throws {
        let rids = ["a", "b", "c", "d", "e", "f"]
        let offer = try OfferText(
            OfferText.vp8 + [OfferTests.ridExtension]
                + rids.map { "a=rid:\($0) send pt=\($0 == "b" ? 99 : 96);max-fs=99" }
                + ["a=simulcast:send ~" + rids.joined(separator: ";"), "a=sendonly"]
        ).offer
        let (session, text) = try answered(offer)
        #expect(session.sections[0].media?.receive.map { $0.rid } == ["a", "c", "d", "e"])
        let answer = try SessionDescription(parsing: text).media[0]
        #expect(answer.values("simulcast") == ["recv ~a;c;d;e"])
        #expect(answer.values("rid")[0] == "a recv pt=96;max-fs=99")
    }

    static let redFirst = [
        "m=audio 9 UDP/TLS/RTP/SAVPF 63 111", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111",
        "a=rtpmap:111 opus/48000/2",
    ]

    @Test func redComesWhereItsSenderPutItAndAfterOpusForReceivers() throws {
        func types(_ media: [String], policy: AnswerPolicy = AnswerPolicy()) throws -> [UInt8]? {
            let section = try answered(OfferText(media).offer, policy: policy).session.sections[0]
            return section.media?.codecs.map { $0.payloadType }
        }
        #expect(try types(Self.redFirst + ["a=sendonly"]) == [63, 111])
        #expect(try types(Self.redFirst) == [63, 111])
        #expect(try types(Self.redFirst + ["a=recvonly"]) == [111, 63])
        let opusFirst = [Self.redFirst[0].replacing("63 111", with: "111 63")] + Self.redFirst.dropFirst()
        #expect(try types(opusFirst + ["a=sendonly"]) == [111, 63])
        #expect(try types(opusFirst + ["a=recvonly"]) == [111, 63])
        #expect(
            try types(Self.redFirst + ["a=sendonly"], policy: AnswerPolicy(audioCodecs: [.opus])) == [111]
        )
        let text = try answered(OfferText(Self.redFirst + ["a=sendonly"]).offer).text
        #expect(text.contains("m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n"))
        #expect(text.contains("a=rtpmap:63 red/48000/2\r\n"))
        #expect(text.contains("a=fmtp:63 111/111\r\n"))
    }

    /// What the media plane finds RED by, in sections that send and in those that receive.
    @Test(arguments: ["chromium_VP8_sim.offer.sdp", "lk_offer.sdp", "wrtc_offer.sdp"])
    func redOfBrowsersIsTakenBothWays(name: String) throws {
        let text = try Fixture.text(name)
        for direction in [nil, "recvonly", "sendonly", "sendrecv"] as [String?] {
            let offered = ["recvonly", "sendonly", "sendrecv"].reduce(text) { text, old in
                direction.map { text.replacing("a=\(old)\r\n", with: "a=\($0)\r\n") } ?? text
            }
            let (session, answer) = try answered(Offer(parsing: offered))
            let description = try SessionDescription(parsing: answer)
            var sections = 0
            for (section, media) in zip(session.sections, description.media) {
                guard let audio = section.media, audio.kind == .audio else { continue }
                sections += 1
                let red = try #require(audio.codecs.first { $0.name == .red })
                #expect(red.redundantPayloadType == 111 && red.clockRate == 48_000 && red.channels == 2)
                #expect(audio.codecs.map { $0.payloadType } == [111, red.payloadType])
                #expect(media.formats == ["111", "\(red.payloadType)"])
                #expect(media.values("rtpmap").contains("\(red.payloadType) red/48000/2"))
                #expect(media.values("fmtp").contains("\(red.payloadType) 111/111"))
                #expect((audio.slot != nil) == audio.receive.isEmpty || direction == "sendrecv")
            }
            #expect(sections > 0)
        }
    }

    @Test func redOfAnythingButTheOpusBesideItIsNotTaken() throws {
        for parameters in ["8/8", "111/8", "", "111/111/x", "300/300"] {
            let media = Self.redFirst.map {
                $0.replacing("a=fmtp:63 111/111", with: "a=fmtp:63 \(parameters)")
            }
            .filter { $0 != "a=fmtp:63 " }
            let codecs = try answered(OfferText(media).offer).session.sections[0].media?.codecs
            #expect(codecs?.map { $0.name } == [.opus], "\(parameters)")
        }
        let alone = try OfferText(["m=audio 9 UDP/TLS/RTP/SAVPF 63", "a=rtpmap:63 red/48000/2"]).offer
        #expect(try answered(alone).session.sections[0].rejection == .noCommonCodec)
    }

    @Test func aCodecThatThePublisherNamesComesFirstInItsSectionAlone() throws {
        let all = [
            "m=video 9 UDP/TLS/RTP/SAVPF 96 45 98", "a=rtpmap:96 VP8/90000", "a=rtpmap:45 AV1/90000",
            "a=rtpmap:98 VP9/90000",
        ]
        let offer = try OfferText(all + ["a=sendonly"], all + ["a=sendonly"], all + ["a=recvonly"]).offer
        func order(_ policy: AnswerPolicy) throws -> [[CodecName]] {
            try answered(offer, policy: policy).session.media.map { $0.codecs.map { $0.name } }
        }
        let usual: [CodecName] = [.vp8, .vp9, .av1]
        #expect(try order(AnswerPolicy()) == [usual, usual, usual])
        let named = AnswerPolicy(wantedCodecs: ["1": .av1, "2": .av1])
        #expect(try order(named) == [usual, [.av1, .vp8, .vp9], usual])
        // What the server does not take, or the section does not offer, changes nothing.
        let refused = AnswerPolicy(videoCodecs: [.vp8, .vp9], wantedCodecs: ["0": .av1, "1": .h264])
        #expect(try order(refused) == Array(repeating: [.vp8, .vp9], count: 3))
    }

    @Test func layersBySSRCGroupComeInItsOrder() throws {
        let lines = [
            "a=ssrc-group:SIM 30 10 20 10 0", "a=ssrc-group:FID 30 31", "a=ssrc-group:FID 10 11",
            "a=ssrc-group:FID 20 21", "a=ssrc:10 cname:x", "a=ssrc:11 cname:x", "a=sendonly",
        ]
        let layers = [
            EncodingParameters(ssrc: 30, rtxSSRC: 31), EncodingParameters(ssrc: 10, rtxSSRC: 11),
            EncodingParameters(ssrc: 20, rtxSSRC: 21),
        ]
        let session = try answered(OfferText(OfferText.vp8 + lines).offer).session
        #expect(session.sections[0].media?.receive == layers)
        #expect(session.sections[0].accepted?.rids.isEmpty == true)
        // A repair stream is no layer, whatever the group says.
        let mixed = lines.map { $0.replacing("SIM 30 10 20 10 0", with: "SIM 30 31 10") }
        let cleaned = try answered(OfferText(OfferText.vp8 + mixed).offer).session
        #expect(cleaned.sections[0].media?.receive == Array(layers.prefix(2)))
        let many = "a=ssrc-group:SIM " + (1...9).map { "\($0)" }.joined(separator: " ")
        let bounded = try answered(OfferText(OfferText.vp8 + [many, "a=sendonly"]).offer).session
        #expect(bounded.sections[0].media?.receive.count == Limits.Media.encodingsPerPublication)
        let single = try answered(
            OfferText(OfferText.vp8 + lines).offer,
            policy: AnswerPolicy(acceptsSimulcast: false)
        )
        #expect(single.session.sections[0].media?.receive == Array(layers.prefix(1)))
    }

    @Test func ridsOutweighSSRCGroupsAndKeepTheOrderOfTheOffer_str0m372() throws {
        let firefox = try answered(Fixture.offer("firefox_VP8_sim.offer.sdp")).session
        #expect(
            firefox.sections[1].media?.receive == ["q", "h", "f"].map { EncodingParameters(rid: $0) }
        )
        let text = try Fixture.text("chromium_VP8_sim.offer.sdp")
            .replacing("a=simulcast:send q;h;f", with: "a=simulcast:send f;h;q")
        let (session, answer) = try answered(Offer(parsing: text))
        #expect(session.sections[1].media?.receive.map { $0.rid } == ["f", "h", "q"])
        #expect(answer.contains("a=simulcast:recv f;h;q\r\n"))
    }

    @Test func aPayloadTypeMeansOneThingOnTheTransport() throws {
        let offer = try OfferText(
            OfferText.vp8,
            [
                "m=video 9 UDP/TLS/RTP/SAVPF 96 98 97", "a=rtpmap:96 VP9/90000", "a=rtpmap:98 VP9/90000",
                "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=98",
            ],
            ["m=audio 9 UDP/TLS/RTP/SAVPF 97", "a=rtpmap:97 opus/48000/2"]
        ).offer
        let session = try answered(offer).session
        #expect(session.sections[1].media?.codecs.map { $0.payloadType } == [98])
        #expect(session.sections[1].media?.codecs[0].rtxPayloadType == nil)
        #expect(session.sections[2].rejection == .noCommonCodec)
    }

    @Test func formatParametersOfAPayloadTypeAreEqualEverywhere() throws {
        let offer = try OfferText(
            OfferText.opus + ["a=fmtp:111 minptime=10;useinbandfec=1", "a=recvonly"],
            OfferText.opus + ["a=fmtp:111 minptime=20; stereo=1", "a=sendonly"],
            OfferText.opus + ["a=sendonly"]
        ).offer
        let session = try answered(offer).session
        let formats = session.media.map { $0.codecs[0].formatParameters }
        #expect(formats == Array(repeating: "minptime=20;stereo=1;useinbandfec=1", count: 3))
    }

    @Test func extensionsFollowTheDirection() throws {
        let lines = HeaderExtension.allCases.enumerated().map {
            "a=extmap:\($0.offset + 1) \($0.element.uri)"
        }
        let rids = ["a=rid:q send", "a=rid:f send", "a=simulcast:send q;f", "a=rtcp-fb:96 transport-cc"]
        func kinds(_ media: [String]) throws -> Set<HeaderExtension> {
            Set(
                try answered(OfferText(media + lines).offer).session.media.flatMap {
                    $0.extensions.map { $0.kind }
                }
            )
        }
        let video = Set(HeaderExtension.allCases).subtracting([.audioLevel, .absoluteSendTime])
        #expect(try kinds(OfferText.vp8 + rids + ["a=sendonly"]) == video)
        #expect(try kinds(OfferText.vp8 + rids + ["a=recvonly"]) == video)
        #expect(try kinds(OfferText.vp8 + rids + ["a=inactive"]) == video)
        #expect(
            try kinds(OfferText.opus + ["a=rtcp-fb:111 transport-cc"]) == [
                .mid, .transportSequence, .absoluteCaptureTime, .audioLevel,
            ]
        )
        // Without its feedback message transport-cc has no reader.
        #expect(try !kinds(OfferText.opus).contains(.transportSequence))
    }

    @Test func theTimeOfSendingIsForThoseWhoAnswerWithREMB() throws {
        func kinds(_ feedback: [String], hasSequence: Bool) throws -> [HeaderExtension]? {
            let lines =
                ["a=extmap:2 \(HeaderExtension.absoluteSendTime.uri)"]
                + (hasSequence ? ["a=extmap:3 \(HeaderExtension.transportSequence.uri)"] : [])
                + feedback.map { "a=rtcp-fb:96 \($0)" }
            return try answered(OfferText(OfferText.vp8 + lines).offer).session.sections[0].media?.extensions
                .map { $0.kind }
        }
        #expect(try kinds(["goog-remb"], hasSequence: false) == [.absoluteSendTime])
        #expect(try kinds(["goog-remb", "transport-cc"], hasSequence: false) == [.absoluteSendTime])
        #expect(try kinds(["goog-remb", "transport-cc"], hasSequence: true) == [.transportSequence])
        #expect(try kinds(["goog-remb"], hasSequence: true) == [.absoluteSendTime])
        #expect(try kinds([], hasSequence: true) == [])
    }

    @Test func suffixesSayWhatIsUsed() throws {
        let lines = [
            "a=extmap:4 \(HeaderExtension.mid.uri)", "a=extmap:10 \(HeaderExtension.rid.uri)",
            "a=extmap:9 \(HeaderExtension.videoLayersAllocation.uri)",
            "a=extmap:5/recvonly \(HeaderExtension.playoutDelay.uri)",
            "a=extmap:6/sendrecv \(HeaderExtension.videoContentType.uri)",
            "a=extmap:13/inactive \(HeaderExtension.videoOrientation.uri)",
        ]
        func extmaps(_ direction: String) throws -> [String] {
            let text = try answered(OfferText(OfferText.vp8 + lines + [direction]).offer).text
            return try SessionDescription(parsing: text).media[0].values("extmap").map {
                String($0.split(separator: " ")[0])
            }
        }
        #expect(try extmaps("a=sendrecv") == ["4", "10/recvonly", "9/recvonly", "5/sendonly", "6/sendrecv"])
        #expect(try extmaps("a=sendonly") == ["4", "10", "9", "6/recvonly"])
        #expect(try extmaps("a=recvonly") == ["4", "10", "9", "5/sendonly", "6/sendonly"])
    }

    @Test func theWiderFormOfExtensionsIsToldToTheMediaPlane() throws {
        func allows(_ text: OfferText) throws -> [Bool] {
            try answered(text.offer).session.media.map { $0.allowsMixedExtensions }
        }
        let mixed = "a=extmap-allow-mixed"
        #expect(try allows(OfferText(OfferText.opus, OfferText.vp8)) == [false, false])
        #expect(try allows(OfferText(OfferText.opus, OfferText.vp8 + [mixed])) == [false, true])
        #expect(try allows(OfferText(session: [mixed], OfferText.opus, OfferText.vp8)) == [true, true])
        #expect(
            try answered(Fixture.offer("firefox_VP8_sim.offer.sdp")).session.media[1].allowsMixedExtensions
        )
        #expect(try !answered(Fixture.offer("aiortc_offer.sdp")).session.media[1].allowsMixedExtensions)
    }

    @Test func suffixesOfExtensionsAreMirrored() throws {
        let (session, text) = try answered(Fixture.offer("firefox_VP8_sim.offer.sdp"))
        #expect(text.contains("a=extmap:9/recvonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"))
        #expect(session.sections[1].media?.extensions.contains { $0.kind == .playoutDelay } == false)
    }

    @Test func anExtensionIDMeansOneThingOnTheTransport() throws {
        let offer = try OfferText(
            OfferText.opus + ["a=extmap:1 \(HeaderExtension.mid.uri)"],
            OfferText.opus + [
                "a=extmap:1 \(HeaderExtension.audioLevel.uri)", "a=extmap:2 \(HeaderExtension.mid.uri)",
            ]
        ).offer
        let session = try answered(offer).session
        #expect(session.sections[1].media?.extensions == [HeaderExtensionID(.mid, id: 2)])
    }

    @Test func h264IsAcceptedByProfile() throws {
        let profiles = ["42001f", "42e01f", "4d001f", "640c1f", "64001f", "6e001f", "f4001f", "zz001f"]
        var lines = [
            "m=video 9 UDP/TLS/RTP/SAVPF " + profiles.indices.map { "\(96 + $0)" }.joined(separator: " ")
        ]
        for (index, profile) in profiles.enumerated() {
            lines.append("a=rtpmap:\(96 + index) H264/90000")
            lines.append("a=fmtp:\(96 + index) level-asymmetry-allowed=1;profile-level-id=\(profile)")
        }
        let codecs = try answered(OfferText(lines).offer).session.sections[0].media?.codecs
        #expect(codecs?.map { $0.payloadType } == [96, 97, 98, 99, 100])
    }

    @Test func av1OfProfileZeroAlone() throws {
        let offer = try OfferText(
            [
                "m=video 9 UDP/TLS/RTP/SAVPF 45 46", "a=rtpmap:45 AV1/90000", "a=fmtp:45 profile=1",
                "a=rtpmap:46 AV1/90000",
            ]
        ).offer
        #expect(try answered(offer).session.sections[0].media?.codecs.map { $0.payloadType } == [46])
    }
}
