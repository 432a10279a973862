import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

/// What a disk is, after the Msvm classes.
@Suite("Describing disks")
struct DescribingTests {
    private let folder: TemporaryFolder
    private let images: ImageManagementClient

    init() throws {
        folder = try TemporaryFolder()
        var router = ServiceRouter()
        router.register(DiskService(files: try RootedFiles([Root(name: "vms", directory: folder.path)])))
        images = ImageManagementClient(InProcessInvoker(router))
    }

    private func state(_ name: String) async throws -> VirtualHardDiskState {
        try await images.getVirtualHardDiskState(VirtualHardDiskRequest(path: "vms/\(name)"))
    }

    @Test func theStateOfAFile() async throws {
        var disk = VHDXBuilder(virtualSize: 64 << 20, blockSize: 1 << 20)
        for block in 0..<4 { disk.blocks[block] = VHDXBuilder.Block(state: 6) }
        try disk.write(to: folder.file("disk.vhdx"))
        let path = folder.file("disk.vhdx")
        var times = [timespec(tv_sec: 1_700_000_000, tv_nsec: 5), timespec(tv_sec: 1_700_000_000, tv_nsec: 5)]
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
        var status = stat()
        #expect(stat(path, &status) == 0)
        let told = try await state("disk.vhdx")
        #expect(told.fileLength == UInt64(status.st_size))
        #expect(told.fileSize == UInt64(status.st_blocks) * 512 && told.fileSize < told.fileLength)
        #expect(told.physicalSectorSize == 4_096 && told.alignment == .kib4)
        #expect(told.fragmentationPercentage == 0)
        #expect(told.timestamp == "2023-11-14T22:13:20.000000005Z")
        let setting = try await images.getVirtualHardDiskSettingData(VirtualHardDiskRequest(path: "vms/disk.vhdx"))
        #expect(told.epoch == setting.epoch && setting.dataAlignment == 1 << 20)
        #expect(setting.parentIdentifier == "" && setting.parentTimestamp == "")
    }

    @Test("Whoever holds a lock on the file is seen, and not disturbed")
    func locks() async throws {
        try VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20).write(to: folder.file("disk.vhdx"))
        #expect(try await state("disk.vhdx").inUse == false)
        let descriptor = open(folder.file("disk.vhdx"), O_RDWR | O_CLOEXEC)
        #expect(descriptor >= 0)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        #expect(try await state("disk.vhdx").inUse == true)
        #expect(flock(descriptor, LOCK_UN) == 0)
        #expect(try await state("disk.vhdx").inUse == false)
    }

    @Test("Blocks that do not follow each other in the file as they do on the disk")
    func fragmentation() async throws {
        var disk = VHDXBuilder(virtualSize: 16 << 20, blockSize: 1 << 20)
        // Of the pairs 0-1, 1-2, 2-3 and 8-9, the second and the last are broken.
        let places: [Int: UInt64] = [0: 4, 1: 5, 2: 9, 3: 10, 8: 7, 9: 6]
        for (block, place) in places { disk.blocks[block] = VHDXBuilder.Block(state: 6, offset: place << 20) }
        try disk.write(to: folder.file("disk.vhdx"))
        let file = try RawFile(folder.file("disk.vhdx"))
        try file.truncate(to: 16 << 20)
        #expect(try await state("disk.vhdx").fragmentationPercentage == 50)
        try RawFile(folder.file("disk.img"), create: true).truncate(to: 1 << 20)
        let raw = try await state("disk.img")
        #expect(raw.fragmentationPercentage == nil && raw.alignment == .bytes512)
    }

    @Test func theParentThatAChildDemands() async throws {
        let base = VHDBuilder(virtualSize: 4 << 20, blockSize: 512 << 10)
        try base.write(to: folder.file("base.vhd"))
        var child = VHDBuilder(virtualSize: 4 << 20, blockSize: 512 << 10)
        child.uniqueID = GUID(high: 4, low: 4)
        child.setParent(base.uniqueID, path: "base.vhd")
        child.parentTimestamp = 0x2719_8E1B
        try child.write(to: folder.file("child.avhd"))
        let setting = try await images.getVirtualHardDiskSettingData(VirtualHardDiskRequest(path: "vms/child.avhd"))
        #expect(setting.parentIdentifier == base.uniqueID.description)
        #expect(setting.parentTimestamp == "2020-10-14T10:23:23Z")
        #expect(setting.dataAlignment == 512)
    }

    @Test func whatAValidationFinds() async throws {
        func problems(_ name: String) async throws -> [ValidationProblem] {
            try await images.validateVirtualHardDisk(VirtualHardDiskRequest(path: "vms/\(name)")).problems
        }
        try VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20).write(to: folder.file("sound.vhdx"))
        #expect(try await problems("sound.vhdx") == [])
        var damaged = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        damaged.dataWriteGUID = GUID(high: 9, low: 9)
        damaged.blocks[5] = VHDXBuilder.Block(state: 5)
        damaged.setParent(GUID(high: 1, low: 1), path: "gone.vhdx")
        try damaged.write(to: folder.file("damaged.avhdx"))
        let found = try await problems("damaged.avhdx")
        #expect(found.map(\.reason) == ["PARENT_NOT_FOUND", "IMAGE_CORRUPT"])
        #expect(found.allSatisfy { $0.path == "vms/damaged.avhdx" && !$0.message.isEmpty })
        #expect(found.last?.offset ?? 0 > 0)
        let error = await #expect(throws: CallError.self) { try await problems("nothing.vhdx") }
        #expect(error?.reason == .fileNotFound)
    }
}
