internal import ChangeQuery
internal import DiskDeltaProtocol

/// The ranges of a batch, one by one, in bytes. What a batch says is checked as a client checks it (`Protocol.md`, section
/// 15), so that nothing that is wrong is kept or told.
struct BatchRanges {
    struct Range: Hashable {
        var start: UInt64
        var end: UInt64
        var kind: RangeKind
    }

    /// Where the batch ends: everything below is answered for.
    let end: UInt64

    private enum Form {
        case runs(RangeRuns)
        case bitmap(ByteColumn, units: Int)
    }

    private let form: Form
    private let start: UInt64
    private let unit: UInt64
    private let size: UInt64
    /// The next range of runs, or the next unit of a bitmap.
    private var index = 0
    /// Where the last range ended, in bytes.
    private var position: UInt64

    /// - Parameters:
    ///   - position: where the batch starts.
    ///   - unit: what it counts in, a power of two.
    ///   - windowEnd: where the window ends, at most at `size`.
    /// - Throws: `internal` where the message is no batch of such an answer.
    init(
        _ answer: RangeAnswer,
        from position: UInt64,
        unit: UInt64,
        windowEnd: UInt64,
        size: UInt64
    ) throws(CallError) {
        start = position
        self.position = position
        self.unit = unit
        self.size = size
        switch answer.part {
        case .runs(let runs):
            end = runs.processedEnd
            let zeroes = runs.zero.count
            guard runs.gap.count == runs.length.count, zeroes == 0 || zeroes == (runs.gap.count + 7) / 8 else {
                throw Self.malformed
            }
            form = .runs(runs)
        case .bitmap(let bitmap):
            end = bitmap.processedEnd
            guard end > position else { throw Self.malformed }
            let units = (end - position - 1) / unit + 1
            guard UInt64(bitmap.bits.count) == (units - 1) / 8 + 1 else { throw Self.malformed }
            form = .bitmap(bitmap.bits, units: Int(clamping: units))
        case .header, nil: throw Self.malformed
        }
        guard end > position, end <= windowEnd, windowEnd <= size else { throw Self.malformed }
    }

    /// Whether there is any range in it.
    var hasRanges: Bool {
        switch form {
        case .runs(let runs): !runs.gap.isEmpty
        case .bitmap: true
        }
    }

    /// The next range; nil behind the last.
    mutating func next() throws(CallError) -> Range? {
        switch form {
        case .runs(let runs):
            guard index < runs.gap.count else { return nil }
            defer { index += 1 }
            let gap = runs.gap.withSpan { $0[index] }
            let length = runs.length.withSpan { $0[index] }
            let isZero = !runs.zero.isEmpty && runs.zero.withSpan { $0[index / 8] >> UInt8(index % 8) & 1 == 1 }
            guard let first = add(position, gap) else { throw Self.malformed }
            return try range(from: first, units: length, kind: isZero ? .zero : .data)
        case .bitmap(let bits, let units):
            guard let run = Self.run(in: bits, from: index, units: units) else { return nil }
            index = run.upperBound
            guard let first = add(start, UInt64(run.lowerBound)) else { throw Self.malformed }
            return try range(from: first, units: UInt64(run.count), kind: .data)
        }
    }

    private mutating func range(from first: UInt64, units: UInt64, kind: RangeKind) throws(CallError) -> Range {
        guard units > 0, let last = add(first, units) else { throw Self.malformed }
        // The disk's very end may lie inside its last unit.
        let rangeEnd = last > size && last - size < unit ? size : last
        guard first < rangeEnd, rangeEnd <= end else { throw Self.malformed }
        position = rangeEnd
        return Range(start: first, end: rangeEnd, kind: kind)
    }

    /// `count` units above `place`; nil where that leaves 64 bits.
    private func add(_ place: UInt64, _ count: UInt64) -> UInt64? {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        let (sum, carry) = place.addingReportingOverflow(bytes)
        return overflow || carry ? nil : sum
    }

    /// The first run of set bits at `index` or above.
    private static func run(in bits: ByteColumn, from index: Int, units: Int) -> Swift.Range<Int>? {
        bits.withSpan { bits in
            func isSet(_ unit: Int) -> Bool { bits[unit / 8] >> UInt8(unit % 8) & 1 == 1 }
            var first = index
            while first < units, !isSet(first) {
                first += first % 8 == 0 && bits[first / 8] == 0 ? 8 : 1
            }
            guard first < units else { return nil }
            var last = first
            while last < units, isSet(last) { last += 1 }
            return first..<last
        }
    }

    private static var malformed: CallError {
        CallError(.internal, "A batch of ranges does not agree with itself")
    }
}
