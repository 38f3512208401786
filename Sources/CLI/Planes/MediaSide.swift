// The media plane as the commands start it. Must not know who gives it orders.
import Logging
import MediaIO
import PeerTransport
import RTP

import struct Foundation.UUID

enum MediaSide {
    /// Opens the ports.
    static func open(_ configuration: ServeConfiguration) throws -> MediaServer {
        var media = MediaConfiguration(
            certificate: try DTLSCertificate.generate(),
            epoch: UUID().uuidString,
            listen: configuration.mediaListen,
            announced: configuration.announced,
            workers: configuration.workers,
            acceptsTCP: configuration.acceptsTCP,
            usesSegmentation: configuration.usesSegmentation
        )
        media.workersGoFirst = true
        media.roomSeatsPerWorker = configuration.roomSeatsPerWorker
        media.audioWindow = configuration.audioWindow
        media.limitsBandwidth = configuration.limitsBandwidth
        return try MediaServer(configuration: media)
    }

    /// Says where it listens, and what works, but not as well as it could.
    static func announce(_ media: MediaServer, _ logger: Logger) {
        let candidates = media.candidates.map { "\($0.network.rawValue)/\($0.address):\($0.port)" }
        logger.info(
            "media is open",
            metadata: [
                "listen": "\(media.listening.joined(separator: " "))", "workers": "\(media.workerCount)",
                "candidates": "\(candidates.joined(separator: " "))",
            ]
        )
        guard media.grantedReceiveBufferBytes < Limits.MediaIO.receiveBufferBytes else { return }
        logger.warning(
            "the kernel grants smaller socket buffers than wanted; raise net.core.rmem_max and wmem_max",
            metadata: [
                "granted": "\(media.grantedReceiveBufferBytes)",
                "wanted": "\(Limits.MediaIO.receiveBufferBytes)",
            ]
        )
    }
}
