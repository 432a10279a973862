import DiskDeltaClient
import DiskImages
import Foundation
import TestSupport
import Testing

/// One disk of each format, described and asked about embedded and over a connection: the same lines, and the ranges that
/// were written.
@Suite(
    "Every format, embedded and remote",
    .enabled(if: Programs.areBuilt, Programs.absence),
    .timeLimit(.minutes(3))
)
struct EveryFormatTests {
    private static let mebibyte: UInt64 = 1 << 20
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    // MARK: The disks

    @Test func vhd() async throws {
        try VHDCreation.dynamic(virtualSize: 64 << 20).create(at: folder.file("base.vhd"), isDurable: false)
        try VHDCreation.differencing(parent: folder.file("base.vhd"))
            .create(at: folder.file("child.avhd"), isDurable: false)
        do {
            let writer = try ImageWriting.open(folder.file("child.avhd"), isDurable: false)
            try writer.write([UInt8](repeating: 7, count: 4_096), at: Self.mebibyte)
        }
        let changed = [ChangedRange(offset: Self.mebibyte, length: 4_096, kind: .data)]
        try await check("child.avhd", format: "vhd", changes: [(kind: "layer", ranges: changed)])
    }

    @Test func vhdSet() async throws {
        try VHDXCreation.dynamic(virtualSize: 64 << 20).create(at: folder.file("base.vhdx"), isDurable: false)
        for (child, parent) in [("frozen.avhdx", "base.vhdx"), ("live.avhdx", "frozen.avhdx")] {
            try VHDXCreation.differencing(parent: folder.file(parent)).create(at: folder.file(child), isDurable: false)
            let writer = try ImageWriting.open(folder.file(child), isDurable: false)
            try writer.write([UInt8](repeating: 7, count: 512), at: (child == "live.avhdx" ? 8 : 16) << 20)
        }
        let snapshot = "5c8e2f3a-0001-4b6e-9d2c-7f1f00aa0001"
        let catalogue = #"""
            [{"Path": "C:\\ClusterStorage\\disk.vhds", "SnapshotIdList": ["\#(snapshot)"],
              "AllPaths": ["C:\\ClusterStorage\\base.vhdx", "C:\\ClusterStorage\\frozen.avhdx",
                           "C:\\ClusterStorage\\live.avhdx"]},
             {"FilePath": "C:\\ClusterStorage\\disk.vhds", "SnapshotId": "\#(snapshot)",
              "SnapshotPath": "C:\\ClusterStorage\\frozen.avhdx", "CreationTime": "2024-05-01T10:00:00Z",
              "ParentPathsList": ["C:\\ClusterStorage\\base.vhdx"], "ResilientChangeTrackingId": null}]
            """#
        try Data(catalogue.utf8).write(to: URL(fileURLWithPath: folder.file("disk.vhdset.json")))
        let live = ChangedRange(offset: 8 << 20, length: 512, kind: .data)
        let frozen = ChangedRange(offset: 16 << 20, length: 512, kind: .data)
        try await check(
            "disk.vhdset.json",
            format: "vhdset",
            changes: [
                (kind: "snapshot", ranges: [live]), (kind: "layer", ranges: [live]),
                (kind: "layer", ranges: [live, frozen]),
            ]
        )
    }

    @Test(.enabled(if: Oracles.qemuImage != nil, "qemu-img is not there")) func qcow2() async throws {
        try qemu("create", "-q", "-f", "qcow2", "base.qcow2", "64M")
        try qemu("create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "leaf.qcow2")
        try qemu("snapshot", "-c", "before", "leaf.qcow2")
        try qemu("bitmap", "--add", "-g", "65536", "leaf.qcow2", "daily")
        try write(4_096, at: 5 << 20, of: "leaf.qcow2")
        let cluster = [ChangedRange(offset: 5 << 20, length: 65_536, kind: .data)]
        try await check(
            "leaf.qcow2",
            format: "qcow2",
            changes: [
                (kind: "bitmap", ranges: cluster), (kind: "snapshot", ranges: cluster),
                (kind: "backing", ranges: cluster),
            ]
        )
    }

    @Test func raw() async throws {
        let file = try RawFile(folder.file("disk.raw"), create: true)
        try file.write([UInt8](repeating: 7, count: 65_536), at: Self.mebibyte)
        try file.truncate(to: 4 << 20 | 1_000)
        try await check("disk.raw", format: "raw", changes: [])
    }

    // MARK: Asking

    /// Asks everything there is to ask about a disk in both ways. `changes` has what is expected since each baseline, the
    /// nearest first.
    private func check(
        _ disk: String,
        format: String,
        changes: [(kind: String, ranges: [ChangedRange])]
    ) async throws {
        try await RunningServer.with(folder) { server in
            func both(_ arguments: [String]) throws -> [String] {
                let embedded = try Programs.diskdelta.run(arguments, in: folder)
                #expect(embedded.status == 0, "\(arguments): \(embedded.error)")
                let named = arguments.map { $0 == disk ? "d/\(disk)" : Self.rooted($0) }
                let remote = try Programs.diskdelta.run(["--server", server.tcp] + named, in: folder)
                #expect(remote.status == 0, "\(named): \(remote.error)")
                #expect(remote.lines.map(Self.unrooted) == embedded.lines)
                return embedded.lines
            }
            let info = try #require(
                try JSONSerialization.jsonObject(with: Data(try both(["info", disk]).joined().utf8)) as? [String: Any]
            )
            #expect(info["format"] as? String == format)
            let size = try #require((info["size"] as? NSNumber)?.uint64Value)
            let baselines = try #require(info["baselines"] as? [[String: Any]])
            #expect(baselines.map { $0["kind"] as? String } == changes.map(\.kind))
            for (baseline, change) in zip(baselines, changes) {
                #expect(baseline["usable"] as? Bool == true)
                let since = try #require(baseline["id"] as? String)
                let lines = try both(["changes", disk, "--since", since])
                #expect(Array(lines.dropFirst()) == Asking.lines(change.ranges, processed: size))
            }
            let allocated = try both(["allocated", disk])
            #expect(allocated.count >= 2)
            // The disk's end, which need not be a multiple of a sector.
            let rest = try both(["allocated", disk, "--offset", "\(size)"])
            #expect(Array(rest.dropFirst()) == Asking.lines([], offset: size, processed: 0))
        }
    }

    /// An id as the server names it, from one of the embedded command line.
    private static func rooted(_ text: String) -> String {
        text.hasPrefix("backing:") ? "backing:d/" + text.dropFirst("backing:".count) : text
    }

    private static func unrooted(_ line: String) -> String {
        line.replacingOccurrences(of: #""d/"#, with: #"""#).replacingOccurrences(of: "backing:d/", with: "backing:")
    }

    private func qemu(_ arguments: String...) throws {
        let program = try #require(Oracles.qemuImage)
        let result = try Oracles.run("/usr/bin/env", ["-C", folder.path, program] + arguments)
        #expect(result.status == 0, "qemu-img \(arguments): \(result.text)")
    }

    /// Writes to a qcow2 image by way of `qemu-io`.
    private func write(_ count: Int, at offset: Int, of name: String) throws {
        let result = try Oracles.run("/usr/bin/env", ["qemu-io", "-c", "write \(offset) \(count)", folder.file(name)])
        #expect(result.status == 0, "qemu-io: \(result.text)")
    }
}
