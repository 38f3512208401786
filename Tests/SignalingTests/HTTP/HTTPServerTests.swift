import NIOCore
import Testing

@testable import Signaling

@Suite("HTTP over loopback")
struct HTTPServerTests {
    @Test func thePageAndItsFiles() async throws {
        try await HTTPTestServer.with {
            $0.origins = ["https://chat.example"]
        } _: { server in
            let page = try await server.request("GET", "/", ["Host": "call.example:8443"])
            #expect(page.status == 200)
            #expect(page.headers["content-type"] == "text/html; charset=utf-8")
            #expect(page.headers["cache-control"] == "no-cache")
            #expect(page.headers["x-content-type-options"] == "nosniff")
            #expect(page.headers["permissions-policy"]?.contains("camera=(self)") == true)
            let policy = page.headers["content-security-policy"] ?? ""
            #expect(policy.contains("default-src 'none'"))
            #expect(policy.contains("wss://call.example:8443"))
            #expect(policy.contains("frame-ancestors 'self' https://chat.example"))
            for (path, type) in [
                ("/app.js", "text/javascript; charset=utf-8"), ("/app.css", "text/css; charset=utf-8"),
                ("/layout.js", "text/javascript; charset=utf-8"),
                ("/people.js", "text/javascript; charset=utf-8"),
                ("/ui.js", "text/javascript; charset=utf-8"),
                ("/sdk/sfu.js", "text/javascript; charset=utf-8"),
                ("/sdk/sfu.d.ts", "text/plain; charset=utf-8"),
            ] {
                let file = try await server.request("GET", path)
                #expect(file.status == 200)
                #expect(file.headers["content-type"] == type)
                #expect(!file.body.isEmpty)
            }
        }
    }

    @Test func entityTagsSaveTheBody() async throws {
        try await HTTPTestServer.with { server in
            let first = try await server.request("GET", "/app.js")
            let tag = try #require(first.headers["etag"])
            for condition in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
                let second = try await server.request("GET", "/app.js", ["If-None-Match": condition])
                #expect(second.status == 304)
                #expect(second.body.isEmpty)
                #expect(second.headers["etag"] == tag)
            }
            #expect(try await server.request("GET", "/app.js", ["If-None-Match": "\"other\""]).status == 200)
        }
    }

    @Test func headHasTheLengthWithoutTheBody() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            let get = try await client.request("GET", "/app.css")
            let head = try await client.request("HEAD", "/app.css")
            #expect(head.status == 200)
            #expect(head.headers["content-length"] == "\(get.body.utf8.count)")
            #expect(try await client.request("GET", "/healthz").body == "ok\n")
            client.close()
        }
    }

    @Test func errorsAreProblems() async throws {
        try await HTTPTestServer.with { server in
            let missing = try await server.request("GET", "/nothing/here")
            #expect(missing.status == 404)
            #expect(missing.headers["content-type"] == "application/problem+json")
            #expect(missing.body.contains("\"status\":404"))
            #expect(missing.headers["date"]?.hasSuffix("GMT") == true)
            let method = try await server.request("DELETE", "/healthz")
            #expect(method.status == 405)
            #expect(method.headers["allow"] == "GET, HEAD, OPTIONS")
            let options = try await server.request("OPTIONS", "/healthz")
            #expect(options.status == 204)
            #expect(options.headers["allow"] == "GET, HEAD, OPTIONS")
        }
    }

    @Test func readinessSaysWhy() async throws {
        try await HTTPTestServer.with { server in
            let ready = try await server.request("GET", "/readyz")
            #expect(ready.status == 200)
        }
        try await HTTPTestServer.with(unreadiness: "no media plane") { server in
            let response = try await server.request("GET", "/readyz")
            #expect(response.status == 503)
            #expect(response.body.contains("no media plane"))
            #expect(try await server.request("GET", "/healthz").status == 200)
        }
    }

    @Test func thePublicConfiguration() async throws {
        try await HTTPTestServer.with {
            $0.isDevelopment = true
        } _: { server in
            let response = try await server.request("GET", "/v1/config")
            #expect(response.body == #"{"dev":true,"version":"1.2.3"}"#)
            #expect(response.headers["content-type"] == "application/json")
        }
    }

    @Test func metricsWithAndWithoutAToken() async throws {
        try await HTTPTestServer.with { server in
            _ = try await server.request("GET", "/healthz")
            _ = try await server.request("GET", "/unknown")
            let metrics = try await server.request("GET", "/metrics")
            #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(
                metrics.body.contains(
                    "sfu_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1\n"
                )
            )
            #expect(metrics.body.contains("\nsfu_signal_rooms 3\n"))
            #expect(
                metrics.body.contains(
                    "sfu_signal_errors_total{code=\"bad_request\"} 1\nsfu_signal_errors_total{code=\"forbidden\"} 2\n"
                )
            )
            #expect(metrics.body.contains("sfu_signal_closes_total{code=\"4100\"} 4\n"))
            #expect(metrics.body.contains("sfu_signal_shed_total{type=\"levels\"} 5\n"))
            let families = metrics.body.split(separator: "\n").filter { $0.hasPrefix("# TYPE") }
            #expect(Set(families).count == families.count)
            #expect(metrics.body.contains("route=\"NotFound\",status=\"404\"} 1\n"))
        }
        try await HTTPTestServer.with {
            $0.metricsToken = "scrape"
        } _: { server in
            let bare = try await server.request("GET", "/metrics")
            #expect(bare.status == 401)
            #expect(
                try await server.request("GET", "/metrics", ["Authorization": "Bearer scrap"]).status == 401
            )
            #expect(
                try await server.request("GET", "/metrics", ["Authorization": "bearer scrape"]).status == 200
            )
        }
    }

    @Test func aRefusedUpgradeCountsOnce() async throws {
        try await HTTPTestServer.with { server in
            let path = "/v1/rooms/r/signal"
            _ = try await server.request("GET", path, upgradeHeaders(["Origin": "https://evil.example"]))
            let accepted = try await server.connect()
            #expect(try await accepted.request("GET", path, upgradeHeaders()).status == 101)
            let metrics = try await server.request("GET", "/metrics").body
            let route = "route=\"/v1/rooms/{room}/signal\""
            #expect(metrics.contains("\(route),status=\"403\"} 1\n"))
            #expect(metrics.contains("\(route),status=\"101\"} 1\n"))
            #expect(metrics.contains("sfu_signal_sockets 1\n"))
            accepted.close()
        }
    }

    @Test func corsByList() async throws {
        try await HTTPTestServer.with {
            $0.corsOrigins = ["https://chat.example"]
        } _: { server in
            let allowed = try await server.request("GET", "/v1/config", ["Origin": "https://chat.example"])
            #expect(allowed.headers["access-control-allow-origin"] == "https://chat.example")
            #expect(allowed.headers["vary"] == "Origin")
            #expect(allowed.headers["access-control-expose-headers"]?.contains("Location, ETag") == true)
            let other = try await server.request("GET", "/v1/config", ["Origin": "https://evil.example"])
            #expect(other.headers["access-control-allow-origin"] == nil)
            let preflight = try await server.request(
                "OPTIONS",
                "/whip/r/p",
                ["Origin": "https://chat.example", "Access-Control-Request-Method": "POST"]
            )
            #expect(preflight.status == 204)
            #expect(preflight.headers["access-control-allow-methods"]?.contains("POST") == true)
            #expect(preflight.headers["access-control-allow-headers"]?.contains("Authorization") == true)
            // A module may be imported from anywhere.
            let module = try await server.request("GET", "/sdk/sfu.js", ["Origin": "https://evil.example"])
            #expect(module.headers["access-control-allow-origin"] == "*")
        }
    }

    @Test(arguments: ["\u{16}\u{3}\u{1}garbage\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"])
    func garbageIsRefused(_ bytes: String) async throws {
        try await HTTPTestServer.with { server in
            let first = try await server.connect()
            try await first.send(bytes)
            #expect(String(decoding: await first.readToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 400 "))
            let second = try await server.connect()
            #expect(try await second.request("GET", "/healthz").status == 200)
            try await second.send(bytes)
            #expect(String(decoding: await second.readToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test func headersHaveALimit() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            let big = String(repeating: "x", count: 20_000)
            try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: \(big)\r\n\r\n")
            #expect(String(decoding: await client.readToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 431 "))
        }
    }

    @Test func halfClosedRequestsAreAnswered() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            try await client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try await client.channel.close(mode: .output)
            #expect(try await client.readResponse().body == "ok\n")
            let silent = try await server.connect()
            try await silent.channel.close(mode: .output)
            #expect(await silent.readToEnd().isEmpty)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            let head = " HTTP/1.1\r\nHost: localhost\r\n\r\n"
            try await client.send("GET /healthz\(head)GET /v1/config\(head)GET /readyz\(head)")
            #expect(try await client.readResponse().body == "ok\n")
            #expect(try await client.readResponse().body.contains("version"))
            #expect(try await client.readResponse().body == "ready\n")
            client.close()
        }
    }

    @Test func idleConnectionsDoNotHoldShutdown() async throws {
        try await HTTPTestServer.with { server in
            let silent = try await server.connect()
            let used = try await server.connect()
            #expect(try await used.request("GET", "/healthz").status == 200)
            await server.shutdown()
            #expect(await silent.readToEnd().isEmpty)
            #expect(await used.readToEnd().isEmpty)
        }
    }

    @Test func aTakenAddressIsAnError() async throws {
        try await HTTPTestServer.with { server in
            let port = try #require(server.address.port)
            await #expect(throws: (any Error).self) {
                try await HTTPTestServer.with {
                    $0.listen = [
                        ListenAddress(host: "127.0.0.1", port: 0),
                        ListenAddress(host: "127.0.0.1", port: port),
                    ]
                } _: { _ in
                }
            }
        }
    }
}
