internal import DiskImages

/// A point of a disk's history: what an id may name, and where its state lies in the chain.
struct HistoryPoint {
    /// Where the chain has the state of a point.
    enum Place: Hashable {
        /// The layer at this index, counted from the leaf, and those below it.
        case layer(Int)
        /// Something that the layer at this index has recorded of its own past, on top of the layers below it.
        case recorded(RecordedPoint, layer: Int)
        /// Lost; but all that was written since lies in the layers above this index.
        case above(Int)
        /// Lost, and nothing tells what was written since.
        case nowhere

        /// The layer that the place is in.
        var layer: Int? {
            switch self {
            case .layer(let index), .recorded(_, let index), .above(let index): index
            case .nowhere: nil
            }
        }
    }

    let kind: Baseline.Kind
    /// In the canonical form.
    let id: String
    let place: Place
    /// The file that it stands for, as it is named.
    let path: String
    /// In the form of RFC 3339; empty where nobody recorded it.
    let created: String
    /// All that names this point, the canonical id among them.
    let names: Set<BaselineID>
    /// In bytes: what the layer it lies in tells apart; nil where that is the layers above.
    let granularity: UInt64?

    /// Why changes since this point cannot be told; nil where they can.
    var problem: QueryError? {
        switch place {
        case .layer, .above: return nil
        case .nowhere:
            return QueryError(
                .baselineUnknown,
                "The chain has nothing that proves what was written since \(id): take a full backup"
            )
        case .recorded(let point, _):
            return switch point.condition {
            case .usable: nil
            case .disabled:
                QueryError(
                    .trackingDisabled,
                    "The bitmap \(point.name) of \(path) is disabled and has not seen later writes: take a full backup"
                )
            case .inconsistent:
                QueryError(
                    .baselineInconsistent,
                    "The bitmap \(point.name) of \(path) was not closed properly and may lack writes: take a full backup"
                )
            }
        }
    }
}
