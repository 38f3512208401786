// Fixtures written by real clients, a seeded generator, and a local transport that never changes.
import Foundation
import RTP
import SDP

/// Descriptions as clients wrote them; every test reads the same bytes.
enum Fixture {
    static let offers = names(ending: "offer.sdp")
    static let answers = names(ending: "answer.sdp")
    static let all = offers + answers

    private static var folder: URL { Bundle.module.bundleURL.appendingPathComponent("Fixtures") }

    private static func names(ending suffix: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.sorted()
    }

    static func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: folder.appendingPathComponent(name)), as: UTF8.self)
    }

    static func offer(_ name: String) throws -> Offer { try Offer(parsing: text(name)) }
}

/// SplitMix64
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

let localTransport = LocalTransport(
    ice: ICECredentials(usernameFragment: "Aw7dQx2p", password: "kq3vJ9mZ0xR7cT5bN1yL8wHf"),
    candidates: [
        Candidate(
            network: .udp,
            address: "198.51.100.7",
            port: 7882,
            priority: 2_130_706_431,
            foundation: "1"
        ),
        Candidate(
            network: .tcp,
            address: "198.51.100.7",
            port: 7882,
            priority: 2_124_414_975,
            foundation: "2"
        ),
    ],
    fingerprints: [Fingerprint(algorithm: "sha-256", digest: (0..<32).map { UInt8($0 &* 7) })],
    setup: .passive
)

/// Negotiates and writes the answer with everything that is random fixed by `seed`.
func answered(
    _ offer: Offer,
    policy: AnswerPolicy = AnswerPolicy(),
    previous: [MediaSection] = [],
    seed: UInt64 = 1
) throws -> (session: NegotiatedSession, text: String) {
    var rng = SeededGenerator(seed: seed)
    let session = try negotiate(offer, policy: policy, previous: previous, using: &rng)
    let names = Dictionary(
        uniqueKeysWithValues: session.sections.map {
            ($0.mid, StreamName(stream: "stream-\($0.mid)", track: "track-\($0.mid)"))
        }
    )
    let text = answerText(
        session,
        offer: offer,
        local: localTransport,
        sessionID: 4_611_686_018_427_387_905,
        version: 1,
        cname: "server",
        streamNames: names
    )
    return (session, text)
}

/// A description put together from lines; tests write only what they are about.
struct OfferText {
    var session: [String] = []
    var sections: [[String]] = []

    static let transport = [
        "a=ice-ufrag:mstU", "a=ice-pwd:OgKLuyxdwyFXr9EefE1bZHHw", "a=setup:actpass",
        "a=fingerprint:sha-256 " + Array(repeating: "66", count: 32).joined(separator: ":"),
    ]

    init(session: [String] = [], _ sections: [String]...) {
        self.session = session
        self.sections = sections
    }

    /// Every section gets a mid from its place and is bundled.
    var text: String {
        let mids = sections.indices.map { "\($0)" }.joined(separator: " ")
        var lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE \(mids)"]
        lines += session + OfferText.transport
        for (index, section) in sections.enumerated() {
            lines += [section[0], "c=IN IP4 0.0.0.0", "a=mid:\(index)", "a=rtcp-mux"] + section.dropFirst()
        }
        return lines.map { $0 + "\r\n" }.joined()
    }

    var offer: Offer { get throws { try Offer(parsing: text) } }

    static let opus = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2"]
    static let vp8 = [
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96",
    ]
}
