public import DiskImages

/// A question made concrete: what to walk over, in which window, in which unit to answer.
///
/// Every refusal that does not need the content of a layer is born here, before the first range.
public struct Plan {
    public enum Basis: Hashable, Sendable {
        case changes, allocated
        /// All of the disk, because its changes can't be told.
        case whole
    }

    public let basis: Basis
    /// The canonical id of the baseline; empty for an allocation.
    public let since: String
    /// The canonical id of the target; empty where none was asked for.
    public let target: String
    /// The format of the target, or of the catalogue that names it.
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
    /// Whether nothing proved that the files are at rest, because the question says that they are.
    public var assumesRest: Bool { evidence.assumesRest }
    /// Why the changes can't be told, where they were asked for and the basis is another; nil else.
    public let unavailability: QueryError?

    /// In bytes.
    let sector: UInt64
    /// What is walked over, from the present to the past, and told apart from the baseline.
    let span: HistorySpan
    /// What the answer rests on.
    let evidence: Evidence

    /// Plans the answer to `question` about a disk.
    ///
    /// A plan is one to answer by only if ``wait(by:)`` says so.
    ///
    /// - Throws: `baselineMalformed`, `baselineUnknown`, `baselineAmbiguous`, `trackingDisabled`, `baselineInconsistent`,
    ///   `invalidParameter`, `offsetOutOfRange`, `epochChanged`; what reading recorded points throws; and `inUse` where somebody
    ///   has a file of the target, or below it, open for writing.
    public init(_ question: Question, about chain: DiskChain) throws(QueryError) {
        let subject: Subject
        do throws(QueryError) {
            subject = try Subject.of(question, about: chain)
        } catch {
            // What a file that is being written to seems to have is neither an answer nor a reason.
            if error.code.imageCode != nil { try Self.evidence(of: chain, from: 0, question).check() }
            throw error
        }
        basis = subject.basis
        since = subject.since
        target = subject.target
        span = subject.span
        unavailability = subject.unavailability
        format = chain.catalogue != nil ? .vhdset : span.format
        size = span.size
        if let expected = question.ifSize, expected != size {
            throw QueryError(
                .epochChanged,
                "The disk has \(size) bytes, not \(expected): if it was made smaller or larger, take a full backup"
            )
        }
        sector = span.sector
        window = try Window(offset: question.offset, length: question.length, size: size, sector: sector)
        granularity = max(try Self.granularity(question.granularity, sector: sector), span.granularity)
        evidence = Self.evidence(of: chain, from: span.firstLayer, question)
        try evidence.check()
        epoch = evidence.epoch
        if let expected = question.ifEpoch, !expected.isEmpty, expected != epoch.description {
            throw QueryError(
                .epochChanged,
                "The disk is in epoch \(epoch), not in \(expected): start again from the beginning"
            )
        }
        // An empty window has no units, and may start at the end of a disk that ends anywhere.
        let boundaries =
            granularity | (window.length == 0 ? 0 : window.start | (window.end == size ? 0 : window.end))
        unit = boundaries & (~boundaries &+ 1)
    }

    /// How long to wait before the disk may be opened anew and asked once more, where nothing but its rest until then shows that
    /// its files are at rest; nil where they are, or the question assumes it.
    public func wait(by looks: FileLooks) -> Duration? { evidence.wait(by: looks) }

    private static func evidence(of chain: DiskChain, from layer: Int, _ question: Question) -> Evidence {
        Evidence(
            layers: Array(chain.layers[layer...]),
            catalogue: chain.catalogue,
            assumesRest: question.assumesRest
        )
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
