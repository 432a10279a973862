internal import ChangeQuery
internal import DiskDeltaProtocol

/// The totals of a planned question, found as the ranges would be, and without them.
enum RangeSummary {
    /// Other calls get their turn between two batches.
    ///
    /// - Throws: what the answer with the ranges would have thrown; CANCELLED.
    static func run(_ plan: Plan, disk name: String) async throws(CallError) -> ChangesSummary {
        let cursor = RangeCursor(plan)
        while true {
            guard !Task.isCancelled else { throw CallError(.cancelled, "The call was cancelled") }
            do throws(QueryError) {
                guard try cursor.next() != nil else { break }
            } catch {
                throw CallError(error, resumeOffset: cursor.processedEnd)
            }
            await Task.yield()
        }
        let totals = cursor.totals
        return ChangesSummary(
            header: AnswerHeader(plan, disk: name),
            ranges: totals.ranges,
            bytes: totals.bytes,
            dataBytes: totals.dataBytes,
            zeroBytes: totals.zeroBytes,
            largest: totals.largest
        )
    }
}
