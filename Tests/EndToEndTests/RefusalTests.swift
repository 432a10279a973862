import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport
import Testing

/// What a server refuses, as scripts see it: the exit code and the reason, alike from `diskdelta` and from `list-changes`.
@Suite("Refusals over a connection", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(2)))
struct RefusalTests {
    private static let baseID = GUID(high: 7, low: 7).description
    /// Holds the root, and a folder beside it that nobody may see.
    private let folder: TemporaryFolder
    private let root: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        root = try TemporaryFolder()
        let base = disk(7)
        try base.write(to: root.file("base.vhdx"))
        try base.write(to: folder.file("secret.vhdx"))
        var child = disk(8)
        child.setParent(base.dataWriteGUID, path: "base.vhdx")
        child.blocks[1] = VHDXBuilder.Block(state: 7, sectors: [0])
        try child.write(to: root.file("child.avhdx"))
    }

    private func disk(_ id: UInt64) -> VHDXBuilder {
        var disk = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        disk.dataWriteGUID = GUID(high: id, low: id)
        return disk
    }

    /// Both programs must end with `code` and tell `reason`. Gives the message.
    @discardableResult
    private func expect(
        _ code: Int32,
        _ reason: String,
        _ disk: String,
        since: String = baseID,
        at server: RunningServer,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let request = GetVirtualDiskChangesRequest(path: disk, limitID: since)
        let told = try Programs.diskdelta.run(Asking.arguments(request, server: server.tcp), in: folder, seconds: 20)
        #expect(told.status == code, "\(disk): \(told.output)", sourceLocation: sourceLocation)
        #expect(told.lastText("type") == "error", sourceLocation: sourceLocation)
        #expect(told.lastText("reason") == reason, "\(disk): \(told.output)", sourceLocation: sourceLocation)
        let message = told.lastText("message") ?? ""
        #expect(told.error == "diskdelta: \(message)\n", sourceLocation: sourceLocation)
        let plain = try Programs.listChanges.run([server.unix, disk, since], in: folder, seconds: 20)
        #expect(plain.status == code, "\(disk): \(plain.error)", sourceLocation: sourceLocation)
        #expect(plain.error == "list-changes: \(reason): \(message)\n", sourceLocation: sourceLocation)
        return message
    }

    @Test func nothingOutsideTheRootIsOpened() async throws {
        let outside = folder.path
        symlink(folder.file("secret.vhdx"), root.file("link.vhdx"))
        symlink(outside, root.file("folder"))
        symlink("base.vhdx", root.file("inside.vhdx"))
        let upwards = "../" + (outside as NSString).lastPathComponent + "/secret.vhdx"
        let parents = [("up", upwards), ("linked", "link.vhdx"), ("absolute", folder.file("secret.vhdx"))]
        for (name, path) in parents {
            var child = disk(9)
            child.setParent(disk(7).dataWriteGUID, path: path)
            try child.write(to: root.file("\(name).avhdx"))
        }
        try await RunningServer.with(root) { server in
            let there = try expect(4, "PATH_NOT_ALLOWED", "d/\(upwards)", at: server)
            let missing = try expect(4, "PATH_NOT_ALLOWED", "d/\(upwards)x", at: server)
            #expect(there.replacingOccurrences(of: "secret.vhdx", with: "secret.vhdxx") == missing)
            try expect(4, "PATH_NOT_ALLOWED", "d/x/../base.vhdx", at: server)
            try expect(4, "PATH_NOT_ALLOWED", folder.file("secret.vhdx"), at: server)
            try expect(4, "PATH_NOT_ALLOWED", folder.file("nothing.vhdx"), at: server)
            try expect(4, "PATH_NOT_ALLOWED", "d/link.vhdx", at: server)
            try expect(4, "PATH_NOT_ALLOWED", "d/folder/secret.vhdx", at: server)
            try expect(4, "PATH_NOT_ALLOWED", "d/up.avhdx", at: server)
            try expect(4, "PATH_NOT_ALLOWED", "d/linked.avhdx", at: server)
            // An absolute path stands for its last part beside the child, and there is nothing.
            try expect(9, "PARENT_NOT_FOUND", "d/absolute.avhdx", at: server)
            // Inside, everything is allowed: a link that stays, and the absolute name.
            for name in ["d/inside.vhdx", root.file("base.vhdx")] {
                let outcome = try Programs.listChanges.run([server.tcp, name, Self.baseID], in: folder)
                #expect(outcome.status == 0, "\(outcome.error)")
            }
        }
    }

    @Test func namesThatAreNoDisks() async throws {
        try Data(count: 4_096).write(to: URL(fileURLWithPath: root.file("set.vhds")))
        try Data([0x51, 0x46, 0x49, 0xFB] + [UInt8](repeating: 0, count: 4_096))
            .write(to: URL(fileURLWithPath: root.file("disk.qcow2")))
        try Data("A text.".utf8).write(to: URL(fileURLWithPath: root.file("text.vhdx")))
        #expect(mkfifo(root.file("pipe.vhdx"), 0o600) == 0)
        var child = disk(9)
        child.setParent(GUID(high: 1, low: 1), path: "pipe.vhdx")
        try child.write(to: root.file("child-of-pipe.avhdx"))
        try await RunningServer.with(root) { server in
            try expect(3, "FILE_NOT_FOUND", "d/nothing.vhdx", at: server)
            try expect(3, "FILE_NOT_FOUND", "other/base.vhdx", at: server)
            try expect(9, "NOT_A_DISK", "d/pipe.vhdx", at: server)
            try expect(9, "NOT_A_DISK", "d/child-of-pipe.avhdx", at: server)
            try expect(9, "NOT_A_DISK", "d/text.vhdx", at: server)
            try expect(9, "NOT_A_DISK", "d", at: server)
            for name in ["set.vhds", "disk.qcow2"] {
                try expect(1, "UNSUPPORTED", "d/\(name)", at: server)
            }
        }
    }

    @Test func damage() async throws {
        var damaged = disk(9)
        damaged.setParent(disk(7).dataWriteGUID, path: "base.vhdx")
        damaged.blocks[1] = VHDXBuilder.Block(state: 7, sectors: [0])
        damaged.blocks[5] = VHDXBuilder.Block(state: 5)
        try damaged.write(to: root.file("damaged.avhdx"))
        var headless = disk(9)
        headless.version = 9
        try headless.write(to: root.file("version.vhdx"))
        var orphan = disk(9)
        orphan.setParent(GUID(high: 1, low: 1), path: "gone.vhdx")
        try orphan.write(to: root.file("orphan.avhdx"))
        orphan.setParent(GUID(high: 1, low: 1), path: "base.vhdx")
        try orphan.write(to: root.file("stranger.avhdx"))
        orphan.setParent(orphan.dataWriteGUID, path: "cycle.avhdx")
        try orphan.write(to: root.file("cycle.avhdx"))
        try disk(9).write(to: root.file("torn.vhdx"))
        let torn = try RawFile(root.file("torn.vhdx"))
        for offset in [UInt64(64 << 10), 128 << 10] { try torn.write([0xFF], at: offset + 100) }
        try await RunningServer.with(root) { server in
            try expect(9, "IMAGE_CORRUPT", "d/damaged.avhdx", at: server)
            try expect(9, "IMAGE_CORRUPT", "d/torn.vhdx", at: server)
            try expect(9, "PARENT_NOT_FOUND", "d/orphan.avhdx", at: server)
            try expect(9, "PARENT_MISMATCH", "d/stranger.avhdx", at: server)
            try expect(9, "CHAIN_CYCLE", "d/cycle.avhdx", at: server)
        }
    }

    @Test func baselines() async throws {
        var twin = disk(7)
        twin.setParent(disk(8).dataWriteGUID, path: "child.avhdx")
        try twin.write(to: root.file("twin.avhdx"))
        try await RunningServer.with(root) { server in
            let unknown = GUID(high: 1, low: 1).description
            for id in ["yesterday", "", "{1234}", "bitmap:"] {
                try expect(5, "BASELINE_MALFORMED", "d/child.avhdx", since: id, at: server)
            }
            for id in [unknown, "bitmap:a", "rctX:01234567:0123:0123:0123:0123456789ab:00000001"] {
                try expect(5, "BASELINE_UNKNOWN", "d/child.avhdx", since: id, at: server)
            }
            try expect(5, "BASELINE_AMBIGUOUS", "d/twin.avhdx", at: server)
            let ask = ["--server", server.tcp, "changes", "d/child.avhdx", "--since", Self.baseID]
            for (arguments, code, reason) in [
                (["--if-epoch", "0"], Int32(5), "EPOCH_CHANGED"), (["--offset", "1"], 2, "INVALID_PARAMETER"),
                (["--offset", "9M"], 2, "OFFSET_OUT_OF_RANGE"), (["--granularity", "3K"], 2, "INVALID_PARAMETER"),
            ] {
                let outcome = try Programs.diskdelta.run(ask + arguments, in: folder)
                #expect(outcome.status == code, "\(arguments): \(outcome.output)")
                #expect(outcome.lastText("reason") == reason)
            }
        }
    }
}
