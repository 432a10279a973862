import DiskDeltaProtocol
import TestSupport

@testable import DiskDeltaClient

/// The answer about many disks as a list of messages and what END says: answers about one disk, interleaved.
struct ManyAnswer {
    var messages: [BatchRangeAnswer]
    var details = StatusDetails()
    /// What each disk's messages say.
    let answers: [Answer]

    /// The answers in an order that `pick` chooses: the position, among those disks that have messages left, of the one whose turn
    /// it is.
    init(_ answers: [Answer], pick: (_ open: Int) -> Int) {
        self.answers = answers
        messages = []
        var left = answers.enumerated().map { disk, answer in
            Self.messages(of: disk, answer.messages) + [Self.end(of: disk, .ok, answer.details)]
        }
        while case let open = left.indices.filter({ !left[$0].isEmpty }), !open.isEmpty {
            messages.append(left[open[pick(open.count)]].removeFirst())
        }
    }

    static func messages(of disk: Int, _ answers: [RangeAnswer]) -> [BatchRangeAnswer] {
        answers.map { BatchRangeAnswer(disk: UInt32(disk), part: .answer($0)) }
    }

    static func end(
        of disk: Int,
        _ status: Status,
        _ details: StatusDetails?,
        message: String = ""
    ) -> BatchRangeAnswer {
        BatchRangeAnswer(
            disk: UInt32(disk),
            part: .end(BatchDiskEnd(status: status, message: message, details: details))
        )
    }

    /// One to five disks with random answers, at random turns.
    static func random(using generator: inout RepeatableGenerator) -> ManyAnswer {
        let answers = (0..<Int.random(in: 1...5, using: &generator)).map { _ in Answer.random(using: &generator) }
        return ManyAnswer(answers) { Int.random(in: 0..<$0, using: &generator) }
    }

    /// What the check makes of it: what was told of each disk, and the error that ended it.
    func checked() -> (disks: [DiskRecord], error: CallError?) {
        var check = ManyAnswersCheck(answers.map(\.expectation))
        var disks = [DiskRecord](repeating: DiskRecord(), count: answers.count)
        do throws(CallError) {
            for message in messages {
                if let message = try check.receive(message) { disks[message.disk].add(message) }
            }
            try check.finish(details)
            return (disks, nil)
        } catch {
            return (disks, error)
        }
    }
}

/// What was told of one of many disks, as its reader keeps it.
struct DiskRecord: Equatable {
    var header: AnswerHeader?
    var ranges: [ChangedRange] = []
    var end: Result<AnswerTotals, CallError>?
    /// Whether everything came in its order: a header, batches, an end.
    var isOrdered = true

    mutating func add(_ message: DiskMessage) {
        isOrdered = isOrdered && end == nil
        switch message.content {
        case .header(let header):
            isOrdered = isOrdered && self.header == nil && ranges.isEmpty
            self.header = header
        case .batch(let batch):
            isOrdered = isOrdered && header != nil
            ranges += batch.ranges
        case .end(let end): self.end = end
        }
    }

    var isComplete: Bool {
        if case .success? = end { true } else { false }
    }

    var failure: CallError? {
        if case .failure(let error)? = end { error } else { nil }
    }
}
