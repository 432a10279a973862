/// The errors that the layers between a service and its caller make, and the form in which an error travels.
extension CallError {
    /// A method, or its whole service, that this server does not answer. gRPC: UNIMPLEMENTED.
    public init(unimplemented method: MethodDescriptor) {
        self.init(unimplemented: method.path)
    }

    /// A path that names no method of this server. gRPC: UNIMPLEMENTED.
    public init(unimplemented path: String) {
        self.init(.unsupported, "this server does not answer \(path)")
    }

    /// A request that the server could not read.
    ///
    /// gRPC gives INTERNAL to a message that does not parse and RESOURCE_EXHAUSTED to one beyond a limit, and never
    /// INVALID_ARGUMENT, which is left to services for values they judge: no value was refused here, one of the two programs
    /// has a defect.
    public init(undecodableRequest error: MessageError, of method: MethodDescriptor) {
        let reason: Reason = error.code == .tooLarge ? .resourceLimit : .internal
        self.init(reason, "the request of \(method.path) could not be read: \(error)")
    }

    /// A request that the client could not write: a value of it cannot travel.
    public init(unencodableRequest error: MessageError) {
        self.init(.invalidParameter, "the request could not be written: \(error)")
    }

    /// A message of an answer that the server could not write.
    public init(unencodableAnswer error: MessageError) {
        self.init(.internal, "the answer could not be written: \(error)")
    }

    /// A message of an answer that the client could not read.
    public init(undecodableAnswer error: MessageError) {
        let reason: Reason = error.code == .tooLarge ? .resourceLimit : .answerInvalid
        self.init(reason, "the answer could not be read: \(error)")
    }

    /// The error that an END frame told.
    ///
    /// A peer that is not ours may leave out the details; the reason then follows from the status. A resume offset of 0 is
    /// told as nil: both mean that nothing was answered.
    public init(status: Status, text: String, details: StatusDetails) {
        let reason = details.reason == .none ? Reason(status: status) : details.reason
        self.init(
            status: status == .ok ? reason.status : status,
            reason: reason,
            message: text.isEmpty ? reason.summary : text,
            detailCode: details.detailCode,
            resumeOffset: details.resumeOffset == 0 ? nil : details.resumeOffset
        )
        retryDelay = details.retryDelay
    }
}

/// The end of a call that the server itself ends because it leaves or gives the client up (P-86, P-89).
extension CallError {
    /// - Parameter resumeOffset: The position that the messages sent so far reached; nil where none was sent, or the call
    ///   is not about ranges. A range answer of which something was sent is incomplete; any other was not given.
    public init(endedByServer why: String, resumeOffset: UInt64?) {
        let reason: Reason = resumeOffset == nil ? .serverUnavailable : .answerIncomplete
        self.init(reason, why, resumeOffset: resumeOffset)
    }
}

extension Reason {
    /// The reason where only a status is known.
    public init(status: Status) {
        self =
            switch status {
            case .cancelled: .cancelled
            case .invalidArgument: .invalidParameter
            case .deadlineExceeded: .deadline
            case .notFound: .fileNotFound
            case .alreadyExists: .alreadyExists
            case .permissionDenied: .accessDenied
            case .resourceExhausted: .resourceLimit
            case .outOfRange: .offsetOutOfRange
            case .unimplemented: .unsupported
            case .unavailable: .serverUnavailable
            case .dataLoss: .imageCorrupt
            case .unauthenticated: .unauthenticated
            default: .internal
            }
    }
}

extension StatusDetails {
    /// What goes with status OK.
    ///
    /// - Parameters:
    ///   - totals: The sum of a range answer.
    ///   - resumeOffset: The end of the window of a range answer.
    public init(success totals: AnswerTotals?, resumeOffset: UInt64? = nil) {
        self.init(reason: .none, resumeOffset: resumeOffset ?? 0, totals: totals)
    }

    /// What goes with the status and the message of an error.
    public init(_ error: CallError) {
        self.init(
            reason: error.reason,
            returnValue: error.reason.returnValue,
            detailCode: error.detailCode,
            resumeOffset: error.resumeOffset ?? 0,
            retryDelay: error.retryDelay
        )
    }
}
