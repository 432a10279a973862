public import DiskImages

/// A question made concrete: which layers to consult, in which window, in which unit to answer.
///
/// Every refusal that does not need the content of a layer is born here, before the first range.
public struct Plan {
    public enum Basis: Hashable, Sendable {
        case changes, allocated
    }

    public let basis: Basis
    /// The canonical id of the baseline; empty for an allocation.
    public let since: String
    /// The canonical id of the target; empty where none was asked for.
    public let target: String
    /// The format of the target.
    public let format: ImageDescription.Format
    /// The size of the target in bytes.
    public let size: UInt64
    public let window: Window
    /// The smallest piece, in bytes, that the answer tells apart.
    public let granularity: UInt64
    /// What the answer counts in: a power of two that divides the start of the window and every boundary of a range, the
    /// disk's very end aside.
    public let unit: UInt64
    public let epoch: Epoch

    /// In bytes.
    let sector: UInt64
    /// The layers whose content is the answer, topmost first: those above the baseline, or all of them.
    let layers: [any DiskImage]
    /// The baseline and what is below it, topmost first; empty for an allocation.
    let baseline: [any DiskImage]

    /// Plans the answer to `question` about a disk.
    ///
    /// - Parameter all: the layers of the disk, the leaf first, the base last.
    public init(_ question: Question, about all: [any DiskImage]) throws(QueryError) {
        guard let leaf = all.first else { throw QueryError(.invalidParameter, "A disk has at least one layer") }
        var top = leaf
        switch question.subject {
        case .allocation:
            basis = .allocated
            since = ""
            target = ""
            layers = all
            baseline = []
        case .changes(let sinceText, let targetText):
            basis = .changes
            // An empty TargetSnapshotId is what real callers send for "now".
            let targetText = targetText ?? ""
            let bottom = try Self.position(of: sinceText, in: all)
            let first = targetText.isEmpty ? 0 : try Self.position(of: targetText, in: all)
            guard bottom >= first else {
                throw QueryError(.invalidParameter, "The target \(targetText) is older than the baseline \(sinceText)")
            }
            top = all[first]
            since = Self.id(of: all[bottom])
            target = targetText.isEmpty ? "" : Self.id(of: top)
            layers = Array(all[first..<bottom])
            baseline = Array(all[bottom...])
        }
        let what = top.description
        format = what.format
        size = what.virtualSize
        sector = UInt64(what.logicalSectorSize)
        window = try Window(offset: question.offset, length: question.length, size: size, sector: sector)
        granularity = try Self.granularity(question.granularity, sector: sector)
        epoch = Epoch(of: layers + baseline)
        if let expected = question.ifEpoch, !expected.isEmpty, expected != epoch.description {
            throw QueryError(
                .epochChanged,
                "The disk is in epoch \(epoch), not in \(expected): start again from the beginning"
            )
        }
        let boundaries = granularity | window.start | (window.end == size ? 0 : window.end)
        unit = boundaries & (~boundaries &+ 1)
    }

    /// The canonical id of a layer: its identity, or nothing where its format has none.
    static func id(of layer: any DiskImage) -> String {
        layer.description.identifier?.description ?? ""
    }

    private static func position(of text: String, in layers: [any DiskImage]) throws(QueryError) -> Int {
        guard case .guid(let guid) = try BaselineID(text) else {
            throw QueryError(
                .baselineUnknown,
                "This disk has nothing that \(text) could name: its baselines are layers"
            )
        }
        var found: Int?
        for (index, layer) in layers.enumerated() where layer.description.identifier == guid {
            guard found == nil else {
                throw QueryError(.baselineAmbiguous, "More than one layer of this disk has the identity \(guid)")
            }
            found = index
        }
        guard let found else {
            throw QueryError(.baselineUnknown, "No layer of this disk has the identity \(guid): take a full backup")
        }
        return found
    }

    private static func granularity(_ asked: UInt64?, sector: UInt64) throws(QueryError) -> UInt64 {
        guard let asked else { return sector }
        guard asked >= sector, asked.nonzeroBitCount == 1 else {
            throw QueryError(
                .invalidParameter,
                "The granularity \(asked) is not a power-of-two multiple of the \(sector)-byte sector"
            )
        }
        return asked
    }
}
