internal import DiskDeltaProtocol

/// Checks a range answer as it arrives, by the rules of `Docs/Protocol.md`, section 15.
///
/// It is the client's half of the promise that a broken answer is never taken for a complete one: whatever arrives is either
/// proved right, or refused with ANSWER_INVALID.
///
/// An answer that was resumed (section 16) arrives in parts. Each has its own header and its own end, and all of them
/// together are checked as one.
struct AnswerCheck: Sendable {
    /// The header of the whole answer, which is that of its first part, once it has arrived.
    private(set) var header: AnswerHeader?
    /// Everything of the disk below this byte is answered for. Before the header it is where the window was asked to start.
    private(set) var position: UInt64
    /// What the ranges so far add up to.
    private(set) var totals = AnswerTotals()

    private let expectation: AnswerExpectation
    /// The header of the part that is arriving, and what its ranges so far add up to.
    private var part: AnswerHeader?
    private var partTotals = AnswerTotals()
    private var windowEnd: UInt64 = 0
    private var lastEnd: UInt64?
    private var lastKind = RangeKind.data

    init(_ expectation: AnswerExpectation) {
        self.expectation = expectation
        position = expectation.offset
    }

    /// Takes the next message: nil for the header, a batch for every other.
    mutating func receive(_ message: RangeAnswer) throws(CallError) -> RangeBatch? {
        switch message.part {
        case .header(let header):
            try receive(header)
            return nil
        case .runs(let runs): return try receive(runs)
        case .bitmap(let bitmap): return try receive(bitmap)
        case nil: throw invalid("P-60", "a message has no part that this client knows")
        }
    }

    /// What all ranges of an answer that has ended add up to.
    var allTotals: AnswerTotals? {
        guard let header else { return nil }
        var totals = totals
        totals.processed = header.windowLength
        totals.bytes = totals.dataBytes + totals.zeroBytes
        return totals
    }

    /// What is left of the window, to be asked for again (P-77); nil before the header.
    var rest: RangeQuestion.Part? {
        header.map { RangeQuestion.Part(offset: position, length: windowEnd - position, epoch: $0.epoch) }
    }

    /// The answer broke: what comes next is the header of a part that answers for the rest.
    mutating func beginPart() {
        part = nil
        partTotals = AnswerTotals()
    }

    /// Takes what the END frame said, when its status was OK.
    func finish(_ details: StatusDetails) throws(CallError) {
        guard let header = part else { throw invalid("P-74", "the answer ended without a header") }
        guard position == windowEnd else {
            throw invalid("P-74", "the answer ended at \(position), before the end of the window, \(windowEnd)")
        }
        var counted = partTotals
        counted.processed = header.windowLength
        counted.bytes = counted.dataBytes + counted.zeroBytes
        guard let told = details.totals, told == counted, details.resumeOffset == windowEnd else {
            throw invalid("P-75", "the totals of the answer are not those of its ranges")
        }
        guard details.reason == .none, details.returnValue == 0, details.detailCode == 0 else {
            throw invalid("P-35", "the answer is said to be complete and to have failed")
        }
    }

    private mutating func receive(_ header: AnswerHeader) throws(CallError) {
        guard part == nil else { throw invalid("P-60", "a second header") }
        guard header.unit >= 512, header.unit.nonzeroBitCount == 1,
            header.windowOffset % header.unit == 0 || header.windowLength == 0
        else {
            throw invalid("P-61", "the unit \(header.unit) is not a power of two that divides the start of the window")
        }
        guard header.size <= UInt64(Int64.max), header.windowOffset <= header.size,
            header.windowLength <= header.size - header.windowOffset
        else { throw invalid("P-62", "the window is not inside the disk") }
        try checkWindow(of: header)
        if let whole = self.header {
            guard whole.isRepeated(by: header) else {
                throw invalid("P-92", "the answer that was to go on is about something else")
            }
        }
        do throws(BrokenRule) {
            try expectation.check(header)
        } catch {
            throw invalid(error.rule, error.what)
        }
        if self.header == nil {
            self.header = header
            position = header.windowOffset
            windowEnd = header.windowOffset + header.windowLength
        }
        part = header
    }

    /// Holds the window of a header, which lies inside the disk, against the one that was asked for.
    private func checkWindow(of header: AnswerHeader) throws(CallError) {
        let rest = header.size - header.windowOffset
        let isFirst = self.header == nil
        let starts = isFirst && expectation.isOfJob && position == 0 || header.windowOffset == position
        let length: UInt64? =
            if !isFirst { windowEnd - position } else if expectation.isOfJob { nil } else { expectation.length ?? rest }
        guard starts, length.map({ header.windowLength == min($0, rest) }) ?? true else {
            throw invalid("P-63", "the window is not the one that was asked for")
        }
    }

    private mutating func receive(_ runs: RangeRuns) throws(CallError) -> RangeBatch {
        let header = try headerBeforeBatch(runs.processedEnd)
        let count = runs.gap.count
        guard runs.length.count == count else { throw invalid("P-69", "the columns of a batch differ in length") }
        guard runs.zero.isEmpty || runs.zero.count == (count + 7) / 8 else {
            throw invalid("P-70", "the zero bits of a batch do not fit its ranges")
        }
        try runs.gap.withSpan { (gaps) throws(CallError) in
            try runs.length.withSpan { (lengths) throws(CallError) in
                try runs.zero.withSpan { (zero) throws(CallError) in
                    try check(
                        gaps,
                        lengths,
                        zero,
                        of: header,
                        processedEnd: runs.processedEnd
                    )
                }
            }
        }
        let batch = RangeBatch(
            start: position,
            processedEnd: runs.processedEnd,
            unit: header.unit,
            size: header.size,
            gaps: runs.gap,
            lengths: runs.length,
            zero: runs.zero
        )
        position = runs.processedEnd
        return batch
    }

    /// Checks the columns of a batch, and adds their ranges to the totals.
    private mutating func check(
        _ gaps: Span<UInt64>,
        _ lengths: Span<UInt64>,
        _ zero: Span<UInt8>,
        of header: AnswerHeader,
        processedEnd: UInt64
    ) throws(CallError) {
        let unit = header.unit
        let size = header.size
        // The bits that no boundary inside the window has. None where the unit is the granularity.
        let inside = header.granularity - unit
        // Units up to the end of the batch, where its last may be cut by the end of the disk: a gap or a length beyond it
        // is refused before it is multiplied.
        let most = (processedEnd - position + (unit - 1)) / unit
        var used: UInt64 = 0
        var previous = lastEnd
        var previousKind = lastKind
        for index in gaps.indices {
            let gap = gaps[index]
            let length = lengths[index]
            guard gap <= most - used, length > 0, length <= most - used - gap else {
                throw invalid("P-65", "range \(index) of a batch is empty or beyond the end of the batch")
            }
            let offset = position + (used + gap) * unit
            used += gap + length
            var end = position + used * unit
            if end > processedEnd {
                guard end > size, processedEnd == size else {
                    throw invalid("P-65", "range \(index) of a batch goes beyond its end")
                }
                end = size
            }
            guard (offset | end) & inside == 0 || isAtEdges(offset, end, inside) else {
                throw invalid("P-104", "a range from \(offset) to \(end) with granules of \(header.granularity) bytes")
            }
            let isZero = !zero.isEmpty && zero[index / 8] >> UInt8(index % 8) & 1 == 1
            let kind: RangeKind = isZero ? .zero : .data
            if let previous, previous == offset, previousKind == kind {
                throw invalid("P-66", "two ranges of the same kind touch at \(offset)")
            }
            count(from: offset, to: end, kind)
            previous = end
            previousKind = kind
        }
        if !zero.isEmpty, gaps.count % 8 != 0, zero[zero.count - 1] >> UInt8(gaps.count % 8) != 0 {
            throw invalid("P-70", "a batch has zero bits for ranges that it does not have")
        }
        lastEnd = previous
        lastKind = previousKind
    }

    /// Whether a range begins and ends at multiples of the granularity, or else with the window.
    private func isAtEdges(_ offset: UInt64, _ end: UInt64, _ inside: UInt64) -> Bool {
        (offset & inside == 0 || offset == header?.windowOffset) && (end & inside == 0 || end == windowEnd)
    }

    private mutating func receive(_ bitmap: RangeBitmap) throws(CallError) -> RangeBatch {
        let header = try headerBeforeBatch(bitmap.processedEnd)
        let units = (bitmap.processedEnd - position + (header.unit - 1)) / header.unit
        guard UInt64(bitmap.bits.count) == (units + 7) / 8 else {
            throw invalid("P-71", "a bitmap of \(bitmap.bits.count) bytes for \(units) units")
        }
        let runs = bitmap.bits.withSpan { RangeRuns(runsOf: $0, units: Int(units), processedEnd: bitmap.processedEnd) }
        guard let runs else { throw invalid("P-71", "a bitmap has bits for units that it does not have") }
        return try receive(runs)
    }

    private func headerBeforeBatch(_ processedEnd: UInt64) throws(CallError) -> AnswerHeader {
        guard let header = part else { throw invalid("P-60", "a batch came before the header") }
        guard processedEnd > position, processedEnd <= windowEnd,
            processedEnd == windowEnd || processedEnd % header.unit == 0
        else { throw invalid("P-64", "a batch goes from \(position) to \(processedEnd)") }
        guard processedEnd == windowEnd || processedEnd % header.granularity == 0 else {
            throw invalid("P-104", "a batch ends at \(processedEnd), inside a granule of \(header.granularity) bytes")
        }
        return header
    }

    private mutating func count(from start: UInt64, to end: UInt64, _ kind: RangeKind) {
        totals.count(from: start, to: end, kind)
        partTotals.count(from: start, to: end, kind)
    }

    private func invalid(_ rule: String, _ what: String) -> CallError {
        CallError(.answerInvalid, "The server's answer breaks rule \(rule): \(what)", resumeOffset: position)
    }
}

extension AnswerTotals {
    /// Adds a range. The bytes of both kinds together are not kept up.
    fileprivate mutating func count(from start: UInt64, to end: UInt64, _ kind: RangeKind) {
        ranges += 1
        offsetSum &+= start
        switch kind {
        case .data: dataBytes += end - start
        case .zero: zeroBytes += end - start
        }
    }
}

extension AnswerHeader {
    /// Whether a header is one under which this answer can go on (P-92).
    fileprivate func isRepeated(by other: AnswerHeader) -> Bool {
        disk == other.disk && format == other.format && size == other.size && since == other.since
            && target == other.target && epoch == other.epoch && granularity == other.granularity
            && basis == other.basis && basisReason == other.basisReason && assumedAtRest == other.assumedAtRest
    }
}
