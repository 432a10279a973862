// swift-tools-version: 6.1
import PackageDescription

// A package of its own: who builds DiskDelta, or depends on it, has no use for the generator and for what that is built from.
// `Proto/generate` builds it.
let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "diskdelta-generator",
    dependencies: [
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: [])
    ],
    targets: [
        .executableTarget(
            name: "protoc-gen-diskdelta",
            dependencies: [
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "SwiftProtobufPluginLibrary", package: "swift-protobuf"),
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "GeneratorTests",
            dependencies: ["protoc-gen-diskdelta"],
            exclude: ["Golden"],
            swiftSettings: swiftSettings
        ),
    ]
)
