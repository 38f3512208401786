import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("REST: rooms and participants")
struct RESTTests {
    // MARK: Access

    @Test func nothingWithoutTheRightToken() async throws {
        try await RESTTestServer.with { server in
            let none = try await server.call("GET", "/v1/rooms", token: "")
            #expect(none.status == 401)
            #expect(none.headers["content-type"] == "application/problem+json")
            #expect(none.headers["www-authenticate"]?.contains("rooms:read") == true)
            let garbage = try await server.call("GET", "/v1/rooms", token: "x.y.z")
            #expect(garbage.status == 401)
            // A join token opens rooms, not the API.
            let join = try await server.tokens.mint(
                Claims(room: "standup", user: UserID("alice"), grants: .development),
                keyID: "chat",
                lifetime: .seconds(60)
            )
            #expect(try await server.call("GET", "/v1/rooms", token: join).status == 403)
            let reader = try await server.token(.readRooms)
            #expect(try await server.call("GET", "/v1/rooms", token: reader).status == 200)
            let forbidden = try await server.call("PUT", "/v1/rooms/a", "{}", token: reader)
            #expect(forbidden.status == 403)
            #expect(forbidden.code == "forbidden")
            let expired = try await server.token(.readRooms, lifetime: .seconds(-60))
            #expect(try await server.call("GET", "/v1/rooms", token: expired).code == "expired")
            // Bound to a room it is good for that one.
            let bound = try await server.token(.readRooms, .writeRooms, room: "a")
            #expect(try await server.call("PUT", "/v1/rooms/a", "{}", token: bound).status == 201)
            #expect(try await server.call("PUT", "/v1/rooms/b", "{}", token: bound).status == 403)
            #expect(try await server.call("GET", "/v1/rooms", token: bound).status == 403)
        }
    }

    @Test func theDevelopmentKeyCountsOnThisMachineOnly() async throws {
        try await RESTTestServer.with(isDevelopment: true, trustsProxies: true) { server in
            #expect(try await server.call("PUT", "/v1/rooms/a", "{}").status == 201)
            #expect(try await server.call("PUT", "/v1/rooms/b", "{}", token: "").status == 401)
            let remote = ["X-Forwarded-For": "203.0.113.7"]
            let refused = try await server.call("PUT", "/v1/rooms/b", "{}", headers: remote)
            #expect(refused.status == 403)
            let timeline = "/v1/rooms/a/participants/pa_1/timeline"
            #expect(try await server.call("GET", timeline).status == 404)
            #expect(try await server.call("GET", timeline, headers: remote).status == 403)
        }
        // A proxy that nobody vouches for may stand for anybody.
        try await RESTTestServer.with(isDevelopment: true) { server in
            let remote = ["X-Forwarded-For": "203.0.113.7"]
            let refused = try await server.call("PUT", "/v1/rooms/b", "{}", headers: remote)
            #expect(refused.status == 403)
        }
    }

    @Test func badRequestsAreToldWhy() async throws {
        try await RESTTestServer.with { server in
            let path = "/v1/rooms/a"
            #expect(try await server.call("PUT", path, "{").code == "bad_request")
            let wrong = try await server.call("PUT", path, #"{"locked":"yes"}"#)
            #expect(wrong.status == 400)
            #expect((wrong.json["detail"] as? String)?.contains("locked") == true)
            let long = String(repeating: "x", count: Limits.REST.bodyBytes)
            #expect(try await server.call("PUT", path, "\"\(long)\"").status == 413)
            let text = try await server.call("PUT", path, "{}", headers: ["Content-Type": "text/plain"])
            #expect(text.status == 415)
            #expect(try await server.call("PUT", path, #"{"maxParticipants":0}"#).status == 400)
            #expect(try await server.call("POST", path, "{}").status == 405)
            #expect(try await server.call("GET", "/v1/rooms?limit=0").status == 400)
            #expect(try await server.call("GET", "/v1/rooms?limit=x").status == 400)
            #expect(try await server.call("GET", path).status == 404)
            #expect(try await server.call("GET", path + "/users").status == 404)
            #expect(try await server.call("DELETE", path).status == 404)
            #expect(try await server.call("GET", path + "/recordings").status == 501)
            #expect(try await server.call("POST", path + "/recordings").status == 501)
            let preflight = try await server.call("OPTIONS", path, token: "")
            #expect(preflight.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT")
        }
    }

    // MARK: Rooms

    @Test func roomsAreMadeChangedAndEnded() async throws {
        try await RESTTestServer.with { server in
            let path = "/v1/rooms/stand%20up"
            let made = try await server.call("PUT", path, #"{"meta":{"topic":"x"},"locked":true}"#)
            #expect(made.status == 201)
            #expect(made.json["id"] as? String == "stand up")
            #expect(made.json["locked"] as? Bool == true)
            let tag = try #require(made.tag)
            let read = try await server.call("GET", path)
            #expect(read.tag == tag)
            #expect(read.text == made.text)
            let known = try await server.call("GET", path, headers: ["If-None-Match": "\"x\", \(tag)"])
            #expect(known.status == 304)
            #expect(known.text.isEmpty)
            let changed = try await server.call("PUT", path, "{}", headers: ["If-Match": tag])
            #expect(changed.status == 200)
            #expect(changed.json["locked"] as? Bool == false)
            #expect(changed.json["meta"] == nil)
            #expect(changed.tag != tag)
            for (method, headers) in [
                ("PUT", ["If-Match": tag]), ("PUT", ["If-None-Match": "*"]), ("DELETE", ["If-Match": tag]),
            ] {
                let late = try await server.call(method, path, "{}", headers: headers)
                #expect(late.status == 412, "\(method)")
            }
            // Saying the same again changes nothing.
            #expect(try await server.call("PUT", path, "{}").tag == changed.tag)
            // It stays when the last one leaves; people come and go without touching its tag.
            let guest = try await server.join("alice", room: "stand up")
            await guest.send(#"{"id":1,"type":"leave"}"#, server.gateway)
            #expect(try await server.call("GET", path).tag == changed.tag)
            let again = try await server.join("bob", room: "stand up")
            let ended = try await server.call(
                "DELETE",
                path + "?reason=late",
                headers: ["If-Match": try #require(changed.tag)]
            )
            #expect(ended.status == 204)
            #expect(again.socket.with { $0.closed } == 4101)
            let bye = try await again.message("bye", server.gateway)
            #expect(bye.string("data", "reason") == "late")
            #expect(try await server.call("GET", path).status == 404)
        }
    }

    @Test func onlyOneOfTwoThatKnowTheSameTagWins() async throws {
        try await RESTTestServer.with { server in
            let tag = try #require(try await server.call("PUT", "/v1/rooms/a", "{}").tag)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for n in 0..<8 {
                    group.addTask {
                        try await server.call(
                            "PUT",
                            "/v1/rooms/a",
                            #"{"meta":{"n":"\#(n)"}}"#,
                            headers: ["If-Match": tag]
                        ).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 200 } == 1)
            #expect(statuses.count { $0 == 412 } == 7)
            let made = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await server.call(
                            "PUT",
                            "/v1/rooms/b",
                            "{}",
                            headers: ["If-None-Match": "*"]
                        ).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(made.count { $0 == 201 } == 1)
            #expect(made.count { $0 == 412 } == 7)
        }
    }

    @Test func theListComesInPages() async throws {
        try await RESTTestServer.with { server in
            for n in 0..<5 { _ = try await server.call("PUT", "/v1/rooms/r\(n)", "{}") }
            _ = try await server.join("alice", room: "r1")
            let first = try await server.call("GET", "/v1/rooms?limit=3")
            #expect(first.list("rooms").count == 3)
            #expect(first.list("rooms")[1]["participants"] as? Int == 1)
            #expect(first.json["next"] as? String == "r2")
            let second = try await server.call("GET", "/v1/rooms?limit=3&after=r2")
            #expect(second.list("rooms").count == 2)
            #expect(second.json["next"] == nil)
        }
    }

    @Test func settingsReachThePeople() async throws {
        try await RESTTestServer.with { server in
            let alice = try await server.join("alice")
            _ = try await server.call("PUT", "/v1/rooms/standup", #"{"meta":{"topic":"y"},"locked":true}"#)
            let event = try await alice.message("room.updated", server.gateway)
            #expect(event.string("data", "room", "meta", "topic") == "y")
            #expect(event.string("data", "by") == nil)
            let refused = try await server.tokens.mint(
                Claims(room: "standup", user: UserID("bob"), grants: .development),
                keyID: "chat",
                lifetime: .seconds(60)
            )
            await #expect(throws: (any Error).self) {
                try await Guest.join(refused, room: "standup", server.gateway, server.guests)
            }
            _ = try await server.call("PUT", "/v1/rooms/standup", #"{"maxParticipants":1}"#)
            await #expect(throws: (any Error).self) {
                try await Guest.join(refused, room: "standup", server.gateway, server.guests)
            }
        }
    }

    // MARK: Participants

    @Test func participantsAreReadChangedAndRemoved() async throws {
        try await RESTTestServer.with { server in
            let alice = try await server.join("alice")
            let phone = try await server.join("alice")
            _ = try await server.join("bob")
            let page = try await server.call("GET", "/v1/rooms/standup/participants?limit=2")
            #expect(page.list("participants").compactMap { $0["uid"] as? String } == ["alice", "alice"])
            let next = try #require(page.json["next"] as? String)
            let rest = try await server.call("GET", "/v1/rooms/standup/participants?after=\(next)")
            #expect(rest.list("participants").compactMap { $0["uid"] as? String } == ["bob"])
            let own = try await server.call("GET", "/v1/rooms/standup/participants?user=bob")
            #expect(own.json["total"] as? Int == 1)
            let users = try await server.call("GET", "/v1/rooms/standup/users")
            #expect(users.list("users").map { ($0["devices"] as? [Any])?.count } == [2, 1])

            let path = "/v1/rooms/standup/participants/\(alice.pid)"
            let read = try await server.call("GET", path)
            let tag = try #require(read.tag)
            #expect(try await server.call("GET", path, headers: ["If-None-Match": tag]).status == 304)
            let patched = try await server.call(
                "PATCH",
                path,
                #"{"name":"Ally","attrs":{"team":"red"},"role":"moderator"}"#,
                headers: ["If-Match": tag, "Content-Type": "application/merge-patch+json"]
            )
            #expect(patched.status == 200, "\(patched.text)")
            #expect(patched.json["name"] as? String == "Ally")
            #expect(patched.json["role"] as? String == "moderator")
            let told = try await alice.message("me.permissions", server.gateway)
            #expect(told.bool("data", "grants", "moderate") == true)
            let late = try await server.call("PATCH", path, #"{"name":"x"}"#, headers: ["If-Match": tag])
            #expect(late.status == 412)
            #expect(try await server.call("PATCH", path + "x", #"{"name":"x"}"#).status == 404)

            let removed = try await server.call("DELETE", path + "?reason=bye&banSec=60")
            #expect(removed.status == 200)
            #expect(alice.socket.with { $0.closed } == 4104)
            #expect(phone.socket.with { $0.closed } == 4104)
            let bans = try await server.call("GET", "/v1/rooms/standup/bans")
            #expect(bans.list("bans").compactMap { $0["uid"] as? String } == ["alice"])
            #expect(try await server.call("DELETE", "/v1/rooms/standup/bans/alice").status == 204)
            #expect(try await server.call("DELETE", "/v1/rooms/standup/bans/alice").status == 404)
            _ = try await server.join("alice")
        }
    }

    @Test func tracksSubscriptionsAndDataAreReached() async throws {
        try await RESTTestServer.with { server in
            let alice = try await server.join("alice")
            let sdp = String(
                decoding: try JSONEncoder().encode(try SDPFixture.text("chromium_VP8_sim.offer")),
                as: UTF8.self
            )
            await alice.send(#"{"id":1,"type":"pc.offer","data":{"gen":1,"sdp":\#(sdp)}}"#, server.gateway)
            var tracks: [[String: Any]] = []
            while tracks.isEmpty {
                let page = try await server.call("GET", "/v1/rooms/standup/participants")
                tracks = page.list("participants").first?["tracks"] as? [[String: Any]] ?? []
            }
            let tid = try #require(tracks.first { $0["source"] as? String == "mic" }?["tid"] as? String)
            let mute = "/v1/rooms/standup/tracks/\(tid)/mute"
            let muted = try await server.call("POST", mute, #"{"muted":true,"lockMuted":true}"#)
            #expect(muted.json["muted"] as? Bool == true)
            #expect(muted.json["mutedBy"] as? String == "server")
            #expect(try await alice.message("mod.muted", server.gateway).bool("data", "locked") == true)
            let asked = try await server.call("POST", mute, #"{"muted":false}"#)
            #expect(asked.json["muted"] as? Bool == true)
            #expect(asked.json["locked"] == nil)
            _ = try await alice.message("mod.unmuteRequest", server.gateway)
            #expect(
                try await server.call("POST", "/v1/rooms/standup/tracks/tr_x/mute", #"{"muted":true}"#).status
                    == 404
            )

            let wishes = "/v1/rooms/standup/participants/\(alice.pid)/subscriptions"
            let set = try await server.call("POST", wishes, #"{"auto":false}"#)
            #expect(set.json["auto"] as? Bool == false)
            #expect(server.media.subscriptions.last?.wishes.scope == Wishes.Scope.none)

            let data = try await server.call(
                "POST",
                "/v1/rooms/standup/data",
                #"{"topic":"notice","mid":"n1","payload":{"text":"lunch"}}"#
            )
            #expect(data.json["deliveredTo"] as? Int == 1)
            let got = try await alice.message("data", server.gateway)
            #expect(got.string("data", "payload", "text") == "lunch")
            #expect(got.string("data", "from") == nil)
            let twice = try await server.call(
                "POST",
                "/v1/rooms/standup/data",
                #"{"topic":"notice","mid":"n1","payload":{"text":"lunch"}}"#
            )
            #expect(twice.json["duplicate"] as? Bool == true)
        }
    }

    @Test func peopleAreMovedWithATokenForTheOtherRoom() async throws {
        try await RESTTestServer.with { server in
            let alice = try await server.join("alice")
            _ = try await server.join("bob")
            let moved = try await server.call(
                "POST",
                "/v1/rooms/standup/move",
                #"{"to":"breakout","uids":["alice"],"reason":"group 1"}"#
            )
            #expect(moved.json["moved"] as? [String] == [alice.pid])
            let event = try await alice.message("room.move", server.gateway)
            #expect(event.string("data", "room") == "breakout")
            let token = try #require(event.string("data", "token"))
            let there = try await Guest.join(token, room: "breakout", server.gateway, server.guests)
            #expect(!there.pid.isEmpty)
            #expect(
                try await server.call("POST", "/v1/rooms/standup/move", #"{"to":"standup"}"#).status == 400
            )
            let bound = try await server.token(.writeRooms, room: "standup")
            #expect(
                try await server.call(
                    "POST",
                    "/v1/rooms/standup/move",
                    #"{"to":"breakout"}"#,
                    token: bound
                ).status == 403
            )
        }
    }

    // MARK: Tokens and the server

    @Test func tokensAreMintedWhereTheServerIsSetTo() async throws {
        let body = #"{"room":"standup","user":"zoe","grants":{"subscribe":true}}"#
        try await RESTTestServer.with { server in
            let refused = try await server.call("POST", "/v1/tokens", body)
            #expect(refused.status == 403)
        }
        try await RESTTestServer.with(mintsTokens: true) { server in
            let minted = try await server.call("POST", "/v1/tokens", body)
            #expect(minted.status == 201)
            let token = try #require(minted.json["token"] as? String)
            let claims = try await server.tokens.verify(token, room: "standup")
            #expect(claims.user == UserID("zoe"))
            #expect(claims.grants == Grants(subscribe: true))
            let reader = try await server.token(.readRooms)
            #expect(try await server.call("POST", "/v1/tokens", body, token: reader).status == 403)
            let bound = try await server.token(.tokens, room: "elsewhere")
            #expect(try await server.call("POST", "/v1/tokens", body, token: bound).status == 403)
            for bad in [
                #"{"room":"","user":"zoe"}"#, #"{"room":"a"}"#, #"{"room":"a","user":"b","ttlSec":0}"#,
            ] {
                #expect(try await server.call("POST", "/v1/tokens", bad).status == 400)
            }
        }
    }

    @Test func drainingLetsNobodyIn() async throws {
        try await RESTTestServer.with { server in
            let alice = try await server.join("alice")
            #expect(try await server.call("GET", "/readyz").status == 200)
            let drained = try await server.call("POST", "/v1/admin/drain", "{}")
            #expect(drained.json["draining"] as? Bool == true)
            #expect(drained.json["participants"] as? Int == 1)
            #expect(try await server.call("GET", "/readyz").status == 503)
            #expect(alice.socket.with { $0.closed } == nil)
            await #expect(throws: (any Error).self) { _ = try await server.join("bob") }
            #expect(try await server.call("PUT", "/v1/rooms/new", "{}").status == 503)
            _ = try await server.call("POST", "/v1/admin/drain", #"{"on":false}"#)
            _ = try await server.join("bob")
            _ = try await server.call("POST", "/v1/admin/drain", #"{"spreadMs":500}"#)
            let bye = try await alice.message("bye", server.gateway)
            #expect(bye.int("data", "code") == 4000)
            #expect(bye.int("data", "spreadMs") == 500)
        }
    }

    // MARK: Once

    @Test func aRepeatedPostIsAnsweredTheSame() async throws {
        try await RESTTestServer.with { server in
            let alice = try await server.join("alice")
            let path = "/v1/rooms/standup/data"
            let key = ["Idempotency-Key": "k1"]
            let first = try await server.call("POST", path, #"{"topic":"t","payload":1}"#, headers: key)
            #expect(first.status == 200)
            #expect(first.headers["idempotency-replayed"] == nil)
            let second = try await server.call("POST", path, #"{"topic":"t","payload":1}"#, headers: key)
            #expect(second.text == first.text)
            #expect(second.headers["idempotency-replayed"] == "true")
            #expect(second.headers["content-type"] == "application/json")
            let other = try await server.call("POST", path, #"{"topic":"t","payload":2}"#, headers: key)
            #expect(other.status == 422)
            // Somebody else's key is another key.
            let stranger = try await server.token(.writeRooms, key: "other")
            let foreign = try await server.call(
                "POST",
                path,
                #"{"topic":"t","payload":3}"#,
                token: stranger,
                headers: key
            )
            #expect(foreign.status == 200)
            #expect(foreign.headers["idempotency-replayed"] == nil)
            // Refusals are remembered as well.
            let bad = ["Idempotency-Key": "k2"]
            let refused = try await server.call("POST", path, #"{"topic":"","payload":1}"#, headers: bad)
            #expect(refused.status == 400)
            let again = try await server.call("POST", path, #"{"topic":"","payload":1}"#, headers: bad)
            #expect(again.text == refused.text)
            #expect(again.headers["content-type"] == "application/problem+json")
            let long = ["Idempotency-Key": String(repeating: "k", count: Limits.REST.keyBytes + 1)]
            #expect(
                try await server.call("POST", path, #"{"topic":"t","payload":1}"#, headers: long).status
                    == 400
            )
            _ = try await alice.message("data", server.gateway)
            let texts = alice.socket.with { $0.texts }
            #expect(texts.count { $0.contains(#""type":"data""#) } == 2)
        }
    }

    @Test func manyAtOnceAreDoneOnce() async throws {
        try await RESTTestServer.with { server in
            let alice = try await server.join("alice")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<12 {
                    group.addTask {
                        try await server.call(
                            "POST",
                            "/v1/rooms/standup/data",
                            #"{"topic":"t","payload":1}"#,
                            headers: ["Idempotency-Key": "k"]
                        ).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            // The first, its replays, and those that came while it was being done.
            #expect(statuses.allSatisfy { $0 == 200 || $0 == 409 })
            #expect(statuses.contains(200))
            _ = try await alice.message("data", server.gateway)
            #expect(alice.socket.with { $0.texts }.count { $0.contains(#""type":"data""#) } == 1)
        }
    }
}
