// swift-tools-version: 6.1
import PackageDescription

// Every target is compiled in Swift 6 mode. CI adds `-warnings-as-errors` on the command line, so that a new compiler's
// warnings do not stop a person from building a release.
let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// A Swift library of this package. `Docs/Architecture.md` says what each is for.
func room(_ name: String, path: String? = nil, dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: swiftSettings)
}

func program(_ name: String, dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, exclude: [String] = [], dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let tls: [Target.Dependency] = ["DiskDeltaTLS", .product(name: "NIOTLS", package: "swift-nio")]
let http = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let metrics: [Target.Dependency] = [
    .product(name: "Metrics", package: "swift-metrics"),
    .product(name: "CoreMetrics", package: "swift-metrics"),
]
let database = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "diskdelta",
    products: [
        // The client's calls are told in the messages and errors of the protocol.
        .library(name: "DiskDeltaClient", targets: ["DiskDeltaClient", "DiskDeltaProtocol"]),
        .executable(name: "diskdeltad", targets: ["diskdeltad"]),
        .executable(name: "diskdelta", targets: ["diskdelta"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // Leaves: what reads bytes, and what C offers.
        .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
        .target(name: "CDiskDeltaProto", dependencies: ["CProtobufC"]),
        .target(name: "CDiskDeltaSystem"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        room("ByteReading"),

        // The wire.
        room(
            "DiskDeltaTLS",
            dependencies: [
                "COpenSSL", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ]
        ),
        room("DiskDeltaProtocol", dependencies: ["CDiskDeltaProto", "ByteReading"]),
        room("DiskDeltaTransport", dependencies: ["DiskDeltaProtocol", collections, logging] + tls + nio),

        // The disks.
        room("DiskImages", dependencies: ["ByteReading", "CDiskDeltaSystem"]),
        room("ChangeQuery", dependencies: ["DiskImages"]),

        // Both together.
        room("DiskDeltaService", dependencies: ["ChangeQuery", "DiskDeltaProtocol", "DiskImages", "CDiskDeltaSystem"]),
        room(
            "DiskDeltaJobs",
            dependencies: ["DiskDeltaService", "ChangeQuery", "DiskDeltaProtocol", "DiskImages", database]
        ),
        room(
            "DiskDeltaServer",
            dependencies: [
                "DiskDeltaJobs", "DiskDeltaService", "DiskDeltaTransport", "DiskDeltaProtocol",
                "DiskDeltaTLS", "COpenSSL", logging, http,
            ] + metrics + nio
        ),
        room(
            "DiskDeltaClient",
            path: "Clients/Swift/Sources",
            dependencies: ["DiskDeltaTransport", "DiskDeltaProtocol", logging]
        ),

        // The programs.
        program("diskdeltad", dependencies: ["DiskDeltaServer", argumentParser, logging]),
        program(
            "diskdelta",
            dependencies: ["DiskDeltaClient", "DiskDeltaService", "DiskDeltaProtocol", "DiskImages", argumentParser]
        ),
        // What tests share: images made field by field, random chains with their model, independent readers.
        .target(
            name: "TestSupport",
            dependencies: ["DiskImages"],
            path: "Tests/TestSupport",
            swiftSettings: swiftSettings
        ),

        // The Swift server and client as programs that Tests/Conformance/run speaks to.
        .executableTarget(
            name: "conformance-subject",
            dependencies: ["DiskDeltaClient", "DiskDeltaTransport", "DiskDeltaProtocol", logging],
            path: "Tests/Conformance/Subject",
            swiftSettings: swiftSettings
        ),

        // What is measured: `Benchmarks/run`.
        .executableTarget(
            name: "EngineBenchmark",
            dependencies: ["ChangeQuery", "DiskImages", "TestSupport"],
            path: "Benchmarks/Sources/EngineBenchmark",
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "RangeBenchmark",
            dependencies: ["DiskDeltaClient", "DiskDeltaProtocol", "DiskImages", "TestSupport"],
            path: "Benchmarks/Sources/RangeBenchmark",
            swiftSettings: swiftSettings
        ),

        tests("ByteReadingTests", dependencies: ["ByteReading"]),
        tests("DiskDeltaProtocolTests", dependencies: ["DiskDeltaProtocol", "ByteReading", "TestSupport"]),
        tests(
            "DiskDeltaTransportTests",
            dependencies: [
                "DiskDeltaTransport", "DiskDeltaProtocol", "ByteReading", "TestSupport", logging,
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + tls + nio
        ),
        tests(
            "DiskDeltaTLSTests",
            dependencies: [
                "DiskDeltaTLS", "COpenSSL", "TestSupport", .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio
        ),
        tests("DiskImagesTests", dependencies: ["DiskImages", "ByteReading", "TestSupport"]),
        tests("ChangeQueryTests", dependencies: ["ChangeQuery", "DiskImages", "TestSupport"]),
        tests(
            "DiskDeltaServiceTests",
            dependencies: [
                "DiskDeltaService", "DiskDeltaClient", "DiskDeltaProtocol", "ChangeQuery", "DiskImages", "TestSupport",
            ]
        ),
        tests(
            "DiskDeltaJobsTests",
            dependencies: [
                "DiskDeltaJobs", "DiskDeltaService", "DiskDeltaProtocol", "ChangeQuery", "DiskImages", "TestSupport",
                database,
            ]
        ),
        tests(
            "DiskDeltaServerTests",
            dependencies: [
                "DiskDeltaServer", "DiskDeltaService", "DiskDeltaTransport", "DiskDeltaClient", "DiskDeltaProtocol",
                "DiskImages", "TestSupport", logging, http,
            ] + tls + metrics + nio
        ),
        tests(
            "DiskDeltaClientTests",
            dependencies: ["DiskDeltaClient", "DiskDeltaTransport", "DiskDeltaProtocol", "TestSupport", logging] + nio
        ),
        tests("CommandLineTests", dependencies: ["diskdelta", "diskdeltad", "DiskImages", "TestSupport"]),
        tests(
            "EndToEndTests",
            dependencies: [
                "diskdelta", "diskdeltad", "DiskDeltaClient", "DiskDeltaService", "DiskDeltaTransport",
                "DiskDeltaProtocol", "DiskImages", "TestSupport",
            ]
        ),
    ]
)
