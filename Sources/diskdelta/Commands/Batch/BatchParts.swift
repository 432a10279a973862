internal import DiskDeltaProtocol

/// Divides many questions into calls: in each no more disks than the server takes, no longer a request than it takes, and no
/// disk twice, so that lines that name the same disk are never interleaved.
struct BatchParts: Sequence, IteratorProtocol {
    /// Where the server does not say how many it takes.
    private static let standardDisks = 64
    /// What every server takes before it says more, in bytes of a frame.
    private static let standardRequest = 65_536
    /// What stands in the frame beside the questions, at most, in bytes.
    private static let beside = 8_192 + 256
    /// What a question takes beside its texts, at most, in bytes.
    private static let besideTexts = 96
    /// How many disks that are in the part already are passed over before it counts as full.
    private static let mostPassedOver = 1_024

    private let questions: [BatchFile.Question]
    private let mostDisks: Int
    private let mostBytes: Int
    /// The questions that are in no part yet.
    private var left: ArraySlice<Int>

    init(_ questions: [BatchFile.Question], limits: ServerLimits) {
        self.questions = questions
        mostDisks = limits.maxBatchDisks == 0 ? Self.standardDisks : Int(limits.maxBatchDisks)
        let request = limits.maxRequestSize == 0 ? Self.standardRequest : Int(limits.maxRequestSize)
        mostBytes = request - Self.beside
        left = Array(questions.indices)[...]
    }

    /// The questions of the next call, by their places; nil where all have been asked.
    mutating func next() -> [Int]? {
        var part: [Int] = []
        var disks: Set<String> = []
        var bytes = 0
        var passedOver: [Int] = []
        while part.count < mostDisks, passedOver.count < Self.mostPassedOver, let index = left.popFirst() {
            let question = questions[index]
            let texts = [question.disk, question.since, question.target ?? ""]
            let size = texts.reduce(Self.besideTexts) { $0 + $1.utf8.count }
            guard part.isEmpty || bytes + size <= mostBytes else {
                passedOver.append(index)
                break
            }
            guard disks.insert(question.disk).inserted else {
                passedOver.append(index)
                continue
            }
            part.append(index)
            bytes += size
        }
        if !passedOver.isEmpty { left = (passedOver + left)[...] }
        return part.isEmpty ? nil : part
    }
}
