internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// The objects that make up a range answer.
struct RangeObjects {
    /// The name that each object carries, where it is one of many disks; nil where only the header does.
    private let disk: String?
    /// By far the most frequent object is a range, so it is put together from ready pieces.
    private let beforeOffset: [UInt8]

    private static let beforeLength = Array(#","length":"#.utf8)
    private static let afterData = Array(#","kind":"data"}"#.utf8)
    private static let afterZero = Array(#","kind":"zero"}"#.utf8)

    init(disk: String? = nil) {
        self.disk = disk
        let start = JSONWriter.object { line in
            line.field("type", "range")
            if let disk { line.field("disk", disk) }
        }
        beforeOffset = start.dropLast() + Array(#","offset":"#.utf8)
    }

    func header(_ header: AnswerHeader) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "header")
            line.field("schema", 1)
            line.field("disk", disk ?? header.disk)
            line.field("format", header.format.word)
            line.field("size", header.size)
            line.field("since", header.since)
            line.field("target", header.target)
            line.field("epoch", header.epoch)
            line.field("granularity", header.granularity)
            line.field("basis", header.basis.word)
            HeaderNotes.write(header, to: &line)
        }
    }

    func end(_ totals: AnswerTotals, windowStart: UInt64) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "end")
            if let disk { line.field("disk", disk) }
            line.field("complete", true)
            line.field("return_value", 0)
            line.field("processed", totals.processed)
            line.field("next_offset", windowStart + totals.processed)
            line.field("ranges", totals.ranges)
            line.field("bytes", totals.bytes)
            line.field("data_bytes", totals.dataBytes)
            line.field("zero_bytes", totals.zeroBytes)
        }
    }

    func error(_ error: CallError, windowStart: UInt64) -> [UInt8] {
        ErrorLine.object(error, disk: disk, resumeOffset: windowStart)
    }

    /// Appends a range.
    func append(_ range: ChangedRange, to bytes: inout [UInt8]) {
        bytes += beforeOffset
        Self.append(range.offset, to: &bytes)
        bytes += Self.beforeLength
        Self.append(range.length, to: &bytes)
        bytes += range.kind == .data ? Self.afterData : Self.afterZero
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
