import DiskDeltaClient
import DiskDeltaProtocol
import Synchronization

/// A service about disks of which each has an answer, or a failure. What it is asked is kept.
final class ScriptedImages: ImageManagementService {
    private let disks: [String: ScriptedRanges]
    private let failures: [String: CallError]
    private let limits: ServerLimits
    /// The disks of each question about many, and the questions about one.
    let batches = Mutex<[[GetVirtualDiskChangesRequest]]>([])
    let singles = Mutex<[GetVirtualDiskChangesRequest]>([])

    init(_ disks: [ScriptedRanges], failures: [String: CallError] = [:], limits: ServerLimits = ServerLimits()) {
        self.disks = Dictionary(uniqueKeysWithValues: disks.map { ($0.header.disk, $0) })
        self.failures = failures
        self.limits = limits
    }

    /// A router of this service. A server that cannot tell its limits has no `ServerInfo`.
    func router(tellsLimits: Bool = true) -> ServiceRouter {
        var router = ServiceRouter()
        router.register(self)
        if tellsLimits { router.register(ScriptedLimits(limits: limits)) }
        return router
    }

    func getVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        singles.withLock { $0.append(request) }
        return try answer(request.path).answer
    }

    func getVirtualDiskChangesSummary(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> ChangesSummary {
        singles.withLock { $0.append(request) }
        return try summary(request.path)
    }

    func getVirtualDiskAllocationSummary(
        _ request: GetVirtualDiskAllocationRequest,
        context: CallContext
    ) async throws(CallError) -> ChangesSummary {
        var summary = try summary(request.path)
        summary.header?.basis = .allocated
        summary.header?.since = ""
        return summary
    }

    func getVirtualDiskChangesBatch(
        _ request: GetVirtualDiskChangesBatchRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<BatchRangeAnswer> {
        batches.withLock { $0.append(request.disks) }
        let parts = request.disks.map(parts)
        // A message of each disk in turn.
        let turns = (0..<(parts.map(\.count).max() ?? 0)).flatMap { turn in
            parts.enumerated().filter { turn < $0.element.count }.map { disk, parts in
                BatchRangeAnswer(disk: UInt32(disk), part: parts[turn])
            }
        }
        return ScriptedAnswer(turns)
    }

    /// What is told of one of many disks, of the rest of it where that is asked for.
    private func parts(_ question: GetVirtualDiskChangesRequest) -> [BatchRangeAnswer.Part] {
        do throws(CallError) {
            let whole = try answer(question.path)
            var disk = ScriptedRanges(disk: question.path, whole.ranges, from: question.byteOffset)
            if whole.header.basis != .changes {
                disk.fallBack(to: whole.header.basis, whole.header.basisReason, whole.header.basisMessage)
            }
            let details = StatusDetails(success: disk.totals, resumeOffset: disk.header.size)
            return disk.messages.map { .answer($0) } + [.end(BatchDiskEnd(status: .ok, details: details))]
        } catch {
            let details = StatusDetails(error)
            return [.end(BatchDiskEnd(status: error.status, message: error.message, details: details))]
        }
    }

    private func answer(_ disk: String) throws(CallError) -> ScriptedRanges {
        if let failure = failures[disk] { throw failure }
        guard let answer = disks[disk] else { throw CallError(.fileNotFound, "\(disk): There is no such file.") }
        return answer
    }

    private func summary(_ disk: String) throws(CallError) -> ChangesSummary {
        let answer = try answer(disk)
        return ChangesSummary(
            header: answer.header,
            ranges: answer.totals.ranges,
            bytes: answer.totals.bytes,
            dataBytes: answer.totals.bytes,
            largest: answer.ranges.map(\.length).max() ?? 0
        )
    }
}

/// A service that tells limits.
private struct ScriptedLimits: ServerInfoService {
    let limits: ServerLimits

    func getServerInfo(
        _ request: GetServerInfoRequest,
        context: CallContext
    ) async throws(CallError) -> GetServerInfoResponse {
        GetServerInfoResponse(version: "1", limits: limits)
    }
}
