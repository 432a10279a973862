import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

/// The service and the client together, in one process: what the client hands out is what was written.
@Suite("Range answers, from the file to the client")
struct RangeAnswerTests {
    private let folder: TemporaryFolder
    private let client: DiskDeltaClient

    init() throws {
        folder = try TemporaryFolder()
        var router = ServiceRouter()
        router.register(DiskService(files: try RootedFiles([Root(name: "vms", directory: folder.path)])))
        client = DiskDeltaClient(InProcessInvoker(router))
    }

    private func ranges(_ stream: RangeStream) async throws -> [ChangedRange] {
        var ranges: [ChangedRange] = []
        for try await batch in stream { ranges += batch.ranges }
        #expect(await stream.totals?.ranges == UInt64(ranges.count))
        return ranges
    }

    @Test("A random chain answers as its model says", arguments: (1...24).map { UInt64($0) &* 0xD1B5_4A33 })
    func answersAsTheModel(seed: UInt64) async throws {
        print("chains: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let depth = Int.random(in: 1...4, using: &generator)
        let model = try SectorModel(depth: depth, in: folder, using: &generator)
        for _ in 0..<6 {
            let first = UInt64.random(in: 0...UInt64(SectorModel.sectorCount), using: &generator) * 512
            let end = UInt64.random(in: first / 512...UInt64(SectorModel.sectorCount), using: &generator) * 512
            let target = Int.random(in: 0..<depth, using: &generator)
            let since = Int.random(in: target..<depth, using: &generator)
            let changes = try await client.changes(
                GetVirtualDiskChangesRequest(
                    path: "vms/0.avhdx",
                    limitID: model.id(since),
                    targetSnapshotID: target == 0 && generator.chance(50) ? "" : model.id(target),
                    byteOffset: first,
                    byteLength: end - first
                )
            )
            #expect(try await ranges(changes) == model.changes(since: since, target: target, window: first..<end))
            let allocation = try await client.allocation(
                GetVirtualDiskAllocationRequest(path: "vms/0.avhdx", byteOffset: first, byteLength: end - first)
            )
            #expect(try await ranges(allocation) == model.allocation(window: first..<end))
        }
    }

    private func twoLayers() throws -> SectorModel {
        var generator = RepeatableGenerator(seed: 11)
        return try SectorModel(depth: 2, in: folder, using: &generator)
    }

    @Test func theHeader() async throws {
        let model = try twoLayers()
        let request = GetVirtualDiskChangesRequest(
            path: "vms/0.avhdx",
            limitID: model.id(1).uppercased(),
            targetSnapshotID: model.id(0),
            byteOffset: 4096,
            byteLength: 1 << 20,
            granularity: 65536
        )
        let header = try await client.changes(request).header
        let other = try await client.images.getVirtualHardDiskSettingData(VirtualHardDiskRequest(path: "vms/0.avhdx"))
        #expect(
            header
                == AnswerHeader(
                    disk: "vms/0.avhdx",
                    format: .vhdx,
                    size: SectorModel.virtualSize,
                    since: model.id(1),
                    target: model.id(0),
                    epoch: other.epoch,
                    granularity: 65536,
                    basis: .changes,
                    unit: 4096,
                    windowOffset: 4096,
                    windowLength: 1 << 20
                )
        )
        let allocation = try await client.allocation(GetVirtualDiskAllocationRequest(path: "vms/0.avhdx")).header
        #expect(allocation.basis == .allocated)
        #expect(allocation.since == "" && allocation.target == "" && allocation.epoch == other.epoch)
    }

    @Test func whatTheDiskIs() async throws {
        let model = try twoLayers()
        let what = try await client.images.getVirtualHardDiskSettingData(VirtualHardDiskRequest(path: "vms/0.avhdx"))
        #expect(what.type == .differencing && what.format == .vhdx)
        #expect(what.path == "vms/0.avhdx" && what.parentPath == "vms/1.avhdx")
        #expect(what.maxInternalSize == SectorModel.virtualSize && what.blockSize == UInt64(SectorModel.blockSize))
        #expect(what.logicalSectorSize == 512 && what.physicalSectorSize == 4096)
        #expect(what.virtualDiskID == model.builders[0].virtualDiskID.description)
        #expect(what.identifier == model.id(0))
        #expect(what.chain.map(\.path) == ["vms/0.avhdx", "vms/1.avhdx"])
        #expect(what.chain.map(\.identifier) == [model.id(0), model.id(1)])
        let points = try await client.images.listBaselines(VirtualHardDiskRequest(path: "vms/0.avhdx"))
        #expect(points.epoch == what.epoch)
        #expect(
            points.baselines == [
                Baseline(
                    id: model.id(1),
                    kind: .layer,
                    path: "vms/1.avhdx",
                    created: "",
                    granularity: 512,
                    usable: true,
                    reason: ""
                )
            ]
        )
        #expect(points.tracking == ChangeTrackingState())
        let base = try await client.images.getVirtualHardDiskSettingData(VirtualHardDiskRequest(path: "vms/1.avhdx"))
        #expect(base.type == .dynamic && base.parentPath == "")
    }

    @Test("What is refused before the header, and where it was to start")
    func refusals() async throws {
        let model = try twoLayers()
        func refusal(
            _ path: String = "vms/0.avhdx",
            since: String? = nil,
            offset: UInt64 = 0,
            granularity: UInt64 = 0,
            ifEpoch: String = ""
        ) async -> String? {
            let request = GetVirtualDiskChangesRequest(
                path: path,
                limitID: since ?? model.id(1),
                byteOffset: offset,
                granularity: granularity,
                ifEpoch: ifEpoch
            )
            let error = await #expect(throws: CallError.self) { try await client.changes(request) }
            #expect(error?.resumeOffset == offset)
            return error?.reason.name
        }
        #expect(await refusal("vms/nothing.vhdx") == "FILE_NOT_FOUND")
        #expect(await refusal("vms/../x", offset: 512) == "PATH_NOT_ALLOWED")
        #expect(await refusal(since: "yesterday", offset: 512) == "BASELINE_MALFORMED")
        #expect(await refusal(since: "bitmap:x", offset: 512) == "BASELINE_UNKNOWN")
        #expect(await refusal(offset: 1) == "INVALID_PARAMETER")
        #expect(await refusal(offset: SectorModel.virtualSize + 512) == "OFFSET_OUT_OF_RANGE")
        #expect(await refusal(granularity: 3) == "INVALID_PARAMETER")
        #expect(await refusal(ifEpoch: "0") == "EPOCH_CHANGED")
    }

    @Test func aFileThatChangesEndsTheAnswerWhereItHadCome() async throws {
        let model = try twoLayers()
        let stream = try await client.changes(of: "vms/0.avhdx", since: model.id(1))
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 5)],
            ofItemAtPath: folder.file("1.avhdx")
        )
        let error = await #expect(throws: CallError.self) { for try await _ in stream {} }
        #expect(error?.reason == .epochChanged)
        #expect(error?.status == .aborted)
        #expect(error?.resumeOffset == 0)
        #expect(await stream.totals == nil)
    }

    @Test func damageThatTheWindowMeetsEndsTheAnswer() async throws {
        var base = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        base.blocks[1] = VHDXBuilder.Block(state: 6)
        base.blocks[5] = VHDXBuilder.Block(state: 6, offset: 1 << 40)
        try base.write(to: folder.file("damaged.vhdx"))
        let before = try await client.allocation(
            GetVirtualDiskAllocationRequest(path: "vms/damaged.vhdx", byteLength: 5 << 20)
        )
        #expect(try await ranges(before) == [ChangedRange(offset: 1 << 20, length: 1 << 20, kind: .data)])
        let whole = try await client.allocation(GetVirtualDiskAllocationRequest(path: "vms/damaged.vhdx"))
        let error = await #expect(throws: CallError.self) { for try await _ in whole {} }
        #expect(error?.reason == .imageCorrupt)
        #expect(error?.message.contains("vms/damaged.vhdx") == true)
        #expect(await whole.totals == nil)
    }
}
