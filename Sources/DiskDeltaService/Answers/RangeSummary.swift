internal import ChangeQuery
internal import DiskDeltaProtocol

/// The totals of a planned question, found as the ranges would be, and without them.
enum RangeSummary {
    /// The search is interrupted for others as that for ranges is.
    ///
    /// - Throws: what the answer with the ranges would have thrown; CANCELLED.
    static func run(_ plan: Plan, disk name: String, _ heartbeat: Heartbeat) async throws(CallError) -> ChangesSummary {
        let cursor = RangeCursor(plan)
        search: while true {
            guard !Task.isCancelled else { throw CallError(.cancelled, "The call was cancelled") }
            let turnEnd = heartbeat.nextTurnEnd
            do throws(QueryError) {
                switch try cursor.pull({ heartbeat.wish(due: .max, turnEnd: turnEnd) }) {
                case .batch: continue
                case .pause: break
                case .end: break search
                }
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
