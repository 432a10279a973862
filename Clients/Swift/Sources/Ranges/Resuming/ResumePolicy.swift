public import DiskDeltaProtocol

/// How answers about ranges are read.
public struct RangeOptions: Sendable {
    /// When an answer that broke is resumed, and for how long.
    public var resuming = ResumePolicy()

    /// How long a server may say nothing in the midst of an answer; nil means any time, as long as the connection lives.
    ///
    /// A server sends a batch at least every ten seconds while it looks for ranges, without any where it has found none
    /// (P-91): such a batch is progress like every other. One that is silent for longer than this counts as broken
    /// (UNAVAILABLE), and the answer is resumed. Time in which nothing was asked for does not count.
    public var silenceLimit: Duration?

    /// Hears of each break and each resumption. It is called on the task that reads the answer and should return at once.
    public var observer: (@Sendable (ResumeEvent) -> Void)?

    public init(
        resuming: ResumePolicy = ResumePolicy(),
        silenceLimit: Duration? = nil,
        observer: (@Sendable (ResumeEvent) -> Void)? = nil
    ) {
        self.resuming = resuming
        self.silenceLimit = silenceLimit
        self.observer = observer
    }
}

/// When an answer that broke after its header is resumed: asked for again from where it broke, if the disk is still in the
/// same epoch (P-92).
public struct ResumePolicy: Hashable, Sendable {
    /// How long to try without getting any further. It starts anew with every batch. Zero means not at all.
    public var patience: Duration

    /// How often to try without getting any further; nil means as often as the patience allows.
    public var maximumAttempts: Int?

    /// How long to wait between attempts. The first is made at once.
    public var waiting: BackoffPolicy

    public init(
        patience: Duration = .seconds(30),
        maximumAttempts: Int? = nil,
        waiting: BackoffPolicy = BackoffPolicy(
            initial: .milliseconds(100),
            multiplier: 1.6,
            maximum: .seconds(5),
            jitter: 0.2
        )
    ) {
        self.patience = patience
        self.maximumAttempts = maximumAttempts
        self.waiting = waiting
    }

    /// An answer that breaks is an error at once: ANSWER_INCOMPLETE, with the offset to resume from.
    public static let off = ResumePolicy(patience: .zero)

    var isOff: Bool { patience <= .zero || maximumAttempts.map { $0 <= 0 } == true }
}

/// What happens to an answer that breaks. Of an answer about many disks, each that has no end yet is told by itself.
public struct ResumeEvent: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The answer broke, or an attempt to resume it failed.
        case broke
        /// It goes on from ``ResumeEvent/position``.
        case resumed
        /// It is not tried any longer: the reader gets an error.
        case gaveUp
    }

    public var kind: Kind
    /// Which of many disks, by its place in the question from 0; nil for an answer about one disk.
    public var disk: Int?
    /// The first byte of the disk that is not answered for.
    public var position: UInt64
    /// How often it was tried to resume the answer, all breaks together.
    public var attempts: Int
    /// Why it broke; nil where it was resumed.
    public var error: CallError?
}
