/// Why a call did not succeed, as every layer of DiskDelta tells it: the service that refuses, the connection that breaks
/// and the client that finds an answer wanting.
public struct CallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// gRPC's status. It follows from the reason, except where only the transport can tell.
    public var status: Status

    /// What a program can act on. The Hyper-V return value, the detail code and the exit code follow from it.
    public var reason: Reason

    /// One sentence that a person can act on. It names the file and the offset where there is one.
    public var message: String

    /// The Win32 error code that carries the detail; 0 where there is none.
    public var detailCode: UInt32

    /// The first byte of the disk that was not answered for; nil where the call is not about ranges.
    public var resumeOffset: UInt64?

    /// Where the server refused the call because there are too many: the time in milliseconds after which it is worth making it
    /// again (P-99); 0 where it did not say.
    public var retryDelay: UInt32 = 0

    /// Whether the server provably did not begin the call, so that it can be made again without harm, whatever its method
    /// (P-93): it was never sent, the server left before it took it up, or the server refused to (RESOURCE_LIMIT). False where
    /// that is not known. Nobody but the carrier of a call says so; it does not travel.
    public var isUnbegun = false

    /// An error whose status and detail code are those of its reason.
    public init(_ reason: Reason, _ message: String, resumeOffset: UInt64? = nil) {
        self.init(
            status: reason.status,
            reason: reason,
            message: message,
            detailCode: reason.detailCode,
            resumeOffset: resumeOffset
        )
    }

    public init(status: Status, reason: Reason, message: String, detailCode: UInt32, resumeOffset: UInt64?) {
        self.status = status
        self.reason = reason
        self.message = message
        self.detailCode = detailCode
        self.resumeOffset = resumeOffset
    }

    /// The same error, of a call that the server provably did not begin.
    public var unbegun: CallError {
        var error = self
        error.isUnbegun = true
        return error
    }

    public var description: String {
        "\(reason.name): \(message)"
    }
}
