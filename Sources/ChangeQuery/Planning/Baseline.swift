public import DiskImages

/// A point of a disk's history since which changes can be asked.
public struct Baseline: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case layer, snapshot, bitmap, backing
    }

    /// In the form in which a question takes it.
    public let id: String
    public let kind: Kind
    /// The file it stands for, as it is named.
    public let path: String
    /// When it was made, in the form of RFC 3339; empty where nobody recorded it.
    public let created: String
    /// In bytes: what an answer can tell apart.
    public let granularity: UInt64
    /// Why a question that names it would be refused; nil where it can be used.
    public let problem: QueryError?

    /// The baselines of a disk: the nearest first, the leaf never.
    public static func all(of chain: DiskChain) -> [Baseline] {
        let history = History(of: chain)
        return history.points.compactMap { point in
            guard point.place != .layer(0) else { return nil }
            return Baseline(
                id: point.id,
                kind: point.kind,
                path: point.path,
                created: point.created,
                granularity: granularity(since: point, in: chain),
                problem: problem(with: point, in: history)
            )
        }
    }

    /// The smallest piece that an answer from `point` to now tells apart.
    private static func granularity(since point: HistoryPoint, in chain: DiskChain) -> UInt64 {
        let above = chain.layers.prefix(point.place.layer ?? chain.layers.count).map(\.granularity)
        return ([point.granularity].compactMap { $0 } + above).min() ?? 0
    }

    private static func problem(with point: HistoryPoint, in history: History) -> QueryError? {
        do throws(QueryError) {
            _ = try history.point(named: point.id)
            return point.problem
        } catch {
            return error
        }
    }
}
