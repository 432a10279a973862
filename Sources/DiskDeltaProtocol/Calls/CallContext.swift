internal import Synchronization

/// What a service knows about the call it answers.
public struct CallContext: Sendable {
    /// Who asks, where somebody found that out; empty where nobody had to prove it.
    public var identity: String

    /// What the carrier knows of the caller.
    public var caller: Caller

    /// What the caller sent beside the request.
    public var metadata: Metadata

    /// When the caller's time is up; nil where it set no limit.
    public var deadline: ContinuousClock.Instant?

    /// The longest message in bytes that the caller takes: a stream makes none that is longer.
    public var maximumMessage: Int

    /// Where the service notes what the call is about.
    public private(set) var notes: CallNotes

    public init(
        identity: String = "",
        caller: Caller = .inProcess,
        metadata: Metadata = Metadata(),
        deadline: ContinuousClock.Instant? = nil,
        maximumMessage: Int = 256 * 1024
    ) {
        self.identity = identity
        self.caller = caller
        self.metadata = metadata
        self.deadline = deadline
        self.maximumMessage = maximumMessage
        notes = CallNotes()
    }

    /// The same for a part of the call, whose notes are its own.
    public var forPart: CallContext {
        var part = self
        part.notes = CallNotes()
        return part
    }
}

/// What a service notes about a call for whoever keeps records of calls.
public final class CallNotes: Sendable {
    private struct State {
        var disk = ""
        var namesEpoch = false
    }

    private let state = Mutex(State())

    public init() {}

    /// The disk that the call is about, as the caller named it; empty where it is about none. What it contains is the
    /// caller's choice.
    public var disk: String {
        get { state.withLock { $0.disk } }
        set { state.withLock { $0.disk = newValue } }
    }

    /// Whether the caller wants an answer about one state of the disk only (`if_epoch`).
    public var namesEpoch: Bool {
        get { state.withLock { $0.namesEpoch } }
        set { state.withLock { $0.namesEpoch = newValue } }
    }
}
