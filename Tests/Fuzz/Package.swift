// swift-tools-version: 6.2
// The fuzzer. Its folders are links that scripts/fuzz makes, since a package's sources lie below its manifest.
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "fuzz",
    targets: [
        .systemLibrary(name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl"),
        .target(name: "CGCM"),
        .target(name: "CSlab"),
        .target(name: "RTP", swiftSettings: settings),
        .target(
            name: "PeerTransport",
            dependencies: ["RTP", "COpenSSL", "CGCM", "CSlab"],
            swiftSettings: settings
        ),
        .target(name: "SDP", dependencies: ["RTP"], swiftSettings: settings),
        .target(
            name: "FuzzTargets",
            dependencies: ["PeerTransport", "SDP", "RTP"],
            path: "Fuzz/Targets",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "fuzz",
            dependencies: ["FuzzTargets"],
            path: "Fuzz/Driver",
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
