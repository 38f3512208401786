// swift-tools-version: 6.2
import PackageDescription

// The house: each target imports only what stands below it. docs/architecture.md walks through it.
let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (Context.environment["SFU_CI"] == nil ? [] : [.treatAllWarnings(as: .error)])

/// The targets that depend on no other package, for the sanitizers' builds.
let mediaOnly = Context.environment["SFU_MEDIA_ONLY"]
let isMediaOnly = mediaOnly != nil
/// Those that whole calls on virtual time need, for an optimised build of `ScenarioTests` alone.
let scenarioTargets: Set<String> = [
    "COpenSSL", "COpus", "CGCM", "CSlab", "RTP", "PeerTransport", "Seam", "SFU", "Simulation", "Acceptance",
    "ScenarioTests",
]
let mediaTargets: Set<String> = [
    "COpenSSL", "COpus", "CSRTP", "CGCM", "CSlab", "CLinux", "RTP", "PeerTransport", "Seam", "SDP", "SFU",
    "MediaIO", "Simulation", "Acceptance", "AllocationCounter", "ForwardingCost", "RTPTests", "SDPTests",
    "PeerTransportTests", "SFUTests", "ScenarioTests", "AllocationTests", "MediaIOTests", "FuzzTargets",
    "FuzzTests",
]

let products: [Product] = [
    .executable(name: "sfu", targets: ["CLI"])
]

let dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
]

let targets: [Target] = [
    // floor 1: bytes and C
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "COpus", pkgConfig: "opus", providers: [.apt(["libopus-dev"])]),
    .target(name: "CGCM"),
    .target(name: "CSlab"),
    .target(name: "CLinux"),
    .target(name: "CWeb"),
    .target(name: "RTP", swiftSettings: settings),
    // floor 2: one peer; the seam; the text of sessions
    .target(
        name: "PeerTransport",
        dependencies: ["RTP", "COpenSSL", "CGCM", "CSlab"],
        swiftSettings: settings
    ),
    .target(name: "Seam", dependencies: ["RTP"], swiftSettings: settings),
    .target(name: "SDP", dependencies: ["RTP"], swiftSettings: settings),
    // floor 3: forwarding
    .target(name: "SFU", dependencies: ["PeerTransport", "RTP", "Seam", "COpus"], swiftSettings: settings),
    // floor 4: threads and sockets; HTTP and rooms
    .target(
        name: "MediaIO",
        dependencies: ["SFU", "PeerTransport", "RTP", "Seam", "CLinux"],
        swiftSettings: settings
    ),
    .target(
        name: "Signaling",
        dependencies: [
            "Seam", "SDP", "RTP", "CWeb",
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOWebSocket", package: "swift-nio"),
            .product(name: "NIOFoundationCompat", package: "swift-nio"),
            .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "JWTKit", package: "jwt-kit"),
            .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "Tracing", package: "swift-distributed-tracing"),
        ],
        exclude: ["Web"],
        swiftSettings: settings
    ),
    .target(
        name: "SeamLink",
        dependencies: [
            "Seam", "RTP",
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOFoundationCompat", package: "swift-nio"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
        ],
        swiftSettings: settings
    ),
    .target(
        name: "EventLog",
        dependencies: [
            "RTP",
            .product(name: "GRDB", package: "GRDB.swift"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "Logging", package: "swift-log"),
        ],
        swiftSettings: settings
    ),
    .target(
        name: "Telemetry",
        dependencies: [
            "RTP",
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "Tracing", package: "swift-distributed-tracing"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOFoundationCompat", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "Logging", package: "swift-log"),
        ],
        swiftSettings: settings
    ),
    // clients for `sfu bench`: of the server they know what is on the wire
    .target(
        name: "Load",
        dependencies: [
            "PeerTransport", "SDP", "RTP", "CLinux",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: settings
    ),
    // floor 5: the binary
    .executableTarget(
        name: "CLI",
        dependencies: [
            "Signaling", "MediaIO", "SeamLink", "EventLog", "Telemetry", "Load", "PeerTransport", "Seam",
            "RTP",
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOFoundationCompat", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "Tracing", package: "swift-distributed-tracing"),
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            .product(name: "Yams", package: "Yams"),
        ],
        swiftSettings: settings
    ),
    // tests mirror sources; Simulation carries whole calls on virtual time
    .target(
        name: "Simulation",
        dependencies: ["SFU", "PeerTransport", "RTP", "Seam"],
        path: "Tests/Simulation",
        swiftSettings: settings
    ),
    // what scenarios are judged by, and what shares a path with them
    .target(
        name: "Acceptance",
        dependencies: ["RTP"],
        path: "Tests/Acceptance",
        swiftSettings: settings
    ),
    .testTarget(name: "RTPTests", dependencies: ["RTP"], swiftSettings: settings),
    .testTarget(
        name: "SDPTests",
        dependencies: ["SDP", "RTP"],
        resources: [.copy("Fixtures")],
        swiftSettings: settings
    ),
    // libsrtp2, which the tests compare with; no `pkgConfig`, which would ask for it in every build
    .systemLibrary(name: "CSRTP", path: "Tests/CSRTP"),
    .testTarget(
        name: "PeerTransportTests",
        dependencies: ["PeerTransport", "RTP", "CSRTP", "COpenSSL", "CGCM", "CSlab"],
        swiftSettings: settings,
        linkerSettings: [.linkedLibrary("srtp2")]
    ),
    .testTarget(
        name: "SFUTests",
        dependencies: ["Acceptance", "SFU", "PeerTransport", "RTP", "Seam", "COpus"],
        swiftSettings: settings
    ),
    .testTarget(
        name: "ScenarioTests",
        dependencies: ["Acceptance", "Simulation", "SFU", "PeerTransport", "RTP", "Seam", "COpus"],
        swiftSettings: settings
    ),
    // real codecs of the distribution, compiled and loaded by the tests themselves
    .systemLibrary(name: "CBitstreamCodecs", path: "Tests/BitstreamTests/Codecs"),
    .testTarget(
        name: "BitstreamTests",
        dependencies: ["CBitstreamCodecs", "Simulation", "SFU", "PeerTransport", "RTP", "Seam"],
        exclude: ["Codecs"],
        swiftSettings: settings
    ),
    // properties of all input: scripts/fuzz looks for what breaks them, the test runs the stored inputs
    .target(
        name: "FuzzTargets",
        dependencies: ["PeerTransport", "SDP", "RTP"],
        path: "Tests/Fuzz/Targets",
        swiftSettings: settings
    ),
    .testTarget(
        name: "FuzzTests",
        dependencies: ["FuzzTargets"],
        path: "Tests/Fuzz/Replay",
        swiftSettings: settings
    ),
    .target(name: "AllocationCounter", dependencies: ["CSlab"], path: "Tests/AllocationCounter"),
    // what forwarding costs, counted: bench/gates runs it
    .executableTarget(
        name: "ForwardingCost",
        dependencies: ["AllocationCounter", "Simulation", "MediaIO", "SFU", "PeerTransport", "RTP", "Seam"],
        path: "Tests/ForwardingCost",
        swiftSettings: settings
    ),
    .testTarget(
        name: "AllocationTests",
        dependencies: ["AllocationCounter", "Simulation", "SFU", "RTP", "Seam"],
        swiftSettings: settings
    ),
    .testTarget(
        name: "MediaIOTests",
        dependencies: ["MediaIO", "SFU", "PeerTransport", "RTP", "Seam", "CLinux"],
        swiftSettings: settings
    ),
    .testTarget(
        name: "SignalingTests",
        dependencies: [
            "Signaling", "Telemetry", "Seam", "SDP", "RTP",
            .product(name: "Tracing", package: "swift-distributed-tracing"),
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "JWTKit", package: "jwt-kit"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOEmbedded", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
            .product(name: "NIOWebSocket", package: "swift-nio"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        resources: [.copy("Fixtures")],
        swiftSettings: settings
    ),
    .testTarget(
        name: "TelemetryTests",
        dependencies: [
            "Telemetry", "RTP",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "Tracing", package: "swift-distributed-tracing"),
        ],
        swiftSettings: settings
    ),
    .testTarget(
        name: "SeamLinkTests",
        dependencies: [
            "SeamLink", "Seam", "RTP",
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOFoundationCompat", package: "swift-nio"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
        ],
        swiftSettings: settings
    ),
    .testTarget(
        name: "EventLogTests",
        dependencies: [
            "EventLog", "RTP",
            .product(name: "GRDB", package: "GRDB.swift"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: settings
    ),
    .testTarget(
        name: "LoadTests",
        dependencies: [
            "Load", "PeerTransport", "SDP", "RTP", "CLinux",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: settings
    ),
    .testTarget(
        name: "CLITests",
        dependencies: [
            "CLI", "EventLog", "RTP", "Signaling", "Telemetry",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: settings
    ),
]

let package = Package(
    name: "sfu",
    products: isMediaOnly ? [] : products,
    dependencies: isMediaOnly ? [] : dependencies,
    targets: isMediaOnly
        ? targets.filter { (mediaOnly == "scenarios" ? scenarioTargets : mediaTargets).contains($0.name) }
        : targets,
    swiftLanguageModes: [.v6]
)
