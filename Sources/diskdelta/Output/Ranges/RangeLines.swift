internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// A range answer as a JSON object on each line.
final class RangeLines: RangePrinter {
    private let output: StandardOutput
    private let objects: RangeObjects
    private var windowStart: UInt64

    /// - Parameters:
    ///   - windowStart: where the window was asked to start.
    ///   - disk: the name that each line carries, where it is one of many; nil where only the header does.
    init(to output: StandardOutput, windowStart: UInt64, disk: String? = nil) {
        self.output = output
        self.windowStart = windowStart
        objects = RangeObjects(disk: disk)
    }

    func print(header: AnswerHeader) {
        windowStart = header.windowOffset
        write(objects.header(header))
        // A reader may want to know at once what it is about to get.
        output.flush()
    }

    func print(batch: RangeBatch) {
        output.write { bytes in
            batch.forEach { range in
                objects.append(range, to: &bytes)
                bytes.append(UInt8(ascii: "\n"))
            }
        }
    }

    func print(end totals: AnswerTotals) {
        write(objects.end(totals, windowStart: windowStart))
    }

    func print(failure: CallError) {
        write(objects.error(failure, windowStart: windowStart))
    }

    private func write(_ object: [UInt8]) {
        output.write { bytes in
            bytes.append(contentsOf: object)
            bytes.append(UInt8(ascii: "\n"))
        }
    }
}
