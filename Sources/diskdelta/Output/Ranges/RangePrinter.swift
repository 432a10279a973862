internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// Prints a range answer as it arrives.
protocol RangePrinter: AnyObject {
    func print(header: AnswerHeader)
    func print(batch: RangeBatch)
    /// The answer is complete, and every total was proved.
    func print(end totals: AnswerTotals)
    /// The answer, or what was to come before it, failed.
    func print(failure: CallError)
}

extension OutputFormat {
    /// A printer of range answers in this form.
    ///
    /// - Parameter windowStart: where the window was asked to start.
    func rangePrinter(to output: StandardOutput, windowStart: UInt64) -> any RangePrinter {
        switch self {
        case .ndjson: RangeLines(to: output, windowStart: windowStart)
        case .json: RangeDocument(to: output, windowStart: windowStart, end: "}\n")
        case .table: RangeTable(to: output)
        }
    }
}
