// The conference page, the SDK and the contracts as HTTP serves them. Must not know rooms.
import CWeb
import HTTPTypes
import Hummingbird
import NIOCore

/// A file inside the binary.
struct WebFile: Sendable {
    let path: String
    let contentType: String
    /// What it is, for the documentation.
    let summary: String
    let bytes: ByteBuffer
    /// Strong; changes with the content.
    let etag: String

    init(path: String, contentType: String, summary: String = "", bytes: ByteBuffer) {
        self.path = path
        self.contentType = contentType
        self.summary = summary
        self.bytes = bytes
        // FNV-1a; it tells versions apart, it need not resist anybody.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes.readableBytesView { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        etag = "\"\(String(hash, radix: 16))-\(bytes.readableBytes)\""
    }

    private init(_ path: String, _ contentType: String, _ file: sfu_web_file, _ summary: String) {
        self.init(
            path: path,
            contentType: contentType,
            summary: summary,
            bytes: ByteBuffer(bytes: UnsafeRawBufferPointer(start: file.bytes, count: file.count))
        )
    }

    static let all: [WebFile] = [
        WebFile("/", "text/html; charset=utf-8", sfu_web_index_html(), "The conference page."),
        WebFile("/app.js", javaScript, sfu_web_app_js(), "A script of the page."),
        WebFile("/layout.js", javaScript, sfu_web_layout_js(), "A script of the page."),
        WebFile("/people.js", javaScript, sfu_web_people_js(), "A script of the page."),
        WebFile("/quality.js", javaScript, sfu_web_quality_js(), "A script of the page."),
        WebFile("/ui.js", javaScript, sfu_web_ui_js(), "A script of the page."),
        WebFile("/app.css", "text/css; charset=utf-8", sfu_web_app_css(), "The style of the page."),
        WebFile("/sdk/sfu.js", javaScript, sfu_web_sdk_js(), "The client SDK, one ES module."),
        WebFile(
            "/sdk/sfu.d.ts",
            "text/plain; charset=utf-8",
            sfu_web_sdk_types(),
            "Types of the SDK and of the protocol's messages."
        ),
        WebFile(
            "/asyncapi.json",
            "application/json",
            sfu_web_asyncapi_json(),
            "The messages of the signaling protocol, AsyncAPI 3.0."
        ),
        WebFile("/openapi.json", "application/json", sfu_web_openapi_json(), "This document, OpenAPI 3.1."),
    ]
    private static let javaScript = "text/javascript; charset=utf-8"

    /// Pages from anywhere may load it.
    var isForAll: Bool { path.hasPrefix("/sdk/") || contentType == "application/json" }
}

/// Routes of the embedded files.
struct WebFileRoutes: Sendable {
    /// Pages that may show ours in a frame.
    let frameAncestors: [String]

    func add(to router: Router<RequestScope>) {
        for file in WebFile.all {
            router.route(file.path, [.get: { request, scope in respond(file, request, scope) }])
        }
    }

    private func respond(_ file: WebFile, _ request: Request, _ scope: RequestScope) -> Response {
        var headers: HTTPFields = [
            .contentType: file.contentType,
            .eTag: file.etag,
            // Kept, but asked for each time: a new server shows its new page at once.
            .cacheControl: "no-cache",
        ]
        if file.isForAll { headers[.accessControlAllowOrigin] = "*" }
        if file.path == "/" {
            headers[.contentSecurityPolicy] = contentSecurityPolicy(host: scope.client.host)
            headers[headerName("permissions-policy")] = Self.permissionsPolicy
        }
        guard !Self.matches(request.headers[.ifNoneMatch], file.etag) else {
            headers[.contentType] = nil
            return Response(status: .notModified, headers: headers)
        }
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: file.bytes))
    }

    /// RFC 9110 §13.1.2; weak comparison.
    private static func matches(_ condition: String?, _ etag: String) -> Bool {
        guard let condition else { return false }
        return condition.split(separator: ",").contains { entry in
            let tag = entry.split(whereSeparator: \.isWhitespace).first ?? ""
            return tag == "*" || tag == etag || tag == "W/\(etag)"
        }
    }

    /// Everything comes from here. Sockets are named because older engines do not count them as 'self'.
    func contentSecurityPolicy(host: String?) -> String {
        let sockets = host.map { " ws://\($0) wss://\($0)" } ?? ""
        let ancestors = (["'self'"] + frameAncestors).joined(separator: " ")
        return [
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:",
            "media-src 'self' blob: mediastream:", "connect-src 'self'\(sockets)", "worker-src 'self' blob:",
            "manifest-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors \(ancestors)",
        ].joined(separator: "; ")
    }

    static let permissionsPolicy =
        "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), autoplay=(self), "
        + "screen-wake-lock=(self), speaker-selection=(self), geolocation=(), payment=(), usb=()"
}
