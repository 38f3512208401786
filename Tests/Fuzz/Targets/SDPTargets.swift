// Session descriptions and ICE fragments: read, negotiated, answered, and the answer read.
import RTP
import SDP

private let local = LocalTransport(
    ice: ICECredentials(usernameFragment: "Aw7dQx2p", password: "kq3vJ9mZ0xR7cT5bN1yL8wHf"),
    candidates: [
        Candidate(network: .udp, address: "198.51.100.7", port: 7882, priority: 2_130_706, foundation: "1"),
        Candidate(network: .tcp, address: "2001:db8::7", port: 7882, priority: 2_124_414, foundation: "2"),
    ],
    fingerprints: [Fingerprint(algorithm: "sha-256", digest: (0..<32).map { UInt8($0 &* 7) })],
    setup: .actpass
)

private func text(_ input: FuzzInput) -> String {
    String(decoding: UnsafeBufferPointer(start: input.base, count: input.count), as: UTF8.self)
}

/// Input: a description.
func fuzzSDP(_ input: FuzzInput) throws {
    let text = text(input)
    if let description = try? SessionDescription(parsing: text) {
        let written = description.text
        let again = try SessionDescription(parsing: written)
        try checkEqual(again.text, written, "a description read and written again")
        try checkEqual(again.media.count, description.media.count, "m-sections")
        try checkOffer(description)
    } else {
        try check((try? Offer(parsing: text)) == nil, "no offer without a description")
    }
}

private func checkOffer(_ description: SessionDescription) throws {
    let offer: Offer
    do {
        offer = try Offer(description)
    } catch {
        return try check(!error.description.isEmpty, "a refusal has words")
    }
    try checkEqual(offer.sections.count, description.media.count, "m-sections")
    try checkEqual(Set(offer.sections.map { $0.mid }).count, offer.sections.count, "mids are unique")
    for section in offer.sections {
        try check(section.mid.utf8.count <= Limits.SDP.identifierBytes, "mid fits a header extension")
        try check(section.codecs.allSatisfy { $0.payloadType < 128 }, "payload types")
        try check(section.announcedSSRCs.count <= Limits.SDP.sourcesPerSection, "SSRCs are bounded")
        let ids = section.extensions.map { $0.header.id }
        try check(Set(ids).count == ids.count && !ids.contains(0) && !ids.contains(15), "extension ids")
    }
    let picky = AnswerPolicy(
        videoCodecs: [.av1, .h264],
        audioCodecs: [.red, .opus],
        publish: [.audio],
        acceptsSimulcast: false,
        requiresEverySection: true
    )
    for policy in [AnswerPolicy(), picky] { try checkAnswer(offer, policy) }
}

private func checkAnswer(_ offer: Offer, _ policy: AnswerPolicy) throws {
    var random = SeededGenerator(seed: 1)
    let session: NegotiatedSession
    do {
        session = try negotiate(offer, policy: policy, using: &random)
    } catch {
        return try check(!error.description.isEmpty, "a refusal has words")
    }
    try checkEqual(session.sections.map { $0.mid }, offer.sections.map { $0.mid }, "sections in their order")
    var taken = offer.sections.flatMap { $0.announcedSSRCs }
    for section in session.media {
        try check(!section.codecs.isEmpty, "an accepted section has a codec")
        try check(section.receive.count <= Limits.Media.encodingsPerPublication, "encodings are bounded")
        guard let slot = section.slot else { continue }
        for ssrc in [slot.ssrc] + (slot.rtxSSRC.map { [$0] } ?? []) {
            try check(ssrc != 0 && !taken.contains(ssrc), "SSRC \(ssrc) is used once")
            taken.append(ssrc)
        }
    }
    try checkPayloadTypes(session)

    let description = answer(
        session,
        offer: offer,
        local: local,
        sessionID: 1,
        version: 2,
        cname: "server",
        streamNames: [:]
    )
    let again = try SessionDescription(parsing: description.text)
    try checkEqual(again.text, description.text, "our answer read and written again")
    try checkEqual(again.media.count, offer.sections.count, "m-sections of the answer")
    for (media, section) in zip(again.media, session.sections) {
        try checkEqual(media.port == 0, section.accepted == nil, "port of \(section.mid)")
    }
    if !session.media.isEmpty { _ = try Offer(again) }
    _ = try ICEFragment(parsing: ICEFragment.restartText(local: local, session: session))

    // The same offer again keeps what we send.
    let next = try negotiate(offer, policy: policy, previous: session.media, using: &random)
    try checkEqual(next.media.map { $0.slot }, session.media.map { $0.slot }, "slots stay")
}

/// One payload type means one codec on the whole transport (RFC 8843 §9.1).
private func checkPayloadTypes(_ session: NegotiatedSession) throws {
    var meanings: [UInt8: String] = [:]
    for section in session.media {
        for codec in section.codecs {
            var types = [(codec.payloadType, "\(codec.name)/\(codec.clockRate)")]
            if let rtx = codec.rtxPayloadType { types.append((rtx, "rtx of \(codec.payloadType)")) }
            for (type, meaning) in types {
                try check(!(64...95).contains(type) && type < 128, "payload type \(type)")
                try checkEqual(meanings[type] ?? meaning, meaning, "meaning of \(type)")
                meanings[type] = meaning
            }
        }
    }
}

/// Input: a fragment.
func fuzzICEFragment(_ input: FuzzInput) throws {
    let text = text(input)
    _ = Candidate.isWellFormed(text)
    guard let fragment = try? ICEFragment(parsing: text) else { return }
    let candidates = fragment.sections.flatMap { $0.candidates }
    try check(candidates.count <= Limits.SDP.candidatesPerFragment, "candidates are bounded")
    try check(candidates.allSatisfy { Candidate.isWellFormed($0) }, "candidates are well formed")
    let mids = text.utf8.split(separator: 10).compactMap { line -> String? in
        let value = String(decoding: line, as: UTF8.self)
        guard value.hasPrefix("a=mid:") else { return nil }
        return String(decoding: value.utf8.dropFirst(6).filter { $0 > 0x20 }, as: UTF8.self)
    }
    try checkEqual(fragment.sections.map { $0.mid }.filter { !$0.isEmpty }, mids, "mids")
    if let credentials = fragment.credentials {
        try check(credentials.usernameFragment.utf8.count >= 4, "length of a user name fragment")
        try check(credentials.password.utf8.count >= 22, "length of a password")
        try check(!fragment.restarts(credentials), "the same credentials are no restart")
    }
    var lines: [String] = []
    if let fragment = fragment.usernameFragment { lines.append("a=ice-ufrag:\(fragment)") }
    if let password = fragment.password { lines.append("a=ice-pwd:\(password)") }
    if fragment.isComplete { lines.append("a=end-of-candidates") }
    for section in fragment.sections {
        lines.append("m=audio 9 RTP/AVP 0")
        if !section.mid.isEmpty { lines.append("a=mid:\(section.mid)") }
        lines += section.candidates.map { "a=candidate:\($0)" }
        if section.isComplete { lines.append("a=end-of-candidates") }
    }
    let again = try ICEFragment(parsing: lines.map { $0 + "\r\n" }.joined())
    try checkEqual(again, fragment, "a fragment written and read again")
}
