internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// A range answer as one JSON object: valid also when the answer fails in the middle.
final class RangeDocument: RangePrinter {
    private let output: StandardOutput
    private let objects = RangeObjects()
    private let start: String
    private let end: String
    private var windowStart: UInt64
    private var hasHeader = false
    private var hasRange = false

    /// - Parameters:
    ///   - windowStart: where the window was asked to start.
    ///   - start: what the object begins with, before its own fields.
    ///   - end: what it ends with.
    init(to output: StandardOutput, windowStart: UInt64, start: String = "{", end: String) {
        self.output = output
        self.windowStart = windowStart
        self.start = start
        self.end = end
    }

    func print(header: AnswerHeader) {
        hasHeader = true
        windowStart = header.windowOffset
        open(objects.header(header))
    }

    func print(batch: RangeBatch) {
        output.write { bytes in
            batch.forEach { range in
                if hasRange { bytes.append(UInt8(ascii: ",")) }
                hasRange = true
                objects.append(range, to: &bytes)
            }
        }
    }

    func print(end totals: AnswerTotals) {
        close("end", objects.end(totals, windowStart: windowStart))
    }

    func print(failure: CallError) {
        if !hasHeader { open(Array("null".utf8)) }
        close("error", objects.error(failure, windowStart: windowStart))
    }

    private func open(_ header: [UInt8]) {
        output.write { bytes in
            bytes.append(contentsOf: (start + #""header":"#).utf8)
            bytes.append(contentsOf: header)
            bytes.append(contentsOf: #","ranges":["#.utf8)
        }
    }

    private func close(_ name: String, _ object: [UInt8]) {
        output.write { bytes in
            bytes.append(contentsOf: "],\"\(name)\":".utf8)
            bytes.append(contentsOf: object)
            bytes.append(contentsOf: end.utf8)
        }
    }
}
