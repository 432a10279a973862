import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DiskDeltaService

/// A search for ranges on a medium so slow that every stripe of the disk takes seconds of a clock that the test moves.
@Suite("Batches that say that the search goes on (P-91)")
struct HeartbeatTests {
    /// A clock that goes on by `step` whenever somebody looks, which is once for each stripe.
    private final class Clock: Sendable {
        private let seconds = Mutex(0)

        /// In nanoseconds.
        func look(_ step: Int) -> Int64 {
            seconds.withLock { seconds in
                seconds += step
                return Int64(seconds) * 1_000_000_000
            }
        }

        var now: Int { seconds.withLock { $0 } }
    }

    private let folder: TemporaryFolder
    private let clock = Clock()

    init() throws {
        folder = try TemporaryFolder()
    }

    private func invoker(secondsPerStripe: Int) throws -> InProcessInvoker {
        var router = ServiceRouter()
        let heartbeat = Heartbeat { [clock] in clock.look(secondsPerStripe) }
        router.register(
            DiskService(files: try RootedFiles([Root(name: "vms", directory: folder.path)]), heartbeat: heartbeat)
        )
        return InProcessInvoker(router)
    }

    private func batchEnds(_ invoker: InProcessInvoker) async throws -> [(end: UInt64, ranges: Int, waited: Int)] {
        let call = try await ImageManagementClient(invoker).getVirtualDiskAllocation(
            GetVirtualDiskAllocationRequest(path: "vms/0.avhdx")
        )
        var ends: [(end: UInt64, ranges: Int, waited: Int)] = []
        var last = clock.now
        while let message = try await call.next() {
            switch message.part {
            case .runs(let runs): ends.append((runs.processedEnd, runs.length.count, clock.now - last))
            case .bitmap(let bitmap): ends.append((bitmap.processedEnd, -1, clock.now - last))
            default: break
            }
            last = clock.now
        }
        return ends
    }

    @Test("Where nothing is found, batches without ranges come every few seconds")
    func emptyBatches() async throws {
        // A page of the block table covers 8 GiB, and is one stripe.
        var builder = VHDXBuilder(virtualSize: 256 << 30, blockSize: 1 << 20)
        builder.blocks[200_000] = VHDXBuilder.Block(state: 6)
        try builder.write(to: folder.file("0.avhdx"))
        let ends = try await batchEnds(try invoker(secondsPerStripe: 2))
        #expect(ends.count > 8, "\(ends)")
        for index in ends.indices.dropFirst() { #expect(ends[index].end > ends[index - 1].end) }
        #expect(ends.allSatisfy { $0.waited <= 10 }, "\(ends)")
        #expect(ends.map(\.ranges).reduce(0, +) == 1)
        #expect(ends.last?.end == 256 << 30)
        // With all the time of the world one batch says the same.
        #expect(try await batchEnds(try invoker(secondsPerStripe: 0)).count < ends.count)
    }

    @Test("A range that goes on longer than that is in one batch, whole")
    func aLongRange() async throws {
        let blocks = 20_000
        var builder = VHDXBuilder(virtualSize: UInt64(blocks) << 20, blockSize: 1 << 20)
        for index in 1..<(blocks - 1) { builder.blocks[index] = VHDXBuilder.Block(state: 6) }
        try builder.write(to: folder.file("0.avhdx"))
        let client = DiskDeltaClient(try invoker(secondsPerStripe: 60))
        let stream = try await client.allocation(GetVirtualDiskAllocationRequest(path: "vms/0.avhdx"))
        var ranges: [ChangedRange] = []
        for try await batch in stream { ranges += batch.ranges }
        #expect(ranges == [ChangedRange(offset: 1 << 20, length: UInt64(blocks - 2) << 20, kind: .data)])
    }

    @Test("However slow, the ranges are those of the model", arguments: (1...12).map { UInt64($0) &* 0xB529_7A4D })
    func sameRanges(seed: UInt64) async throws {
        print("slow chains: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let model = try SectorModel(depth: 3, in: folder, using: &generator)
        let whole: Range<UInt64> = 0..<SectorModel.virtualSize
        for seconds in [0, 1, 3, 60] {
            let client = DiskDeltaClient(try invoker(secondsPerStripe: seconds))
            for since in 1...2 {
                let stream = try await client.changes(
                    GetVirtualDiskChangesRequest(path: "vms/0.avhdx", limitID: model.id(since))
                )
                var ranges: [ChangedRange] = []
                for try await batch in stream { ranges += batch.ranges }
                #expect(ranges == model.changes(since: since, target: 0, window: whole), "\(seconds) s")
            }
        }
    }
}
