internal import DiskDeltaProtocol

/// Checks the answer about many disks as it arrives, by the rules of `Docs/Protocol.md`, section 17: each disk by a check of
/// its own.
struct ManyAnswersCheck: ResumableAnswer {
    /// A disk without an end, to be asked about again: from where it is, or from the start where it has no header yet.
    struct Remaining: Sendable {
        var disk: Int
        var part: RangeQuestion.Part?
    }

    private struct Disk: Sendable {
        var check: AnswerCheck
        var hasEnded = false
    }

    private var disks: [Disk]
    /// The disks of the call under way, in the order of its request.
    private var asked: [Int]
    private var hasBegun = false

    init(_ questions: [AnswerExpectation]) {
        disks = questions.map { Disk(check: AnswerCheck($0)) }
        asked = Array(disks.indices)
    }

    /// The first byte of a disk that is not answered for; nil where the question has no such disk.
    func position(of disk: Int) -> UInt64? {
        disks.indices.contains(disk) ? disks[disk].check.position : nil
    }

    private var open: [Int] { disks.indices.filter { !disks[$0].hasEnded } }

    // MARK: What arrives

    mutating func receive(_ message: BatchRangeAnswer) throws(CallError) -> DiskMessage? {
        guard let place = Int(exactly: message.disk), place < asked.count, let part = message.part else {
            throw invalid("P-95", "a message is about no disk of the question, or says nothing")
        }
        let disk = asked[place]
        guard !disks[disk].hasEnded else { throw invalid("P-96", "a message came after the end of disk \(place)") }
        hasBegun = true
        let content: DiskMessage.Content?
        do throws(CallError) {
            switch part {
            case .answer(let answer): content = try receive(answer, of: disk)
            case .end(let end): content = .end(try receive(end, of: disk))
            }
        } catch {
            var error = error
            error.message += " (disk \(place) of the question)"
            throw error
        }
        return content.map { DiskMessage(disk: disk, content: $0) }
    }

    /// Nil for a header that repeats what is known.
    private mutating func receive(_ answer: RangeAnswer, of disk: Int) throws(CallError) -> DiskMessage.Content? {
        let isFirst = disks[disk].check.header == nil
        if let batch = try disks[disk].check.receive(answer) { return .batch(batch) }
        return isFirst ? disks[disk].check.header.map { .header($0) } : nil
    }

    private mutating func receive(
        _ end: BatchDiskEnd,
        of disk: Int
    ) throws(CallError) -> Result<AnswerTotals, CallError> {
        guard Status.all.contains(end.status) else { throw invalid("P-97", "the status \(end.status) is none") }
        let details = end.details ?? StatusDetails()
        let check = disks[disk].check
        guard end.status == .ok else {
            disks[disk].hasEnded = true
            return .failure(check.placed(CallError(status: end.status, text: end.message, details: details)))
        }
        try check.finish(details)
        guard let totals = check.allTotals else { throw invalid("P-74", "the answer ended without a header") }
        disks[disk].hasEnded = true
        return .success(totals)
    }

    func finish(_ details: StatusDetails) throws(CallError) {
        if let disk = open.first {
            throw invalid("P-98", "the answer ended, and disk \(disk) has had no end")
        }
        guard details.totals == nil else { throw invalid("P-98", "the end of the whole has totals") }
        guard details.reason == .none, details.returnValue == 0, details.detailCode == 0 else {
            throw invalid("P-35", "the answer is said to be complete and to have failed")
        }
    }

    // MARK: Where it breaks

    var rest: [Remaining]? {
        // Before anything has arrived it is a call like any other, and not made again.
        hasBegun ? open.map { Remaining(disk: $0, part: disks[$0].check.rest) } : nil
    }

    mutating func beginPart() {
        asked = open
        for disk in asked { disks[disk].check.beginPart() }
    }

    var isProved: Bool { hasBegun && open.isEmpty }

    var places: [(disk: Int?, position: UInt64)] { open.map { ($0, disks[$0].check.position) } }

    /// Where an answer about many can go on, the end of each disk tells.
    func placed(_ error: CallError) -> CallError {
        var error = error
        error.resumeOffset = nil
        return error
    }

    /// Every disk has an end, whatever becomes of the whole.
    mutating func fail(_ error: CallError) -> [DiskMessage] {
        open.map { disk in
            disks[disk].hasEnded = true
            let check = disks[disk].check
            var error = error
            // Of a disk without a header nothing is there that could be incomplete.
            if error.reason == .answerIncomplete, check.header == nil { error.reason = .serverUnavailable }
            return DiskMessage(disk: disk, content: .end(.failure(check.placed(error))))
        }
    }

    private func invalid(_ rule: String, _ what: String) -> CallError {
        CallError(.answerInvalid, "The server's answer breaks rule \(rule): \(what)")
    }
}
