internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// Prints a range answer as it arrives.
protocol RangePrinter: AnyObject {
    func print(header: AnswerHeader)
    func print(batch: RangeBatch)
    /// The answer is complete, and every total was proved.
    func print(end totals: AnswerTotals, of header: AnswerHeader)
    /// The answer, or what was to come before it, failed.
    func print(failure: CallError)
}

extension OutputFormat {
    /// A printer of range answers in this form.
    func rangePrinter(to output: StandardOutput, windowStart: UInt64) -> any RangePrinter {
        switch self {
        case .ndjson: RangeLines(to: output, windowStart: windowStart)
        case .json: RangeDocument(to: output, windowStart: windowStart)
        case .table: RangeTable(to: output)
        }
    }
}

/// The objects that make up a range answer.
enum RangeObjects {
    static func header(_ header: AnswerHeader) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "header")
            line.field("schema", 1)
            line.field("disk", header.disk)
            line.field("format", header.format.word)
            line.field("size", header.size)
            line.field("since", header.since)
            line.field("target", header.target)
            line.field("epoch", header.epoch)
            line.field("granularity", header.granularity)
            line.field("basis", header.basis.name.lowercased())
        }
    }

    static func end(_ totals: AnswerTotals, of header: AnswerHeader) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "end")
            line.field("complete", true)
            line.field("return_value", 0)
            line.field("processed", totals.processed)
            line.field("next_offset", header.windowOffset + totals.processed)
            line.field("ranges", totals.ranges)
            line.field("bytes", totals.bytes)
            line.field("data_bytes", totals.dataBytes)
            line.field("zero_bytes", totals.zeroBytes)
        }
    }

    private static let beforeOffset = Array(#"{"type":"range","offset":"#.utf8)
    private static let beforeLength = Array(#","length":"#.utf8)
    private static let afterData = Array(#","kind":"data"}"#.utf8)
    private static let afterZero = Array(#","kind":"zero"}"#.utf8)

    /// Appends a range: by far the most frequent object, so it is put together from ready pieces.
    static func append(_ range: ChangedRange, to bytes: inout [UInt8]) {
        bytes += beforeOffset
        append(range.offset, to: &bytes)
        bytes += beforeLength
        append(range.length, to: &bytes)
        bytes += range.kind == .data ? afterData : afterZero
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        var count = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: count))
        var place = bytes.count
        rest = number
        while rest > 0 {
            place -= 1
            bytes[place] += UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}

/// A JSON object on each line.
final class RangeLines: RangePrinter {
    private let output: StandardOutput
    private let windowStart: UInt64

    init(to output: StandardOutput, windowStart: UInt64) {
        self.output = output
        self.windowStart = windowStart
    }

    func print(header: AnswerHeader) {
        write(RangeObjects.header(header))
        // A reader may want to know at once what it is about to get.
        output.flush()
    }

    func print(batch: RangeBatch) {
        output.write { bytes in
            batch.forEach { range in
                RangeObjects.append(range, to: &bytes)
                bytes.append(UInt8(ascii: "\n"))
            }
        }
    }

    func print(end totals: AnswerTotals, of header: AnswerHeader) {
        write(RangeObjects.end(totals, of: header))
    }

    func print(failure: CallError) {
        write(ErrorLine.object(failure, resumeOffset: windowStart))
    }

    private func write(_ object: [UInt8]) {
        output.write { bytes in
            bytes.append(contentsOf: object)
            bytes.append(UInt8(ascii: "\n"))
        }
    }
}

/// One document on one line: valid also when the answer fails in the middle.
final class RangeDocument: RangePrinter {
    private let output: StandardOutput
    private let windowStart: UInt64
    private var hasHeader = false
    private var hasRange = false

    init(to output: StandardOutput, windowStart: UInt64) {
        self.output = output
        self.windowStart = windowStart
    }

    func print(header: AnswerHeader) {
        hasHeader = true
        output.write { bytes in
            bytes.append(contentsOf: #"{"header":"#.utf8)
            bytes.append(contentsOf: RangeObjects.header(header))
            bytes.append(contentsOf: #","ranges":["#.utf8)
        }
    }

    func print(batch: RangeBatch) {
        output.write { bytes in
            batch.forEach { range in
                if hasRange { bytes.append(UInt8(ascii: ",")) }
                hasRange = true
                RangeObjects.append(range, to: &bytes)
            }
        }
    }

    func print(end totals: AnswerTotals, of header: AnswerHeader) {
        close("end", RangeObjects.end(totals, of: header))
    }

    func print(failure: CallError) {
        if !hasHeader { output.write(#"{"header":null,"ranges":["#) }
        close("error", ErrorLine.object(failure, resumeOffset: windowStart))
    }

    private func close(_ name: String, _ object: [UInt8]) {
        output.write { bytes in
            bytes.append(contentsOf: "],\"\(name)\":".utf8)
            bytes.append(contentsOf: object)
            bytes.append(contentsOf: "}\n".utf8)
        }
    }
}
