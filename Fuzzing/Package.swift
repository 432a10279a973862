// swift-tools-version: 6.1
import PackageDescription

// A package of its own, because the sanitizers need flags that a package others depend on must not have. The links in
// Sources/ lead to the sources under test, so that these are compiled with this package's flags. `Fuzzing/run` runs it.
let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// What is under test: every branch is counted, every access to memory checked.
func underTest(_ name: String, dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name,
        dependencies: dependencies,
        swiftSettings: swiftSettings + [.unsafeFlags(["-sanitize=fuzzer,address"])]
    )
}

/// A program with targets, which `Fuzzing/run` starts.
func search(_ name: String, dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies,
        swiftSettings: swiftSettings,
        // Gold, the toolchain's own choice, fails on what the sanitizers emit.
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]
    )
}

let package = Package(
    name: "diskdelta-fuzzing",
    targets: [
        underTest("ByteReading"),
        .target(name: "CDiskDeltaSystem"),
        underTest("DiskImages", dependencies: ["ByteReading", "CDiskDeltaSystem"]),
        underTest("ChangeQuery", dependencies: ["DiskImages"]),
        .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
        .target(
            name: "CDiskDeltaProto",
            dependencies: ["CProtobufC"],
            cSettings: [.unsafeFlags(["-fsanitize=fuzzer-no-link,address"])]
        ),
        underTest("DiskDeltaProtocol", dependencies: ["CDiskDeltaProto", "ByteReading"]),
        // The client's checks of range answers, without the connection below them.
        underTest("RangeAnswers", dependencies: ["DiskDeltaProtocol"]),
        .target(name: "TestSupport", dependencies: ["DiskImages"], swiftSettings: swiftSettings),
        .target(name: "CFuzzing"),
        search("Fuzz", dependencies: ["CFuzzing", "ChangeQuery", "DiskImages", "TestSupport"]),
        search("FuzzWire", dependencies: ["CFuzzing", "DiskDeltaProtocol", "RangeAnswers"]),
    ]
)
