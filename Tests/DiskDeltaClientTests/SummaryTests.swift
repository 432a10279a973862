import DiskDeltaProtocol
import Synchronization
import Testing

@testable import DiskDeltaClient

/// The sums of an answer without its ranges: only what can be true is believed.
@Suite("Summaries")
struct SummaryTests {
    private static let header = AnswerHeader(
        disk: "d",
        format: .vhdx,
        size: 65_536,
        since: "{a}",
        epoch: "e",
        granularity: 512,
        basis: .changes,
        unit: 512,
        windowOffset: 4_096,
        windowLength: 32_768
    )
    private let good = ChangesSummary(
        header: header,
        ranges: 3,
        bytes: 6_144,
        dataBytes: 4_096,
        zeroBytes: 2_048,
        largest: 4_096
    )

    /// Asks how much changed, and how much holds data, of a server that says the same of both.
    private func ask(_ summary: ChangesSummary) async throws(CallError) -> ChangesSummary {
        var allocated = summary
        allocated.header?.basis = .allocated
        allocated.header?.since = ""
        let invoker = ScriptedInvoker([summary], .success(StatusDetails()))
        let other = ScriptedInvoker([allocated], .success(StatusDetails()))
        let changes = try await DiskDeltaClient(invoker).changesSummary(
            GetVirtualDiskChangesRequest(path: "d", limitID: "L", byteOffset: 4_096, byteLength: 32_768)
        )
        let allocation = try await DiskDeltaClient(other).allocationSummary(
            GetVirtualDiskAllocationRequest(path: "d", byteOffset: 4_096, byteLength: 32_768)
        )
        #expect(
            invoker.paths.withLock { $0 } == ["diskdelta.v1.ImageManagement/GetVirtualDiskChangesSummary"]
                && other.paths.withLock { $0 } == ["diskdelta.v1.ImageManagement/GetVirtualDiskAllocationSummary"]
        )
        #expect(allocation == allocated)
        return changes
    }

    @Test func whatCanBeTrue() async throws {
        #expect(try await ask(good) == good)
        let empty = ChangesSummary(header: Self.header)
        #expect(try await ask(empty) == empty)
        let one = ChangesSummary(header: Self.header, ranges: 1, bytes: 512, zeroBytes: 512, largest: 512)
        #expect(try await ask(one) == one)
    }

    @Test func whatCannot() async {
        let changes: [(inout ChangesSummary) -> Void] = [
            { $0.header = nil }, { $0.ranges = 0 }, { $0.bytes += 1 }, { $0.dataBytes += 512 }, { $0.zeroBytes = .max },
            { $0.largest = 0 }, { $0.largest = 6_145 }, { $0.ranges = 6_145 }, { $0.ranges = 1 },
            { $0.header?.windowOffset = 0 }, { $0.header?.windowLength -= 512 }, { $0.header?.unit = 3 },
            { $0.header?.size = 8_192 }, { $0.header?.disk = "e" }, { $0.header?.epoch = "" },
            { $0.header?.basis = .allocated }, { $0.header?.format = .unknown }, { $0.header?.granularity = 768 },
            { $0.header?.assumedAtRest = true },
            { summary in
                summary.bytes = 32_768 + 512
                summary.dataBytes = 32_768 + 512 - 2_048
            },
            { $0 = ChangesSummary(header: Self.header, ranges: 1) },
        ]
        for (index, change) in changes.enumerated() {
            var summary = good
            change(&summary)
            let error = await #expect(throws: CallError.self, "\(index)") { try await ask(summary) }
            #expect(error?.reason == .answerInvalid, "\(index)")
        }
    }
}
