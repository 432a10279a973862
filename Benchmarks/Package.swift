// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that who depends on DiskDelta does not carry its benchmarks. `Benchmarks/run` runs them.
let package = Package(
    name: "diskdelta-benchmarks",
    dependencies: [.package(name: "diskdelta", path: "..")],
    targets: [
        .executableTarget(
            name: "RangeBenchmark",
            dependencies: [
                .product(name: "DiskDeltaClient", package: "diskdelta"),
                .product(name: "TestSupport", package: "diskdelta"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]
        ),
        .executableTarget(
            name: "EngineBenchmark",
            dependencies: [
                .product(name: "ChangeQuery", package: "diskdelta"),
                .product(name: "TestSupport", package: "diskdelta"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]
        ),
    ]
)
