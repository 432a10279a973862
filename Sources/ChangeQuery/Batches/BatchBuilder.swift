/// Merges ranges that touch, clips them to the window, and packs them into batches.
struct BatchBuilder {
    private let window: Window
    private let unit: UInt64
    private let unitShift: UInt64
    private let limits: BatchLimits

    private(set) var totals = RangeTotals()
    /// Everything below was given away in batches.
    private(set) var processedEnd: UInt64

    private var columns = RangeColumns.none
    /// How many ranges the columns have.
    private var count = 0
    private var zero: [UInt8] = []
    private var hasZero = false
    /// What the columns take as packed varints.
    private var runsSize = 0
    /// Where the last range of the columns ends, or the batch starts.
    private var previousEnd: UInt64

    /// The range that the next one may still extend; empty where there is none.
    private var pending: (start: UInt64, end: UInt64, kind: RangeKind) = (0, 0, .data)

    init(window: Window, unit: UInt64, limits: BatchLimits) {
        self.window = window
        self.unit = unit
        self.limits = limits
        unitShift = UInt64(unit.trailingZeroBitCount)
        processedEnd = window.start
        previousEnd = window.start
    }

    /// Has columns ready. To be called before anything of the next batch is given: an answer that nobody pulls takes none.
    mutating func prepare() throws(QueryError) {
        if columns === RangeColumns.none { columns = try RangeColumns(room: RangeColumns.capacity) }
    }

    /// Gives columns back that nothing was written to: the next range may be far, and others need some meanwhile.
    mutating func rest() {
        if count == 0 { columns = .none }
    }

    /// Whether the batch has grown to the size of a frame.
    var isFull: Bool {
        runsSize >= limits.size || count >= limits.count
    }

    /// Where the last range given so far ends; where there is none in the batch, at most its start.
    var rangesEnd: UInt64 { max(previousEnd, pending.end) }

    /// Whether the batch would have a range if it were closed now.
    var hasRanges: Bool { rangesEnd > processedEnd }

    @inline(__always)
    mutating func add(from start: UInt64, to end: UInt64, kind: RangeKind) {
        let start = max(start, window.start)
        let end = min(end, window.end)
        guard start < end else { return }
        if start == pending.end, kind == pending.kind, pending.start < pending.end {
            pending.end = end
        } else {
            flush()
            pending = (start, end, kind)
        }
    }

    @inline(__always)
    private mutating func flush() {
        guard pending.start < pending.end else { return }
        let bytes = pending.end - pending.start
        let gap = (pending.start - previousEnd) >> unitShift
        // The disk's very end may lie inside its last unit.
        let length = (bytes + (unit - 1)) >> unitShift
        if pending.kind == .zero { markZero(count) }
        columns.write(gap: gap, length: length, at: count)
        count += 1
        runsSize += Self.varintSize(gap) + Self.varintSize(length)
        previousEnd = pending.end
        totals.ranges += 1
        totals.offsetSum &+= pending.start
        totals.largest = max(totals.largest, bytes)
        switch pending.kind {
        case .data: totals.dataBytes += bytes
        case .zero: totals.zeroBytes += bytes
        }
        pending = (0, 0, .data)
    }

    private mutating func markZero(_ index: Int) {
        hasZero = true
        let byte = index / 8
        if byte >= zero.count { zero.append(contentsOf: repeatElement(0, count: byte + 1 - zero.count)) }
        zero[byte] |= 1 << UInt8(index % 8)
    }

    @inline(__always)
    private static func varintSize(_ value: UInt64) -> Int {
        value < 128 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }

    /// Closes the batch, when everything below `settled` was given. A range that may still grow stays for the next batch,
    /// which then starts at its start.
    mutating func take(upTo settled: UInt64) -> RangeBatch {
        // What comes next starts at `settled` or above, so it cannot touch a range that ends before.
        if pending.end < settled { flush() }
        let open = pending.start < pending.end ? min(pending.start, settled) : settled
        return close(at: min(max(open, processedEnd), window.end))
    }

    /// Closes the last batch, when everything was given.
    mutating func takeLast() -> RangeBatch {
        flush()
        return close(at: window.end)
    }

    private mutating func close(at end: UInt64) -> RangeBatch {
        let form: RangeBatch.Form
        let units = (end - processedEnd + (unit - 1)) >> unitShift
        if !hasZero, runsSize > 0, (units + 7) / 8 < UInt64(runsSize) {
            columns.close(count: count)
            form = .bitmap(Self.bitmap(of: columns, units: Int(units)))
        } else {
            if hasZero {
                zero.append(contentsOf: repeatElement(0, count: (count + 7) / 8 - zero.count))
            }
            columns.close(count: count)
            form = .runs(columns, zero: zero)
        }
        processedEnd = end
        previousEnd = end
        count = 0
        zero = []
        hasZero = false
        runsSize = 0
        let batch = RangeBatch(processedEnd: end, form: form)
        columns = .none
        return batch
    }

    /// The same ranges as a bit for each of `units` units.
    private static func bitmap(of columns: RangeColumns, units: Int) -> [UInt8] {
        var words = [UInt64](repeating: 0, count: (units + 63) / 64)
        var position = 0
        for (gap, length) in zip(columns.gaps, columns.lengths) {
            position += Int(gap)
            // Where the bitmap is the smaller form, nearly all ranges lie inside one word.
            let first = position % 64
            if first + Int(length) < 64 {
                words[position / 64] |= (((1 << length) - 1) << UInt64(first)).littleEndian
                position += Int(length)
                continue
            }
            var rest = Int(length)
            while rest > 0 {
                let bit = position % 64
                let count = min(rest, 64 - bit)
                let ones = count == 64 ? UInt64.max : (1 << UInt64(count)) - 1
                words[position / 64] |= (ones << UInt64(bit)).littleEndian
                position += count
                rest -= count
            }
        }
        return words.withUnsafeBytes { Array($0.prefix((units + 7) / 8)) }
    }
}
