// A client that keeps to the protocol and checks that the server does: numbers, replays, answers, revisions.
// It knows nothing of the server but what its socket brings.
import Foundation
import NIOCore
import RTP
import Synchronization
import Testing

@testable import Signaling

/// One TCP connection: two queues, cut where the test says.
final class ModelSocket: SignalingSocket, Sendable {
    private struct State {
        var toServer: [String] = []
        var toClient: [String] = []
        var id: ConnectionID?
        var closed: UInt16?
        var isCut = false
        var room = 64
        var sent = 0
    }
    private let content = Mutex(State())

    var toServer: [String] {
        get { content.withLock { $0.toServer } }
        set { content.withLock { $0.toServer = newValue } }
    }
    var toClient: [String] {
        get { content.withLock { $0.toClient } }
        set { content.withLock { $0.toClient = newValue } }
    }
    var id: ConnectionID? {
        get { content.withLock { $0.id } }
        set { content.withLock { $0.id = newValue } }
    }
    /// The server closed its end.
    var closed: UInt16? { content.withLock { $0.closed } }
    /// Nothing more reaches the client.
    var isCut: Bool {
        get { content.withLock { $0.isCut } }
        set { content.withLock { $0.isCut = newValue } }
    }
    /// Messages that fit before the socket is full.
    var room: Int {
        get { content.withLock { $0.room } }
        set { content.withLock { $0.room = newValue } }
    }

    var isWritable: Bool { content.withLock { $0.closed == nil && $0.toClient.count < $0.room } }
    func send(text: ByteBuffer) {
        let text = String(buffer: text)
        let count = content.withLock { state in
            state.sent += 1
            if state.closed == nil, !state.isCut { state.toClient.append(text) }
            return state.sent
        }
        // The first ones are welcomes, pages and replays; of the others a few must do, there are many thousands.
        guard count <= 4 || count % 16 == 0, let fault = WireContract.fault(ofServer: text) else { return }
        Issue.record("the server broke its contract: \(fault)\n\(text.prefix(2000))")
    }
    func close(code: UInt16, reason: String) { content.withLock { $0.closed = $0.closed ?? code } }
    func pauseReading(_ paused: Bool) {}
}

final class ModelClient {
    struct Pending {
        var id: Int
        var type: String
        var data: String
        var cid: String?
    }
    struct Track: Equatable {
        var tid: String
        var cid: String
        var muted: Bool
        var rev: Int
    }
    struct Person: Equatable {
        var conn: String
        var tracks: [String: Track]
        var rev: Int
    }

    let user: String
    let offer: String
    var socket: ModelSocket?
    var isLive = false
    private(set) var violations: [String] = []
    private(set) var outcomes: [String: Int] = [:]
    private(set) var gaps = 0

    private(set) var sid = ""
    private(set) var pid = ""
    private var token: String?
    private var epoch: String?
    private(set) var attempt = 0
    private(set) var last = 0
    private var replayUpTo: Int?
    private var pages: (next: Int, of: Int)?
    private var seen: Set<String> = []
    private var sinceAck = 0

    private var lastID = 0
    private(set) var pending: [Pending] = []
    private var counter = 0
    private var generation = 0
    private var hasMedia = false
    /// What it wants to publish, and whether muted.
    private var desired: [String: Bool] = ["mic": false, "cam": false]
    private(set) var people: [String: Person] = [:]
    /// Tracks of its own that have ended: an answer that comes late does not bring them back.
    private var ended: Set<String> = []

    init(user: String, offer: String) {
        self.user = user
        self.offer = offer
    }

    private func violate(_ text: String) { violations.append("\(user): \(text)") }

    // MARK: Connections

    func hello(from old: ModelSocket? = nil, restartsICE: Bool) -> String {
        attempt += 1
        isLive = false
        replayUpTo = nil
        pages = nil
        var data: [String: Any] = ["user": ["uid": user], "device": ["did": "d-\(user)"]]
        if let token {
            data["resume"] = [
                "token": token, "attempt": attempt, "lastSeq": last,
            ]
            if restartsICE, hasMedia {
                data["pc"] = ["gen": generation, "sdp": renewed(), "iceRestart": true, "tracks": tracks()]
            }
        }
        return text(["type": "hello", "v": "1.0", "data": data])
    }

    /// The same offer with new ICE credentials.
    private func renewed() -> String {
        offer.components(separatedBy: "\r\n").map { line in
            line.hasPrefix("a=ice-ufrag:") ? "a=ice-ufrag:u\(user)\(attempt)" : line
        }.joined(separator: "\r\n")
    }

    /// What somebody else offers who has a certificate of their own.
    func offering(as visitor: Int) -> String {
        let sdp = offer.components(separatedBy: "\r\n").map { line in
            guard line.hasPrefix("a=fingerprint:") else { return line }
            let octets = String(line.suffix(95)).split(separator: ":")
            let own = String(visitor % 256 + 256, radix: 16).suffix(2).uppercased()
            return
                "a=fingerprint:sha-256 \(([own] + octets.dropFirst().map(String.init)).joined(separator: ":"))"
        }.joined(separator: "\r\n")
        return text(["gen": 1, "sdp": sdp, "tracks": []])
    }

    private func tracks() -> [[String: Any]] {
        [
            ["mid": "0", "cid": "mic", "kind": "audio", "source": "mic", "muted": desired["mic"] ?? false],
            [
                "mid": "1", "cid": "cam", "kind": "video", "source": "camera",
                "muted": desired["cam"] ?? false,
            ],
        ]
    }

    private func text(_ json: [String: Any]) -> String {
        guard let data = try? JSONSerialization.data(withJSONObject: json, options: [.sortedKeys]) else {
            return ""
        }
        return String(decoding: data, as: UTF8.self)
    }

    private func send(_ message: String) { socket?.toServer.append(message) }

    func acknowledge() {
        guard isLive, sinceAck > 0 else { return }
        sinceAck = 0
        send(#"{"type":"ack","ack":\#(last)}"#)
    }

    // MARK: Requests

    private func request(_ type: String, _ data: [String: Any], cid: String? = nil) {
        lastID += 1
        let pending = Pending(id: lastID, type: type, data: text(data), cid: cid)
        self.pending.append(pending)
        transmit(pending)
    }

    private func transmit(_ pending: Pending) {
        guard isLive else { return }
        send(#"{"id":\#(pending.id),"ack":\#(last),"type":"\#(pending.type)","data":\#(pending.data)}"#)
        sinceAck = 0
    }

    /// Wants something; it is asked for now or when the session is back.
    func wish(_ random: inout some RandomNumberGenerator) {
        guard pending.count < 12, !sid.isEmpty, hasMedia else { return }
        let extra = desired.keys.filter { $0.hasPrefix("x") }.sorted()
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where extra.count < 4:
            counter += 1
            let cid = "x\(counter)"
            desired[cid] = false
            request("track.publish", ["cid": cid, "kind": "audio", "source": "mic"], cid: cid)
        case 1 where !extra.isEmpty:
            let cid = extra[Int.random(in: 0..<extra.count, using: &random)]
            guard !pending.contains(where: { $0.cid == cid }) else { return }
            desired[cid] = nil
            request("track.unpublish", ["cid": cid], cid: cid)
        default:
            let cid = Bool.random(using: &random) ? "mic" : "cam"
            desired[cid] = !(desired[cid] ?? false)
            request("track.mute", ["cid": cid, "muted": desired[cid] ?? false])
        }
    }

    private func makeMedia() {
        generation += 1
        hasMedia = false
        request("pc.offer", ["gen": generation, "sdp": offer, "tracks": tracks()])
    }

    private func synchronize() {
        let publications: [[String: Any]] = desired.sorted { $0.key < $1.key }.map { cid, muted in
            [
                "cid": cid, "kind": cid == "cam" ? "video" : "audio",
                "source": cid == "cam" ? "camera" : "mic",
                "muted": muted,
            ]
        }
        request("sync", ["desired": ["publications": publications, "subscriptions": ["auto": true]]])
    }

    // MARK: Messages

    func receive(_ line: String) {
        guard let json = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            return violate("unreadable \(line)")
        }
        if let id = json["re"] as? Int { return answered(id, json) }
        let data = json["data"] as? [String: Any] ?? [:]
        let type = json["type"] as? String ?? ""
        if let seq = json["seq"] as? Int, !accepts(seq) { return }
        switch type {
        case "welcome": welcomed(data)
        case "replayed":
            guard let upTo = replayUpTo, data["upTo"] as? Int == upTo else {
                return violate("replayed \(data)")
            }
            last = max(last, upTo)
            replayUpTo = nil
        case "snapshot", "delta": apply(page: data, type)
        case "roster": apply(roster: data)
        case "track.muted": apply(muted: data)
        case "conn":
            if let pid = data["pid"] as? String { people[pid]?.conn = data["conn"] as? String ?? "" }
        case "pc.restart":
            if data["mode"] as? String == "new", isLive {
                makeMedia()
            }
        default: break
        }
    }

    /// False for what it has already.
    private func accepts(_ seq: Int) -> Bool {
        if seq <= last { return false }
        let mayJump = replayUpTo.map { seq <= $0 } ?? false
        if !mayJump, seq != last + 1 {
            gaps += 1
            violate("event \(seq) after \(last)")
        }
        last = seq
        sinceAck += 1
        return true
    }

    private func welcomed(_ data: [String: Any]) {
        let outcome = data["outcome"] as? String ?? ""
        outcomes[outcome, default: 0] += 1
        let resume = data["resume"] as? [String: Any]
        token = resume?["token"] as? String ?? token
        let room = data["room"] as? [String: Any] ?? [:]
        let seq = data["seq"] as? Int ?? -1
        let oldSession = sid
        sid = data["sid"] as? String ?? ""
        if outcome == "replay" {
            if seq != last || sid != oldSession { violate("replay of \(seq) after \(last)") }
            replayUpTo = data["upTo"] as? Int
        } else {
            last = seq
        }
        if outcome == "delta", epoch != room["epoch"] as? String { violate("delta of another epoch") }
        epoch = room["epoch"] as? String
        pid = data["pid"] as? String ?? ""
        isLive = true
        guard sid == oldSession else {
            pending = []
            lastID = 0
            if outcome == "rejoin" || outcome == "fresh" { hasMedia = false }
            synchronize()
            if !hasMedia { makeMedia() }
            return
        }
        for request in pending { transmit(request) }
        let answer = data["pc"] as? [String: Any]
        if answer?["error"] != nil, !pending.contains(where: { $0.type == "pc.offer" }) { makeMedia() }
        take(tracks: answer?["tracks"] as? [[String: Any]] ?? [])
    }

    private func answered(_ id: Int, _ json: [String: Any]) {
        guard let index = pending.firstIndex(where: { $0.id == id }) else { return }
        let request = pending.remove(at: index)
        guard let data = json["data"] as? [String: Any] else {
            let error = json["error"] as? [String: Any] ?? [:]
            let code = error["code"] as? String ?? ""
            // The media plane was away, or another PeerConnection took its place.
            if request.type == "pc.offer" {
                if code == "not_ready" || code == "overloaded" { makeMedia() }
                return
            }
            if request.type == "track.mute" { return }
            // It was done so long ago that nobody knows what came of it: ask for the whole.
            if code == "already_applied" { return synchronize() }
            return violate("\(request.type) \(request.data) failed: \(error)")
        }
        switch request.type {
        case "track.publish", "track.mute":
            if let track = data["track"] as? [String: Any] { take(tracks: [track]) }
        case "track.unpublish":
            if let tid = data["tid"] as? String {
                people[pid]?.tracks[tid] = nil
                ended.insert(tid)
            }
        case "pc.offer":
            hasMedia = true
            take(tracks: data["tracks"] as? [[String: Any]] ?? [])
        case "sync":
            let tracks = data["tracks"] as? [[String: Any]] ?? []
            // All of them, unless the room has said something newer.
            if let own = people[pid], json["rev"] as? Int ?? 0 >= own.rev {
                let listed = Set(tracks.compactMap { $0["tid"] as? String })
                for tid in own.tracks.keys where !listed.contains(tid) {
                    people[pid]?.tracks[tid] = nil
                    ended.insert(tid)
                }
            }
            take(tracks: tracks)
        default: break
        }
    }

    // MARK: State

    private func track(_ json: [String: Any]) -> Track {
        Track(
            tid: json["tid"] as? String ?? "",
            cid: json["cid"] as? String ?? "",
            muted: json["muted"] as? Bool ?? false,
            rev: json["rev"] as? Int ?? 0
        )
    }

    private func take(tracks: [[String: Any]]) {
        for json in tracks {
            let track = track(json)
            guard !ended.contains(track.tid) else { continue }
            if let known = people[pid]?.tracks[track.tid], known.rev > track.rev { continue }
            people[pid]?.tracks[track.tid] = track
        }
    }

    private func take(person json: [String: Any]) {
        guard let pid = json["pid"] as? String, let rev = json["rev"] as? Int else {
            return violate("\(json)")
        }
        if let known = people[pid], known.rev > rev { return }
        var tracks: [String: Track] = [:]
        for json in json["tracks"] as? [[String: Any]] ?? [] {
            let track = track(json)
            let known = people[pid]?.tracks[track.tid]
            tracks[track.tid] = known.map { $0.rev > track.rev ? $0 : track } ?? track
        }
        if pid == self.pid {
            for tid in people[pid]?.tracks.keys ?? [:].keys where tracks[tid] == nil { ended.insert(tid) }
        }
        people[pid] = Person(conn: json["conn"] as? String ?? "", tracks: tracks, rev: rev)
    }

    private func apply(page data: [String: Any], _ type: String) {
        let page = data["page"] as? Int ?? 0
        let of = data["of"] as? Int ?? 0
        if page == 1 {
            pages = (1, of)
            if type == "snapshot" {
                seen = []
                people = people.mapValues { person in
                    var person = person
                    // Revisions of another epoch mean nothing.
                    person.rev = -1
                    person.tracks = person.tracks.mapValues { track in
                        var track = track
                        track.rev = -1
                        return track
                    }
                    return person
                }
            }
        }
        guard let expected = pages, expected.next == page, expected.of == of else {
            return violate("page \(page) of \(of)")
        }
        let list = data[type == "snapshot" ? "participants" : "changed"] as? [[String: Any]] ?? []
        for person in list {
            take(person: person)
            seen.insert(person["pid"] as? String ?? "")
        }
        for left in data["left"] as? [[String: Any]] ?? [] { people[left["pid"] as? String ?? ""] = nil }
        pages = page == of ? nil : (page + 1, of)
        guard page == of else { return }
        if type == "snapshot" { people = people.filter { seen.contains($0.key) } }
    }

    private func apply(roster data: [String: Any]) {
        for key in ["joined", "updated"] {
            for person in data[key] as? [[String: Any]] ?? [] { take(person: person) }
        }
        for left in data["left"] as? [[String: Any]] ?? [] { people[left["pid"] as? String ?? ""] = nil }
    }

    private func apply(muted data: [String: Any]) {
        guard let pid = data["pid"] as? String, let tid = data["tid"] as? String,
            let known = people[pid]?.tracks[tid]
        else { return }
        let rev = data["rev"] as? Int ?? 0
        guard rev > known.rev else { return }
        people[pid]?.tracks[tid]?.muted = data["muted"] as? Bool ?? false
        people[pid]?.tracks[tid]?.rev = rev
    }
}
