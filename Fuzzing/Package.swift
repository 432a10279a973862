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

let package = Package(
    name: "diskdelta-fuzzing",
    targets: [
        underTest("ByteReading"),
        underTest("DiskImages", dependencies: ["ByteReading"]),
        underTest("ChangeQuery", dependencies: ["DiskImages"]),
        .target(name: "TestSupport", dependencies: ["DiskImages"], swiftSettings: swiftSettings),
        .target(name: "CFuzzing"),
        .executableTarget(
            name: "Fuzz",
            dependencies: ["CFuzzing", "ChangeQuery", "DiskImages", "TestSupport"],
            swiftSettings: swiftSettings,
            // Gold, the toolchain's own choice, fails on what the sanitizers emit.
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]
        ),
    ]
)
