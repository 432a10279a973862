import DiskImages
import Foundation
import TestSupport
import Testing

/// Files that name other files, in each format: what is outside the roots is not opened, and a message does not tell of it
/// more than the file itself says.
@Suite(
    "Files that name others outside the roots",
    .enabled(if: Programs.diskdelta.isBuilt && Programs.diskdeltad.isBuilt, "the programs are not built"),
    .timeLimit(.minutes(3))
)
struct OutsideTests {
    private static let identifier = GUID(high: 7, low: 7)
    /// Beside the root. It has a file `secret` in every format, and no file `nothing`.
    private let outside: TemporaryFolder
    private let root: TemporaryFolder

    init() throws {
        outside = try TemporaryFolder()
        root = try TemporaryFolder()
        var vhdx = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        vhdx.dataWriteGUID = Self.identifier
        try vhdx.write(to: outside.file("secret.vhdx"))
        var vhd = VHDBuilder(virtualSize: 8 << 20)
        vhd.uniqueID = Self.identifier
        try vhd.write(to: outside.file("secret.vhd"))
        _ = try Qcow2Builder(size: 8 << 20, clusterBits: 16).write(to: outside.file("secret.qcow2"))
        try RawFile(outside.file("secret.raw"), create: true).truncate(to: 8 << 20)
        for format in ["vhdx", "vhd", "qcow2", "raw"] {
            for name in ["secret", "nothing"] {
                symlink(outside.file("\(name).\(format)"), root.file("link-\(name).\(format)"))
            }
        }
        symlink(outside.path, root.file("folder"))
    }

    /// The ways to a file outside, relative to the root, with `NAME` for the name of the file without its extension.
    private func relativeWays(_ format: String) -> [String] {
        let up = "../\((outside.path as NSString).lastPathComponent)/NAME.\(format)"
        return [
            up, "./\(up)", "..//./\(up.dropFirst(3))", "x/../\(up)", "folder/NAME.\(format)",
            "folder/../\((outside.path as NSString).lastPathComponent)/NAME.\(format)", "link-NAME.\(format)",
        ]
    }

    private func absoluteWays(_ format: String) -> [String] {
        let path = outside.file("NAME.\(format)")
        return [path, "/\(path)", "/.\(path)", "\(root.path)/\(relativeWays(format)[0])"]
    }

    @Test func vhdx() async throws {
        try await check(relativeWays("vhdx"), by: "child.avhdx") { way in
            var child = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
            child.dataWriteGUID = GUID(high: 9, low: 9)
            child.setParent(Self.identifier, path: way.replacingOccurrences(of: "/", with: "\\"))
            try child.write(to: root.file("child.avhdx"))
        }
        // An absolute path stands for its last part beside the child, where there is nothing.
        try await check(absoluteWays("vhdx"), by: "child.avhdx", code: 9, "PARENT_NOT_FOUND") { way in
            var child = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
            child.dataWriteGUID = GUID(high: 9, low: 9)
            child.setParent(Self.identifier, path: way)
            try child.write(to: root.file("child.avhdx"))
        }
    }

    @Test(arguments: ["W2ru", "MacX"]) func vhd(platform: String) async throws {
        func write(_ way: String) throws {
            var child = VHDBuilder(virtualSize: 8 << 20)
            child.uniqueID = GUID(high: 9, low: 9)
            child.setParent(Self.identifier, path: way)
            if platform == "MacX" { child.locators = [VHDBuilder.Locator("MacX", Array("file://\(way)".utf8))] }
            try child.write(to: root.file("child.avhd"))
        }
        let relative = relativeWays("vhd")
        // A URL's path is relative where it begins with a point.
        try await check(platform == "MacX" ? relative.map { "./\($0)" } : relative, by: "child.avhd", write: write)
        try await check(absoluteWays("vhd"), by: "child.avhd", code: 9, "PARENT_NOT_FOUND", write: write)
    }

    @Test(arguments: ["qcow2", "raw"]) func backingFile(format: String) async throws {
        let ways = relativeWays(format) + absoluteWays(format)
        try await check(ways + ways.map { "file:\($0)" }, by: "child.qcow2") { way in
            var child = Qcow2Builder(size: 8 << 20, clusterBits: 16)
            (child.backingName, child.backingFormat) = (Array(way.utf8), format)
            _ = try child.write(to: root.file("child.qcow2"))
        }
    }

    @Test func dataFile() async throws {
        let ways = relativeWays("raw") + absoluteWays("raw")
        try await check(ways + ways.map { "file:\($0)" }, by: "child.qcow2") { way in
            var child = Qcow2Builder(size: 8 << 20, clusterBits: 16)
            (child.incompatible, child.dataFileName) = (4, way)
            _ = try child.write(to: root.file("child.qcow2"))
        }
    }

    @Test func catalogue() async throws {
        try await check(relativeWays("vhdx") + absoluteWays("vhdx"), by: "set.vhdset.json") { way in
            try Data(#"{"LeafPath":"\#(way)"}"#.utf8).write(to: URL(fileURLWithPath: root.file("set.vhdset.json")))
        }
    }

    /// A snapshot's file that lies outside counts as one that is no part of the chain, whether it is there or not.
    @Test func snapshotOfACatalogue() async throws {
        let id = "5c8e2f3a-0001-4b6e-9d2c-7f1f00aa0001"
        try VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20).write(to: root.file("live.vhdx"))
        try await RunningServer.with(root) { server in
            for way in relativeWays("vhdx") + absoluteWays("vhdx") {
                var told: [String] = []
                for name in ["secret", "nothing"] {
                    let path = way.replacingOccurrences(of: "NAME", with: name)
                    let catalogue = #"""
                        [{"LeafPath": "live.vhdx", "NoSnapshotApplied": true},
                         {"SnapshotId": "\#(id)", "SnapshotPath": "\#(path)", "ParentPathsList": ["live.vhdx"],
                          "CreationTime": "2199-01-01T00:00:00Z"}]
                        """#
                    try Data(catalogue.utf8).write(to: URL(fileURLWithPath: root.file("set.vhdset.json")))
                    let arguments = ["--server", server.tcp, "changes", "d/set.vhdset.json", "--since", id]
                    let outcome = try Programs.diskdelta.run(arguments, in: root, seconds: 20)
                    #expect(outcome.status == 5 && outcome.lastText("reason") == "BASELINE_UNKNOWN", "\(path)")
                    told.append(outcome.output + outcome.error)
                }
                #expect(told[0] == told[1], "\(way)")
            }
        }
    }

    /// Asks about the disk `disk`, which `write` makes anew for each way. Whether there is a file at the end of the way must
    /// make no difference, and where the folders are must not be told unless the way says it.
    private func check(
        _ ways: [String],
        by disk: String,
        code: Int32 = 4,
        _ reason: String = "PATH_NOT_ALLOWED",
        write: (String) throws -> Void
    ) async throws {
        try await RunningServer.with(root) { server in
            for way in ways {
                var told: [String] = []
                for name in ["secret", "nothing"] {
                    try write(way.replacingOccurrences(of: "NAME", with: name))
                    let arguments = ["--server", server.tcp, "info", "d/\(disk)"]
                    let outcome = try Programs.diskdelta.run(arguments, in: root, seconds: 20)
                    #expect(outcome.status == code, "\(way): \(outcome.output)")
                    #expect(outcome.lastText("reason") == reason, "\(way): \(outcome.output)")
                    for folder in [outside.path, root.path] where !way.contains(folder) {
                        #expect(!(outcome.output + outcome.error).contains(folder), "\(way): \(outcome.output)")
                    }
                    told.append((outcome.output + outcome.error).replacingOccurrences(of: name, with: "NAME"))
                }
                #expect(told[0] == told[1], "\(way)")
            }
        }
    }
}
