internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// Prints the answers about many disks, and counts what became of each.
final class BatchReport {
    private let format: OutputFormat
    private let output: StandardOutput
    private let questions: [BatchFile.Question]
    private let windowStart: UInt64
    /// Of the disks that have begun and not ended.
    private var printers: [Int: any RangePrinter] = [:]
    private var hasBegun = false

    /// The disks that have an end, complete or not.
    private var ended: Set<Int> = []
    private var failed = 0
    private var exitCodes: Set<Int32> = []
    private var firstFailure: CallError?

    /// - Parameter windowStart: where all the windows were asked to start.
    init(_ questions: [BatchFile.Question], as format: OutputFormat, to output: StandardOutput, windowStart: UInt64) {
        self.questions = questions
        self.format = format
        self.output = output
        self.windowStart = windowStart
        if format == .json { output.write(#"{"answers":["#) }
    }

    /// Those that have no end yet.
    var open: [Int] { questions.indices.filter { !ended.contains($0) } }

    /// The printer of the answer about a disk.
    func printer(of disk: Int) -> any RangePrinter {
        if let printer = printers[disk] { return printer }
        let printer = makePrinter(of: questions[disk].disk)
        printers[disk] = printer
        hasBegun = true
        return printer
    }

    private func makePrinter(of disk: String) -> any RangePrinter {
        switch format {
        case .ndjson:
            return RangeLines(to: output, windowStart: windowStart, disk: disk)
        case .json:
            let name = String(decoding: JSONWriter.object { $0.field("disk", disk) }.dropLast(), as: UTF8.self)
            let start = (hasBegun ? "," : "") + name + ","
            return RangeDocument(to: output, windowStart: windowStart, start: start, end: "}")
        case .table:
            if hasBegun { output.write("\n") }
            return RangeTable(to: output, disk: disk)
        }
    }

    func begin(_ disk: Int, _ header: AnswerHeader) {
        printer(of: disk).print(header: header)
        HeaderNotes.tell(header)
    }

    func complete(_ disk: Int, _ totals: AnswerTotals) {
        printer(of: disk).print(end: totals)
        printers[disk] = nil
        ended.insert(disk)
    }

    func fail(_ disk: Int, _ error: CallError) {
        printer(of: disk).print(failure: error)
        printers[disk] = nil
        ended.insert(disk)
        failed += 1
        exitCodes.insert(error.exitCode)
        firstFailure = firstFailure ?? error
    }

    /// Ends the output.
    ///
    /// - Throws: ToldFailure where a disk has no complete answer. Its exit code is that of all failures, where they have the same.
    func finish() throws {
        if format == .json { output.write("]}\n") }
        output.flush()
        guard let firstFailure else { return }
        let code = exitCodes.count == 1 ? exitCodes.first : nil
        throw ToldFailure(
            "\(failed) of \(questions.count) \(questions.count == 1 ? "disk has" : "disks have") no complete answer,"
                + " the first because of \(firstFailure.reason.name): \(firstFailure.message)",
            exitCode: code ?? ExitStatus.failure
        )
    }
}
