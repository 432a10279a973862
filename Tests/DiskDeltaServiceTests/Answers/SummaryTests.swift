import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import TestSupport
import Testing

@testable import DiskDeltaService

/// A summary says of an answer what its ranges add up to.
@Suite("Summaries")
struct SummaryTests {
    private let folder: TemporaryFolder
    private let client: DiskDeltaClient

    init() throws {
        folder = try TemporaryFolder()
        var router = ServiceRouter()
        router.register(DiskService(files: try RootedFiles([Root(name: "vms", directory: folder.path)])))
        client = DiskDeltaClient(InProcessInvoker(router))
    }

    private func expect(_ summary: ChangesSummary, _ stream: RangeStream, _ what: String) async throws {
        var ranges: [ChangedRange] = []
        for try await batch in stream { ranges += batch.ranges }
        func bytes(_ kind: RangeKind) -> UInt64 { ranges.reduce(0) { $0 + ($1.kind == kind ? $1.length : 0) } }
        #expect(
            summary
                == ChangesSummary(
                    header: stream.header,
                    ranges: UInt64(ranges.count),
                    bytes: bytes(.data) + bytes(.zero),
                    dataBytes: bytes(.data),
                    zeroBytes: bytes(.zero),
                    largest: ranges.map(\.length).max() ?? 0
                ),
            "\(what)"
        )
    }

    @Test("Of changes and of what is allocated, at any granularity", arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func asTheRanges(seed: UInt64) async throws {
        print("summaries: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let model = try SectorModel(depth: 3, in: folder, using: &generator)
        for _ in 0..<6 {
            let first = UInt64.random(in: 0...UInt64(SectorModel.sectorCount), using: &generator) * 512
            let granularity = UInt64(512) << UInt64.random(in: 0...8, using: &generator)
            let changes = GetVirtualDiskChangesRequest(
                path: "vms/0.avhdx",
                limitID: model.id(Int.random(in: 0..<3, using: &generator)),
                byteOffset: first,
                granularity: granularity
            )
            let summary = try await client.images.getVirtualDiskChangesSummary(changes)
            try await expect(summary, try await client.changes(changes), "seed \(seed), \(changes)")
            let allocation = GetVirtualDiskAllocationRequest(
                path: "vms/0.avhdx",
                byteOffset: first,
                granularity: granularity
            )
            let allocated = try await client.images.getVirtualDiskAllocationSummary(allocation)
            try await expect(allocated, try await client.allocation(allocation), "seed \(seed), \(allocation)")
        }
    }

    @Test func aFallbackSaysSo() async throws {
        var generator = RepeatableGenerator(seed: 3)
        _ = try SectorModel(depth: 2, in: folder, using: &generator)
        for (onUnavailable, basis) in [(OnUnavailable.allocated, AnswerBasis.allocated), (.whole, .whole)] {
            let request = GetVirtualDiskChangesRequest(
                path: "vms/0.avhdx",
                limitID: "bitmap:gone",
                onUnavailable: onUnavailable
            )
            let summary = try await client.images.getVirtualDiskChangesSummary(request)
            #expect(summary.header?.basis == basis)
            #expect(summary.header?.basisReason == .baselineUnknown)
            #expect(summary.header?.basisMessage.contains("bitmap:gone") == true)
            #expect(summary.bytes == (basis == .whole ? SectorModel.virtualSize : summary.dataBytes))
            try await expect(summary, try await client.changes(request), "\(basis)")
        }
    }

    @Test func whatIsRefused() async throws {
        var generator = RepeatableGenerator(seed: 3)
        let model = try SectorModel(depth: 2, in: folder, using: &generator)
        func refusal(_ request: GetVirtualDiskChangesRequest) async -> Reason? {
            await #expect(throws: CallError.self) { try await client.images.getVirtualDiskChangesSummary(request) }?
                .reason
        }
        #expect(await refusal(GetVirtualDiskChangesRequest(path: "vms/0.avhdx")) == .baselineMalformed)
        #expect(await refusal(GetVirtualDiskChangesRequest(path: "vms/x", limitID: model.id(1))) == .fileNotFound)
        var unknown = GetVirtualDiskChangesRequest(path: "vms/0.avhdx", limitID: model.id(1))
        unknown.onUnavailable = OnUnavailable(rawValue: 9)
        #expect(await refusal(unknown) == .invalidParameter)
    }
}
