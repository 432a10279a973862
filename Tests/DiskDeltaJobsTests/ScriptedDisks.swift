import ChangeQuery
import DiskDeltaProtocol
import DiskDeltaService
import DiskImages
import Synchronization
import TestSupport

@testable import DiskDeltaJobs

/// A disk as a list of ranges, and what goes wrong with it.
struct ScriptedDisk: Sendable {
    static let unit: UInt64 = 512

    var size: UInt64
    var ranges: [BatchRanges.Range]
    var epoch = "epoch"
    /// How many ranges a batch has at most.
    var rangesInBatch = 3
    /// What is refused before the header.
    var refusal: CallError?
    /// What an answer ends with when it has come to this byte.
    var failure: (at: UInt64, error: CallError)?
    var sector: UInt32 = 512
    var granularity: UInt64 = 512
    /// Whether the totals of an answer are wrong.
    var hasWrongTotals = false

    /// A disk of random ranges; some touch, with the other kind, and the last may reach the end.
    static func random(using generator: inout RepeatableGenerator, ranges count: Int = 60) -> ScriptedDisk {
        var ranges: [BatchRanges.Range] = []
        var position: UInt64 = 0
        for _ in 0..<count {
            let touches = generator.chance(20) && !ranges.isEmpty
            let gap = touches ? 0 : unit * .random(in: 1...9, using: &generator)
            let length = unit * .random(in: 1...(generator.chance(10) ? 5_000 : 12), using: &generator)
            let other: RangeKind = ranges.last?.kind == .data ? .zero : .data
            let kind: RangeKind = touches ? other : generator.chance(30) ? .zero : .data
            ranges.append(BatchRanges.Range(start: position + gap, end: position + gap + length, kind: kind))
            position += gap + length
        }
        let rest: UInt64 = generator.chance(50) ? 0 : .random(in: 1...40, using: &generator)
        return ScriptedDisk(size: position + unit * rest, ranges: ranges)
    }

    /// The ranges in a window, and nothing of any engine.
    func ranges(in window: Range<UInt64>) -> [BatchRanges.Range] {
        ranges.compactMap { range in
            let start = max(range.start, window.lowerBound)
            let end = min(range.end, window.upperBound)
            return start < end ? BatchRanges.Range(start: start, end: end, kind: range.kind) : nil
        }
    }
}

/// Answers about scripted disks, one batch for each permission where they are held.
final class ScriptedDisks: ImageManagementService {
    private struct State {
        var disks: [String: ScriptedDisk] = [:]
        var requests: [GetVirtualDiskChangesRequest] = []
        var identities: [String] = []
        var gates: [String: Gate] = [:]
    }

    private let state = Mutex(State())

    subscript(name: String) -> ScriptedDisk? {
        get { state.withLock { $0.disks[name] } }
        set { state.withLock { $0.disks[name] = newValue } }
    }

    /// All questions that were asked.
    var requests: [GetVirtualDiskChangesRequest] { state.withLock { $0.requests } }
    var identities: [String] { state.withLock { $0.identities } }

    /// From now on each batch about this disk needs a permission.
    func hold(_ name: String) -> Gate {
        let gate = Gate()
        state.withLock { $0.gates[name] = gate }
        return gate
    }

    func getVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        let (disk, gate) = state.withLock { state in
            state.requests.append(request)
            state.identities.append(context.identity)
            return (state.disks[request.path], state.gates[request.path])
        }
        guard let disk else { throw CallError(.fileNotFound, "There is no \(request.path)") }
        if let refusal = disk.refusal { throw refusal }
        guard request.ifEpoch.isEmpty || request.ifEpoch == disk.epoch else {
            throw CallError(.epochChanged, "The disk has changed")
        }
        return try ScriptedAnswer(disk, request, gate)
    }

    func getVirtualHardDiskSettingData(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> VirtualHardDiskSettingData {
        VirtualHardDiskSettingData(logicalSectorSize: self[request.path]?.sector ?? 0)
    }
}

/// Lets batches through one by one. Who waits is let go when his task is cancelled.
final class Gate: Sendable {
    private let permissions: AsyncStream<Void>
    private let source: AsyncStream<Void>.Continuation

    init() {
        (permissions, source) = AsyncStream.makeStream(of: Void.self)
    }

    func allow(_ count: Int = 1) {
        for _ in 0..<count { source.yield() }
    }

    /// All that come from now on are let through.
    func open() { source.finish() }

    func pass() async throws(CallError) {
        var iterator = permissions.makeAsyncIterator()
        _ = await iterator.next()
        guard !Task.isCancelled else { throw CallError(.cancelled, "The call was cancelled") }
    }
}

private final class ScriptedAnswer: ResponseStream {
    private let disk: ScriptedDisk
    private let gate: Gate?
    private let header: AnswerHeader
    private var ranges: ArraySlice<BatchRanges.Range>
    private var packer: RangePacker
    private var isHeaderGiven = false
    private var isFinished = false
    private var isEmptyBatchDue = true

    init(_ disk: ScriptedDisk, _ request: GetVirtualDiskChangesRequest, _ gate: Gate?) throws(CallError) {
        let end = min(request.byteLength.map { request.byteOffset + $0 } ?? disk.size, disk.size)
        self.disk = disk
        self.gate = gate
        header = AnswerHeader(
            disk: request.path,
            format: .vhdx,
            size: disk.size,
            since: "since",
            target: request.targetSnapshotID,
            epoch: disk.epoch,
            granularity: disk.granularity,
            basis: .changes,
            unit: ScriptedDisk.unit,
            windowOffset: request.byteOffset,
            windowLength: end - request.byteOffset
        )
        ranges = disk.ranges(in: request.byteOffset..<end)[...]
        do throws(QueryError) {
            packer = try RangePacker(
                from: request.byteOffset,
                to: end,
                unit: ScriptedDisk.unit,
                maximumMessage: 256 * 1024
            )
        } catch {
            throw CallError(error)
        }
    }

    private var windowEnd: UInt64 { header.windowOffset + header.windowLength }

    func next() async throws(CallError) -> RangeAnswer? {
        guard isHeaderGiven else {
            isHeaderGiven = true
            return RangeAnswer(part: .header(header))
        }
        guard !isFinished, header.windowLength > 0 else { return nil }
        try await gate?.pass()
        while true {
            let before = packer.processedEnd
            let batch = try batch()
            // One that comes no further, because its range goes on, is no batch to give.
            if batch.processedEnd > before { return RangeAnswer(batch) }
        }
    }

    private func batch() throws(CallError) -> RangeBatch {
        do throws(QueryError) {
            try packer.prepare()
        } catch {
            throw CallError(error)
        }
        // Now and then one that only tells progress.
        isEmptyBatchDue.toggle()
        if isEmptyBatchDue, let next = ranges.first { return packer.take(upTo: next.start) }
        let taken = ranges.prefix(disk.rangesInBatch)
        for range in taken {
            if let failure = disk.failure, range.end > failure.at { throw failure.error }
            packer.add(from: range.start, to: range.end, kind: range.kind)
        }
        ranges = ranges.dropFirst(disk.rangesInBatch)
        guard !ranges.isEmpty, let last = taken.last else {
            isFinished = true
            return packer.takeLast()
        }
        // One sector further, so that the last range is told too, unless the next touches it.
        let settled = min(last.end + ScriptedDisk.unit, ranges.first?.start ?? last.end)
        return packer.take(upTo: settled)
    }

    var totals: AnswerTotals? {
        let totals = packer.totals
        return AnswerTotals(
            processed: header.windowLength,
            ranges: totals.ranges,
            bytes: totals.bytes,
            dataBytes: totals.dataBytes,
            zeroBytes: totals.zeroBytes,
            offsetSum: disk.hasWrongTotals ? totals.offsetSum + 512 : totals.offsetSum
        )
    }
}
