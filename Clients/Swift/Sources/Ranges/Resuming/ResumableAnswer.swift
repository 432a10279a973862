internal import DiskDeltaProtocol

/// What is known of an answer that may arrive over more than one call: a value that judges each message, and knows what is
/// missing.
protocol ResumableAnswer: Sendable {
    associatedtype Message: DiskDeltaProtocol.Message
    /// What is handed to the reader. Each is progress.
    associatedtype Element: Sendable
    /// What is asked for again where the answer breaks.
    associatedtype Rest: Sendable

    /// Takes the next message. Nil where it tells the reader nothing.
    mutating func receive(_ message: Message) throws(CallError) -> Element?

    /// Takes what the END frame said, when its status was OK.
    func finish(_ details: StatusDetails) throws(CallError)

    /// What is left to be asked for; nil where the answer cannot be resumed, because nothing of it has arrived.
    var rest: Rest? { get }

    /// The answer broke: what comes next is the answer to the question for the rest.
    mutating func beginPart()

    /// Whether everything was proved already, so that an END that is lost is not missed.
    var isProved: Bool { get }

    /// How far the answer has come: of which disk, where it is about many, and up to which byte.
    var places: [(disk: Int?, position: UInt64)] { get }

    /// An error that ends the answer, with the place where it can go on.
    func placed(_ error: CallError) -> CallError

    /// The answer has failed as a whole. Gives what the reader is told before he gets the error.
    mutating func fail(_ error: CallError) -> [Element]
}

/// The answer about one disk.
extension AnswerCheck: ResumableAnswer {
    var isProved: Bool { false }

    var places: [(disk: Int?, position: UInt64)] { [(nil, position)] }

    func placed(_ error: CallError) -> CallError {
        var error = error
        error.resumeOffset = position
        return error
    }

    func fail(_ error: CallError) -> [RangeBatch] { [] }
}
