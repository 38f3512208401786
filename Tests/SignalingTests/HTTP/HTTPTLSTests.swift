import Foundation
import Logging
import NIOCore
import NIOSSL
import Testing

@testable import Signaling

/// Certificate files in a directory of their own.
private struct CertificateFiles {
    let directory: URL
    var chain: String { directory.appending(path: "cert.pem").path() }
    var key: String { directory.appending(path: "key.pem").path() }
    var files: SignalingConfiguration.TLSFiles { .init(certificateChain: chain, privateKey: key) }

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "sfu-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: directory) }

    /// A self-signed certificate with this common name; written beside, then moved into place.
    func write(_ name: String, only: [String] = ["cert.pem", "key.pem"]) throws {
        let fresh = directory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: fresh, withIntermediateDirectories: true)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days",
            "2", "-subj", "/CN=\(name)", "-keyout", fresh.appending(path: "key.pem").path(), "-out",
            fresh.appending(path: "cert.pem").path(),
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        for file in only {
            let target = directory.appending(path: file)
            try? FileManager.default.removeItem(at: target)
            try FileManager.default.moveItem(at: fresh.appending(path: file), to: target)
        }
    }
}

@Suite("TLS")
struct HTTPTLSTests {
    private static func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = ["h2", "http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }

    private static func certificate(_ files: CertificateFiles) throws -> TLSCertificate {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try TLSCertificate(files: files.files, metrics: PrometheusRegistry(), logger: logger)
    }

    @Test func requestsAndSocketsOverTLS() async throws {
        let files = try CertificateFiles()
        defer { files.remove() }
        try files.write("localhost")
        try await HTTPTestServer.with {
            $0.tls = files.files
        } _: { server in
            let page = try await RawClient.connect(server.address, tls: Self.clientContext())
            #expect(try await page.request("GET", "/healthz").body == "ok\n")
            let negotiated = try await page.channel.nioSSL_tlsVersion().get()
            #expect(negotiated == .tlsv13)
            page.close()
            let socket = try await RawClient.connect(server.address, tls: Self.clientContext())
            #expect(try await socket.request("GET", "/v1/rooms/r/signal", upgradeHeaders()).status == 101)
            try await socket.send(textFrame("over tls"))
            #expect(try await socket.readFrame()?.text == "over tls")
            try await socket.send(closeFrame(1000))
            #expect(try await socket.readFrame()?.code == 1000)
            // No TLS, no answer.
            let plain = try await server.connect()
            try await plain.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(!String(decoding: await plain.readSome(), as: UTF8.self).contains("HTTP/1.1"))
            plain.close()
        }
    }

    @Test func newFilesAreLoaded() throws {
        let files = try CertificateFiles()
        defer { files.remove() }
        try files.write("one")
        let certificate = try Self.certificate(files)
        let first = certificate.context
        #expect(certificate.poll() == .unchanged)
        try files.write("two")
        #expect(certificate.poll() == .reloaded)
        #expect(certificate.context !== first)
        #expect(certificate.poll() == .unchanged)
    }

    @Test func badFilesKeepTheOld() throws {
        let files = try CertificateFiles()
        defer { files.remove() }
        try files.write("one")
        let certificate = try Self.certificate(files)
        let first = certificate.context
        // Between the two steps of a renewal the key belongs to another certificate.
        try files.write("two", only: ["cert.pem"])
        #expect(certificate.poll() == .failed)
        #expect(certificate.context === first)
        #expect(certificate.poll() == .unchanged)
        try Data("no pem".utf8).write(to: URL(filePath: files.chain))
        #expect(certificate.poll() == .failed)
        try FileManager.default.removeItem(atPath: files.key)
        #expect(certificate.poll() == .failed)
        #expect(certificate.context === first)
        try files.write("three")
        #expect(certificate.poll() == .reloaded)
        #expect(certificate.context !== first)
    }

    @Test func badFilesAtTheStartAreAnError() throws {
        let files = try CertificateFiles()
        defer { files.remove() }
        #expect(throws: (any Error).self) { try Self.certificate(files) }
        try files.write("one")
        try files.write("two", only: ["key.pem"])
        #expect(throws: (any Error).self) { try Self.certificate(files) }
    }
}
