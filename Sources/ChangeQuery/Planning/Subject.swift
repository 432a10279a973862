internal import DiskImages

/// What a question is about, found in the history of a disk.
struct Subject {
    var basis: Plan.Basis
    /// The canonical id of the baseline; empty where the answer has none.
    var since = ""
    /// The canonical id of the target; empty where none was asked for.
    var target = ""
    var span: HistorySpan
    /// Why the changes can't be told, where they were asked for and the basis is another.
    var unavailability: QueryError?

    static func of(_ question: Question, about chain: DiskChain) throws(QueryError) -> Subject {
        switch question.subject {
        case .allocation:
            return Subject(basis: .allocated, span: try HistorySpan(allocationOf: chain))
        case .changes(let since, let target):
            // An empty TargetSnapshotId is what real callers send for "now".
            let target = target.flatMap { $0.isEmpty ? nil : $0 }
            let history = History(of: chain)
            do throws(QueryError) {
                return try changes(since: since, upTo: target, of: history, chain)
            } catch {
                guard error.code.isAboutBaseline else { throw error }
                return try substitute(for: error, question.onUnavailable, upTo: target, of: history, chain)
            }
        }
    }

    private static func changes(
        since: String,
        upTo target: String?,
        of history: History,
        _ chain: DiskChain
    ) throws(QueryError) -> Subject {
        let bottom = try history.point(named: since)
        let top = try point(target, of: history)
        return Subject(
            basis: .changes,
            since: bottom.id,
            target: top?.id ?? "",
            span: try HistorySpan(since: bottom, upTo: top, in: chain)
        )
    }

    /// What is answered where the changes can't be told. A target that can't be used is still a failure: the answer would be
    /// about another state than the one that was asked for.
    private static func substitute(
        for error: QueryError,
        _ onUnavailable: Question.OnUnavailable,
        upTo target: String?,
        of history: History,
        _ chain: DiskChain
    ) throws(QueryError) -> Subject {
        guard onUnavailable != .fail else { throw error }
        let top = try point(target, of: history)
        return Subject(
            basis: onUnavailable == .whole ? .whole : .allocated,
            target: top?.id ?? "",
            span: onUnavailable == .whole
                ? try HistorySpan(wholeOf: chain, at: top) : try HistorySpan(allocationOf: chain, at: top),
            unavailability: error
        )
    }

    private static func point(_ id: String?, of history: History) throws(QueryError) -> HistoryPoint? {
        guard let id else { return nil }
        return try history.point(named: id)
    }
}
