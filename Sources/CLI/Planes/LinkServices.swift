// The two ends of the link as services: they begin with the process and end in their turn.
import SeamLink
import ServiceLifecycle

/// The media plane's end.
struct LinkServerService: Service {
    let link: SeamServer

    func run() async throws {
        try await link.start()
        try? await gracefulShutdown()
        await link.stop()
    }
}

/// The gateway's end.
struct LinkClientService: Service {
    let link: SeamClient

    func run() async throws {
        try await link.start()
        try? await gracefulShutdown()
        await link.stop()
    }
}
