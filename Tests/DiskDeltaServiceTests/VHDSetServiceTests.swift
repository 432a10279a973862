import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

@Suite("VHD Sets, as tooling asks about them")
struct VHDSetServiceTests {
    private static let first = "{aaaaaaaa-1111-4111-8111-111111111111}"
    private static let second = "{bbbbbbbb-2222-4222-8222-222222222222}"
    private let folder: TemporaryFolder
    private let images: ImageManagementClient

    init() throws {
        folder = try TemporaryFolder()
        var router = ServiceRouter()
        router.register(DiskService(files: try RootedFiles([Root(name: "vms", directory: folder.path)])))
        images = ImageManagementClient(InProcessInvoker(router))
        for index in 0..<3 {
            var disk = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
            disk.dataWriteGUID = GUID(high: 4, low: UInt64(index + 1))
            if index > 0 { disk.setParent(GUID(high: 4, low: UInt64(index)), path: "\(index - 1).vhdx") }
            try disk.write(to: folder.file("\(index).vhdx"))
        }
        try write(
            """
            [{"Path": "C:\\\\sets\\\\web.vhds", "LeafPath": "2.vhdx", "AllPaths": ["2.vhdx", "1.vhdx", "0.vhdx"]},
             {"SnapshotId": "\(Self.first)", "SnapshotPath": "0.vhdx", "ParentPathsList": [],
               "CreationTime": "2024-01-01T00:00:00Z", "ResilientChangeTrackingId": "rctX:1:2"},
             {"SnapshotId": "\(Self.second)", "SnapshotPath": "D:\\\\set\\\\1.vhdx",
               "ParentPathsList": ["D:\\\\set\\\\0.vhdx"], "CreationTime": "2024-01-02T00:00:00Z"}]
            """
        )
    }

    private func write(_ catalogue: String) throws {
        try Data(catalogue.utf8).write(to: URL(fileURLWithPath: folder.file("web.vhdset.json")))
    }

    private let path = "vms/web.vhdset.json"

    @Test func theSet() async throws {
        let set = try await images.getVHDSetInformation(VirtualHardDiskRequest(path: path))
        #expect(set.path == path)
        #expect(set.snapshotIDs == [Self.second, Self.first])
        #expect(set.allPaths == ["vms/2.vhdx", "vms/1.vhdx", "vms/0.vhdx"])
    }

    @Test func itsSnapshots() async throws {
        let all = try await images.getVHDSnapshotInformation(VHDSnapshotRequest(path: path)).snapshots
        #expect(all.map(\.snapshotID) == [Self.second, Self.first])
        #expect(all.allSatisfy { $0.filePath == path })
        #expect(all.map(\.snapshotPath) == ["vms/1.vhdx", "vms/0.vhdx"])
        #expect(all.map(\.parentPaths) == [["vms/0.vhdx"], []])
        #expect(all.map(\.creationTime) == ["2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z"])
        #expect(all.map(\.resilientChangeTrackingID) == ["", "rctX:1:2"])
        let some = try await images.getVHDSnapshotInformation(
            VHDSnapshotRequest(path: path, snapshotIDs: [Self.first.uppercased()])
        )
        #expect(some.snapshots == [all[1]])
    }

    @Test func aSnapshotWhoseFileIsGone() async throws {
        #expect(unlink(folder.file("2.vhdx")) == 0)
        #expect(rename(folder.file("1.vhdx"), folder.file("3.vhdx")) == 0)
        try write(
            """
            [{"LeafPath": "0.vhdx", "AllPaths": ["0.vhdx", "gone.vhdx"], "SnapshotIdList": ["\(Self.second)"]},
             {"SnapshotId": "\(Self.first)", "SnapshotPath": "gone.vhdx", "ParentPathsList": ["older.vhdx"]}]
            """
        )
        let all = try await images.getVHDSnapshotInformation(VHDSnapshotRequest(path: path)).snapshots
        #expect(Set(all.map(\.snapshotPath)) == [""])
        #expect(all.first { $0.snapshotID == Self.first }?.parentPaths == ["older.vhdx"])
        let set = try await images.getVHDSetInformation(VirtualHardDiskRequest(path: path))
        #expect(set.allPaths == ["vms/0.vhdx"])
    }

    @Test func whatIsRefused() async throws {
        func refusal(_ path: String, _ ids: [String]) async -> Reason? {
            await #expect(throws: CallError.self) {
                try await images.getVHDSnapshotInformation(VHDSnapshotRequest(path: path, snapshotIDs: ids))
            }?.reason
        }
        #expect(await refusal(path, ["yesterday"]) == .baselineMalformed)
        #expect(await refusal(path, [GUID(high: 1, low: 2).description]) == .baselineUnknown)
        #expect(await refusal("vms/0.vhdx", []) == .invalidParameter)
        #expect(await refusal("vms/none.vhdset.json", []) == .fileNotFound)
        try Data(count: 4_096).write(to: URL(fileURLWithPath: folder.file("web.vhds")))
        #expect(await refusal("vms/web.vhds", []) == .unsupported)
    }
}
