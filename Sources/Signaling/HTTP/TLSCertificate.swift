// The server's certificate, loaded anew when its files change. Must not know connections.
import Foundation
import Logging
import Metrics
import NIOSSL
import RTP
import Synchronization

/// Holds the TLS context that new connections use. What is open keeps its own.
final class TLSCertificate: Sendable {
    /// What tells one version of a file from the next.
    private struct Stamp: Equatable {
        var inode: UInt64?
        var size: UInt64?
        var modified: Date?
    }

    private struct State {
        var context: NIOSSLContext
        /// Of the files that were tried last, be they good or bad.
        var tried: [Stamp?]
    }

    enum OnPoll: Equatable {
        case unchanged
        case reloaded
        /// The old certificate stays in use.
        case failed
    }

    private let files: SignalingConfiguration.TLSFiles
    private let metrics: any MetricsFactory
    private let logger: Logger
    private let state: Mutex<State>

    /// - Throws: what is wrong with the files.
    init(files: SignalingConfiguration.TLSFiles, metrics: any MetricsFactory, logger: Logger) throws {
        self.files = files
        self.metrics = metrics
        self.logger = logger
        let stamps = Self.stamps(of: files)
        let context = try Self.load(files)
        state = Mutex(State(context: context, tried: stamps))
        count("ok")
    }

    var context: NIOSSLContext { state.withLock { $0.context } }

    /// Looks at the files; reads them if they are not those that were tried last. Blocks for a file read.
    @discardableResult
    func poll() -> OnPoll {
        let stamps = Self.stamps(of: files)
        guard stamps != state.withLock({ $0.tried }) else { return .unchanged }
        do {
            let context = try Self.load(files)
            state.withLock { $0 = State(context: context, tried: stamps) }
            count("ok")
            logger.info("TLS certificate reloaded", metadata: ["file": "\(files.certificateChain)"])
            return .reloaded
        } catch {
            state.withLock { $0.tried = stamps }
            count("failed")
            logger.error(
                "TLS certificate not reloaded, the old one stays in use",
                metadata: ["file": "\(files.certificateChain)", "error": "\(error)"]
            )
            return .failed
        }
    }

    private func count(_ result: String) {
        Counter(
            label: MetricCatalog.certificateLoads.name,
            dimensions: [("result", result)],
            factory: metrics
        )
        .increment()
    }

    private static func load(_ files: SignalingConfiguration.TLSFiles) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(files.certificateChain)
        guard !chain.isEmpty else { throw TLSCertificateError.noCertificate }
        let key = try NIOSSLPrivateKey(file: files.privateKey, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        // Refuses a key of another certificate: a renewal writes two files, and between them they do not match.
        return try NIOSSLContext(configuration: configuration)
    }

    private static func stamps(of files: SignalingConfiguration.TLSFiles) -> [Stamp?] {
        [files.certificateChain, files.privateKey].map { path in
            // Follows symbolic links, by which some tools renew.
            let path = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
            guard let values = try? FileManager.default.attributesOfItem(atPath: path) else { return nil }
            return Stamp(
                inode: values[.systemFileNumber] as? UInt64,
                size: values[.size] as? UInt64,
                modified: values[.modificationDate] as? Date
            )
        }
    }
}

enum TLSCertificateError: Error, CustomStringConvertible {
    case noCertificate

    var description: String { "the file has no certificate" }
}
