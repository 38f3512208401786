import RTP
import SDP
import Testing

/// Answers to the offers of real clients, checked against the offer's text and not against the negotiation's
/// values.
@Suite struct AnswerTests {
    @Test(arguments: Fixture.offers)
    func everyClientGetsAnAcceptableAnswer(name: String) throws {
        let text = try Fixture.text(name)
        let answer = try SessionDescription(parsing: answered(Offer(parsing: text)).text)
        expectAcceptable(answer, to: try SessionDescription(parsing: text))
        for (section, offered) in zip(answer.media, try SessionDescription(parsing: text).media) {
            #expect((section.port == 0) == (offered.media == "application"))
        }
    }

    @Test(arguments: Fixture.offers)
    func everyClientGetsAnAcceptableAnswerUnderANarrowPolicy(name: String) throws {
        let text = try Fixture.text(name)
        let policies = [
            AnswerPolicy(publish: []), AnswerPolicy(receive: []), AnswerPolicy(acceptsSimulcast: false),
            AnswerPolicy(videoCodecs: [.av1, .h264]), AnswerPolicy(audioCodecs: []),
            AnswerPolicy(extensions: []),
            AnswerPolicy(audioCodecs: [.red, .opus]),
        ]
        for policy in policies {
            let answer = try SessionDescription(parsing: answered(Offer(parsing: text), policy: policy).text)
            expectAcceptable(answer, to: try SessionDescription(parsing: text), policy: policy)
        }
    }

    @Test(arguments: Fixture.answers)
    func everyAnswerOfAClientIsReadable(name: String) throws {
        let description = try SessionDescription(parsing: Fixture.text(name))
        #expect(description.media.allSatisfy { !$0.formats.isEmpty })
        // Our own offers would be answered like this; "extmap:undefined" is a script's mistake in one of
        // them.
        if name == "firefox_VP8_sim.answer.sdp" {
            #expect(throws: SDPError(line: 71, problem: .malformedAttribute("extmap"))) {
                try Offer(description)
            }
        } else {
            #expect(try Offer(description).remote.setup == .active)
        }
    }

    @Test(arguments: ["chromium_VP8_sim", "firefox_VP8_sim", "aiortc", "gst", "wrtc"])
    func textIsAsReviewed(name: String) throws {
        let offers = [
            "chromium_VP8_sim": "chromium_VP8_sim.offer.sdp", "firefox_VP8_sim": "firefox_VP8_sim.offer.sdp",
            "aiortc": "aiortc_offer.sdp", "gst": "gst_offer.sdp", "wrtc": "wrtc_offer.sdp",
        ]
        let text = try answered(Fixture.offer(try #require(offers[name]))).text
        #expect(text == (try Fixture.text("golden/\(name).sdp")))
    }

    @Test func liteIsSaidAfterTheTime() throws {
        let lines = try answered(Fixture.offer("chromium_VP8.offer.sdp")).text.replacing("\r\n", with: "\n")
        let time = try #require(lines.firstRange(of: "\nt=0 0\n"))
        let lite = try #require(lines.firstRange(of: "\na=ice-lite\n"))
        let media = try #require(lines.firstRange(of: "\nm="))
        #expect(time.lowerBound < lite.lowerBound)
        #expect(lite.lowerBound < media.lowerBound)
    }

    @Test func passivePeersGetAnActiveAnswer() throws {
        let text = OfferText(OfferText.opus).text.replacing("a=setup:actpass", with: "a=setup:passive")
        let offer = try Offer(parsing: text)
        #expect(offer.answeringSetup == .active)
        var local = localTransport
        local.setup = .actpass
        let session = try answered(offer).session
        let answer = answerText(session, offer: offer, local: local, sessionID: 1, version: 1, cname: "x")
        #expect(answer.contains("a=setup:active\r\n"))
        #expect(try OfferText(OfferText.opus).offer.answeringSetup == .passive)
    }

    @Test func namesOfTheCallerCannotBreakTheText() throws {
        let offer = try OfferText(OfferText.opus + ["a=recvonly"]).offer
        let session = try answered(offer).session
        let evil = "x y\r\na=ice-ufrag:evil"
        var local = localTransport
        local.candidates[0].address = evil
        let text = answerText(
            session,
            offer: offer,
            local: local,
            sessionID: .max,
            version: .max,
            cname: evil,
            streamNames: ["0": StreamName(stream: evil, track: "")]
        )
        let answer = try SessionDescription(parsing: text)
        #expect(answer.origin.sessionID == "9223372036854775807")
        #expect(answer.media[0].values("msid") == ["x_y__a=ice-ufrag:evil _"])
        #expect(answer.media[0].values("ice-ufrag") == ["Aw7dQx2p"])
        #expect(answer.media[0].values("candidate").count == 2)
    }

    @Test func perLayerKeyFramesAreAskedForWhereThereAreLayers() throws {
        let simulcast = try answered(Fixture.offer("chromium_VP8_sim.offer.sdp")).text
        #expect(simulcast.contains("a=fmtp:96 x-google-per-layer-pli=1\r\n"))
        let single = try answered(Fixture.offer("chromium_VP8.offer.sdp")).text
        #expect(!single.contains("x-google-per-layer-pli"))
    }

    /// Of every codec that the answer leaves to the encoder's choice, beside the parameters of its own.
    @Test(arguments: [
        ("VP8", CodecName.vp8), ("VP9", .vp9), ("H264", .h264), ("AV1", .av1),
    ])
    func perLayerKeyFramesOfEveryCodec(name: String, codec: CodecName) throws {
        let offer = try Fixture.offer("chromium_\(name)_sim.offer.sdp")
        let (session, text) = try answered(offer)
        let answer = try SessionDescription(parsing: text)
        let codecs = try #require(session.sections[1].media?.codecs)
        #expect(codecs.contains { $0.name == codec })
        for codec in codecs {
            let parameters = answer.media[1].format("\(codec.payloadType)").split(separator: ";")
            #expect(parameters.last == "x-google-per-layer-pli=1")
            #expect(parameters.dropLast().joined(separator: ";") == codec.formatParameters)
            #expect(codec.formatParameter("x-google-per-layer-pli") == nil)
        }
    }

    @Test func theTransportSectionOfTheOfferStaysThatOfTheAnswer() throws {
        let text = OfferText(OfferText.opus, OfferText.vp8).text.replacing("BUNDLE 0 1", with: "BUNDLE 1 0")
        let answer = try SessionDescription(parsing: answered(Offer(parsing: text)).text)
        #expect(answer.attributes.contains(Attribute("group", "BUNDLE 1 0", line: 7)))
        #expect(answer.media.map { $0.values("candidate").count } == [0, 2])
    }

    @Test func mixedExtensionsAreMirroredWhereTheyStand() throws {
        let section = try OfferText(OfferText.opus + ["a=extmap-allow-mixed"], OfferText.vp8).offer
        let inSection = try SessionDescription(parsing: answered(section).text)
        #expect(!inSection.attributes.contains { $0.name == "extmap-allow-mixed" })
        #expect(inSection.media.map { $0.has("extmap-allow-mixed") } == [true, false])
        let session = try OfferText(session: ["a=extmap-allow-mixed"], OfferText.opus, OfferText.vp8).offer
        let onTop = try SessionDescription(parsing: answered(session).text)
        #expect(onTop.attributes.contains { $0.name == "extmap-allow-mixed" })
        #expect(onTop.media.map { $0.has("extmap-allow-mixed") } == [false, false])
    }
}

extension MediaDescription {
    func values(_ name: String) -> [String] { attributes.filter { $0.name == name }.map { $0.value ?? "" } }
    func has(_ name: String) -> Bool { attributes.contains { $0.name == name } }
    var direction: MediaDirection {
        attributes.compactMap { MediaDirection(rawValue: $0.name) }.first ?? .sendrecv
    }
    /// Payload type to "name/clock/channels", in lower case and without "/1".
    var maps: [String: String] {
        var maps: [String: String] = [:]
        for value in values("rtpmap") {
            let parts = value.split(separator: " ", maxSplits: 1)
            let encoding = parts[1].lowercased()
            maps[String(parts[0])] = encoding.hasSuffix("/1") ? String(encoding.dropLast(2)) : encoding
        }
        return maps
    }
    /// Extension id without suffix to URI.
    var extensionIDs: [String: String] {
        var ids: [String: String] = [:]
        for value in values("extmap") {
            let parts = value.split(separator: " ")
            ids[String(parts[0].split(separator: "/")[0])] = String(parts[1])
        }
        return ids
    }
}

/// What any client expects of an answer to its offer (RFC 8829 §5.11).
func expectAcceptable(
    _ answer: SessionDescription,
    to offer: SessionDescription,
    policy: AnswerPolicy = AnswerPolicy(),
    _ location: SourceLocation = #_sourceLocation
) {
    let session = answer.attributes.map { $0.name }
    #expect(session.contains("ice-lite"), sourceLocation: location)
    #expect(answer.media.map { $0.media } == offer.media.map { $0.media }, sourceLocation: location)
    let accepted = answer.media.filter { $0.port != 0 }
    let group = answer.attributes.first { $0.name == "group" }?.value
    let mids = accepted.flatMap { $0.values("mid") }
    #expect(group == (mids.isEmpty ? nil : "BUNDLE " + mids.joined(separator: " ")), sourceLocation: location)
    #expect(
        accepted.filter { $0.has("candidate") }.count == (accepted.isEmpty ? 0 : 1),
        sourceLocation: location
    )
    var formats: [String: Set<String>] = [:]
    var sources: [String] = []
    for (section, offered) in zip(answer.media, offer.media) {
        #expect(section.values("mid") == offered.values("mid"), sourceLocation: location)
        #expect(section.transportProtocol == offered.transportProtocol, sourceLocation: location)
        guard section.port != 0 else { continue }
        expectAcceptable(section, to: offered, policy: policy, location)
        for type in section.formats {
            formats[type, default: []].insert(section.format(type))
        }
        for value in section.values("ssrc") { sources.append(value) }
    }
    #expect(Set(sources).count == sources.count, "an SSRC appears twice", sourceLocation: location)
    #expect(
        formats.values.allSatisfy { $0.count == 1 },
        "formats differ: \(formats)",
        sourceLocation: location
    )
}

extension MediaDescription {
    func format(_ type: String) -> String {
        values("fmtp").first { $0.hasPrefix(type + " ") }.map { String($0.dropFirst(type.count + 1)) } ?? ""
    }
}

private func expectAcceptable(
    _ section: MediaDescription,
    to offered: MediaDescription,
    policy: AnswerPolicy,
    _ location: SourceLocation
) {
    #expect(section.port == 9, sourceLocation: location)
    #expect(section.values("setup") == ["passive"], sourceLocation: location)
    #expect(section.values("ice-ufrag") == ["Aw7dQx2p"], sourceLocation: location)
    #expect(section.has("rtcp-mux"), sourceLocation: location)
    #expect(section.has("rtcp-rsize") == offered.has("rtcp-rsize"), sourceLocation: location)
    expectDirection(section, to: offered, policy: policy, location)

    // Codecs
    #expect(Set(section.formats).isSubset(of: offered.formats), sourceLocation: location)
    #expect(!section.formats.isEmpty, sourceLocation: location)
    let maps = section.maps
    for type in section.formats {
        #expect(maps[type] == offered.maps[type], sourceLocation: location)
        if maps[type]?.hasPrefix("rtx/") == true {
            let original = String(section.format(type).dropFirst("apt=".count))
            #expect(section.formats.contains(original), sourceLocation: location)
            #expect(section.format(type) == offered.format(type), sourceLocation: location)
        }
    }
    let feedback = section.values("rtcp-fb")
    #expect(Set(feedback).isSubset(of: offered.values("rtcp-fb")), sourceLocation: location)
    for type in section.formats where feedback.contains("\(type) transport-cc") {
        #expect(!feedback.contains("\(type) goog-remb"), sourceLocation: location)
        #expect(
            section.extensionIDs.values.contains(HeaderExtension.transportSequence.uri),
            sourceLocation: location
        )
    }

    // Chromium leaves out of later sections what it was declined in one of their kind.
    if policy.extensions.contains(.rid), section.media == "video", section.port != 0 {
        for kind in [HeaderExtension.rid, .repairedRid, .videoLayersAllocation]
        where offered.extensionIDs.values.contains(kind.uri) {
            #expect(section.extensionIDs.values.contains(kind.uri), sourceLocation: location)
        }
    }

    // Header extensions
    #expect(
        section.extensionIDs.allSatisfy { offered.extensionIDs[$0.key] == $0.value },
        sourceLocation: location
    )
}

private func expectDirection(
    _ section: MediaDescription,
    to offered: MediaDescription,
    policy: AnswerPolicy,
    _ location: SourceLocation
) {
    let kind = section.media == "audio" ? MediaKind.audio : .video
    #expect(
        section.direction.receives == (offered.direction.sends && policy.publish.contains(kind)),
        sourceLocation: location
    )
    #expect(
        section.direction.sends == (offered.direction.receives && policy.receive.contains(kind)),
        sourceLocation: location
    )
    // What we send has a name and SSRCs; RTX has its own.
    let repairs = section.maps.values.contains { $0.hasPrefix("rtx/") }
    let sources = section.direction.sends ? (repairs ? 2 : 1) : 0
    #expect(section.values("ssrc").count == sources, sourceLocation: location)
    #expect(section.values("ssrc-group").count == (sources == 2 ? 1 : 0), sourceLocation: location)
    #expect(section.values("msid").count == (sources > 0 ? 1 : 0), sourceLocation: location)
    // Simulcast is taken as offered, or not at all.
    let layers = offered.values("simulcast").filter { $0.hasPrefix("send ") }.map {
        $0.dropFirst("send ".count)
    }
    if section.direction.receives, policy.acceptsSimulcast, policy.extensions.contains(.rid),
        let list = layers.first
    {
        #expect(section.values("simulcast") == ["recv \(list)"], sourceLocation: location)
        #expect(
            section.values("rid") == list.split(separator: ";").map { "\($0) recv" },
            sourceLocation: location
        )
        #expect(section.extensionIDs.values.contains(HeaderExtension.rid.uri), sourceLocation: location)
    } else {
        #expect(!section.has("simulcast"), sourceLocation: location)
        #expect(!section.has("rid"), sourceLocation: location)
    }
}
