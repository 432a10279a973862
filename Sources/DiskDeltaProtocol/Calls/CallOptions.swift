/// What a caller may say about one call.
public struct CallOptions: Hashable, Sendable {
    /// The time the call may take, counted from its start; nil means no limit.
    public var timeout: Duration?

    /// What travels beside the request. Keys that start with `diskdelta-`, and `authorization`, belong to the protocol
    /// (P-27).
    public var metadata: Metadata

    /// Whether the call waits while there is no connection. By default it fails at once where the last attempt to connect
    /// failed and the next is not due yet. It waits until its time is up, see `timeout` and `readyTimeout`.
    public var waitForReady: Bool

    /// How long a call with `waitForReady` waits for a connection; nil means until its time is up.
    public var readyTimeout: Duration?

    public init(
        timeout: Duration? = nil,
        metadata: Metadata = Metadata(),
        waitForReady: Bool = false,
        readyTimeout: Duration? = nil
    ) {
        self.timeout = timeout
        self.metadata = metadata
        self.waitForReady = waitForReady
        self.readyTimeout = readyTimeout
    }
}

extension CallOptions {
    /// The key under which the protocol says how often a call was tried before, or an answer resumed (P-27).
    public static let previousAttemptsKey = "diskdelta-previous-attempts"

    /// How often the call was tried, or the answer resumed, before; 0 where nothing says so.
    public var previousAttempts: Int {
        get { metadata[Self.previousAttemptsKey].flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0 }
        set {
            var rest = Metadata()
            // What was there fits again without an entry of the same key; the new one is left out where it does not fit.
            for entry in metadata.entries where entry.key != Self.previousAttemptsKey {
                _ = rest.append(entry.key, entry.value)
            }
            if newValue > 0 { _ = rest.append(Self.previousAttemptsKey, Array("\(newValue)".utf8)) }
            metadata = rest
        }
    }
}
