internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// A range answer for a person: what was asked, the ranges, a map of the window, and the totals.
final class RangeTable: RangePrinter {
    private let output: StandardOutput
    /// The disk, where it is one of many.
    private let disk: String?
    private var map: ChangeMap?

    /// - Parameter disk: its name, where it is one of many, each of whose failures the table tells itself.
    init(to output: StandardOutput, disk: String? = nil) {
        self.output = output
        self.disk = disk
    }

    func print(header: AnswerHeader) {
        map = ChangeMap(start: header.windowOffset, length: header.windowLength)
        var lines = [
            "disk         \(header.disk)",
            "size         \(header.size.asSize)",
        ]
        if !header.since.isEmpty { lines.append("since        \(header.since)") }
        if !header.target.isEmpty { lines.append("target       \(header.target)") }
        if header.isFallback {
            let why = "\(header.basisReason.name): \(header.basisMessage)"
            lines.append("basis        \(header.basis.word), because: \(why)")
        }
        lines += HeaderNotes.lines(header)
        lines.append("granularity  \(header.granularity.asSize)")
        lines.append("")
        lines.append("              offset               length  kind")
        output.write(lines.joined(separator: "\n") + "\n")
        output.flush()
    }

    func print(batch: RangeBatch) {
        output.write { bytes in
            batch.forEach { range in
                map?.add(range)
                bytes.append(contentsOf: "\(range.offset)".leftPadded(to: 20).utf8)
                bytes.append(contentsOf: "\(range.length)".leftPadded(to: 21).utf8)
                bytes.append(contentsOf: "  \(range.kind.rawValue)\n".utf8)
            }
        }
    }

    func print(end totals: AnswerTotals) {
        var lines = [""]
        if let map, totals.ranges > 0 { lines += map.lines() + [""] }
        lines.append(
            "complete: \(totals.ranges) \(totals.ranges == 1 ? "range" : "ranges"), \(totals.bytes.asSize)"
                + " (\(totals.dataBytes.asSize) data, \(totals.zeroBytes.asSize) zero)"
                + " of \(totals.processed.asSize) asked about"
        )
        output.write(lines.joined(separator: "\n") + "\n")
    }

    func print(failure: CallError) {
        // A table that was begun must not look finished. Why it is not, standard error tells; unless it is one of many.
        if map != nil {
            output.write("\nINCOMPLETE: the answer broke off here\n")
        } else if let disk {
            output.write("disk         \(disk)\n")
        }
        if disk != nil { output.write("FAILED: \(failure.reason.name): \(failure.message)\n") }
    }
}

extension String {
    func leftPadded(to width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }
}

extension UInt64 {
    /// A size as a person says it: exact where it is a whole number of units, else with one decimal.
    var asSize: String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var unit = 0
        var scale: UInt64 = 1
        while unit + 1 < units.count, self / scale >= 1024 {
            scale *= 1024
            unit += 1
        }
        if self % scale == 0 { return "\(self / scale) \(units[unit])" }
        let tenths = (self / (scale / 1024) * 10) / 1024
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
