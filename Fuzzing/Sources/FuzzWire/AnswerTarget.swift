internal import DiskDeltaProtocol
internal import RangeAnswers

/// The client's check of range answers. Whatever it lets through is held against section 15 of `Docs/Protocol.md` by simpler
/// means: the ranges one by one.
struct AnswerTarget {
    private var probe: AnswerProbe
    private let asked: (offset: UInt64, length: UInt64?)
    private var last: (end: UInt64, kind: RangeKind)?
    private var totals = AnswerTotals()

    static func run(_ operations: Operations) {
        var operations = operations
        var target = AnswerTarget(&operations)
        while !operations.isAtEnd {
            do throws(CallError) {
                guard try target.step(&operations) else { return }
            } catch {
                expect(error.reason == .answerInvalid && !error.message.isEmpty, "an error of another kind: \(error)")
                return
            }
        }
    }

    private init(_ operations: inout Operations) {
        asked = (operations.number() &* 512, operations.flag() ? operations.number() &* 512 : nil)
        probe = AnswerProbe(offset: asked.offset, length: asked.length)
    }

    /// False at the end.
    private mutating func step(_ operations: inout Operations) throws(CallError) -> Bool {
        let kind = operations.byte()
        switch kind % 8 {
        case 0: try receive(header(&operations))
        case 1, 2: try receive(runs(&operations))
        case 3, 4: try receive(bitmap(&operations))
        case 5:
            try finish(&operations)
            return false
        case 6: try receive(RangeAnswer(part: nil))
        default:
            let bytes = operations.bytes(upTo: 200)
            guard let message = try? bytes.withUnsafeBytes({ try RangeAnswer(decoding: $0) }) else { return true }
            try receive(message)
        }
        return true
    }

    private mutating func receive(_ message: RangeAnswer) throws(CallError) {
        let before = probe.position
        guard let batch = try probe.receive(message) else {
            guard let header = probe.header else { fatalError("Found a header that is not there.") }
            expect(header.windowOffset == asked.offset && header.windowLength <= asked.length ?? .max, "another window")
            expect(header.windowOffset + header.windowLength <= header.size, "a window beyond the disk")
            return
        }
        guard let header = probe.header else { fatalError("Found a batch before the header.") }
        let windowEnd = header.windowOffset + header.windowLength
        expect(batch.start == before && batch.processedEnd > before, "a batch that does not go on")
        expect(batch.processedEnd <= windowEnd && probe.position == batch.processedEnd, "a batch beyond the window")
        var count = 0
        batch.forEach { range in
            expect(range.length > 0 && range.offset >= before, "an empty range, or one before its batch")
            expect(range.offset + range.length <= batch.processedEnd, "a range beyond its batch")
            expect(
                range.offset % 512 == 0 || range.offset == header.windowOffset,
                "a range that starts within a sector"
            )
            if let last {
                expect(range.offset >= last.end, "ranges that overlap")
                expect(range.offset > last.end || range.kind != last.kind, "ranges that touch")
            }
            last = (range.offset + range.length, range.kind)
            totals.ranges += 1
            totals.offsetSum &+= range.offset
            if range.kind == .zero { totals.zeroBytes += range.length } else { totals.dataBytes += range.length }
            count += 1
        }
        expect(count == batch.count, "a batch that miscounts")
    }

    private mutating func finish(_ operations: inout Operations) throws(CallError) {
        var details = StatusDetails()
        var told = totals
        told.processed = (probe.header?.windowLength ?? 0)
        told.bytes = told.dataBytes &+ told.zeroBytes
        details.resumeOffset = probe.position
        // As it should be, or with one thing that is not.
        switch operations.byte() % 12 {
        case 1: told.processed &+= 1
        case 2: told.ranges &+= 1
        case 3: told.bytes &+= 1
        case 4: told.dataBytes &+= 1
        case 5: told.zeroBytes &+= 1
        case 6: told.offsetSum &+= 1
        case 7: details.resumeOffset &+= 1
        case 8: details.returnValue = 1
        case 9: details.detailCode = 1
        case 10: details.reason = .internal
        default:
            details.totals = told
            try probe.finish(details)
            guard let header = probe.header else { fatalError("Found an end without a header.") }
            expect(probe.position == header.windowOffset + header.windowLength, "an end before the window's end")
            return
        }
        details.totals = told
        try probe.finish(details)
        fatalError("Found an end that contradicts its answer, told as complete.")
    }

    private func header(_ operations: inout Operations) -> RangeAnswer {
        var header = AnswerHeader()
        header.unit = operations.flag() ? 512 : operations.number()
        header.size = operations.number() &* (operations.flag() ? 512 : 1)
        header.windowOffset = operations.flag() ? operations.number() : asked.offset
        let rest = header.size >= header.windowOffset ? header.size - header.windowOffset : 0
        header.windowLength = operations.flag() ? operations.number() : min(asked.length ?? rest, rest)
        return RangeAnswer(part: .header(header))
    }

    private func processedEnd(_ operations: inout Operations) -> UInt64 {
        guard let header = probe.header, operations.flag() else { return operations.number() }
        let step = operations.number() &* max(header.unit, 1)
        let end = header.windowOffset &+ header.windowLength
        return operations.flag() ? end : min(end, probe.position &+ step)
    }

    private func runs(_ operations: inout Operations) -> RangeAnswer {
        let end = processedEnd(&operations)
        let count = Int(operations.number(upTo: 40))
        var gaps: [UInt64] = []
        var lengths: [UInt64] = []
        for _ in 0..<count {
            gaps.append(operations.number())
            lengths.append(operations.number())
        }
        if operations.byte() == 255 { gaps.append(0) }
        let zero = operations.flag() ? operations.bytes(upTo: 8) : []
        return RangeAnswer(
            part: .runs(RangeRuns(processedEnd: end, gap: Column(gaps), length: Column(lengths), zero: Column(zero)))
        )
    }

    private func bitmap(_ operations: inout Operations) -> RangeAnswer {
        let end = processedEnd(&operations)
        var bits = operations.bytes(upTo: 64)
        if let header = probe.header, end > probe.position, operations.flag() {
            // As many as are needed.
            let units = (end - probe.position) / max(header.unit, 1)
            if units < 4_096 {
                let count = Int((units + 7) / 8)
                bits = Array(bits.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - bits.count))
            }
        }
        return RangeAnswer(part: .bitmap(RangeBitmap(processedEnd: end, bits: Column(bits))))
    }
}
