import DiskDeltaProtocol
import TestSupport

@testable import DiskDeltaClient

/// An answer as a list of messages and what END says, made from ranges by a writer that has nothing in common with the
/// code under test.
struct Answer {
    var messages: [RangeAnswer]
    var details: StatusDetails
    /// What the client asked for.
    var expectation: AnswerExpectation
    /// What the messages say.
    var ranges: [ChangedRange]

    /// What the check makes of it: the ranges, and the error that ended it.
    func checked() -> (ranges: [ChangedRange], error: CallError?) {
        var check = AnswerCheck(expectation)
        var ranges: [ChangedRange] = []
        do throws(CallError) {
            for message in messages { ranges += try check.receive(message)?.ranges ?? [] }
            try check.finish(details)
            return (ranges, nil)
        } catch {
            return (ranges, error)
        }
    }

    /// The messages and the end of `ranges`, cut into batches at `cuts`, which lie at unit boundaries inside no range.
    init(
        _ ranges: [ChangedRange],
        size: UInt64,
        unit: UInt64 = 512,
        granularity: UInt64? = nil,
        window: Range<UInt64>,
        cuts: [UInt64] = [],
        asBits: (_ batch: Int) -> Bool = { _ in false }
    ) {
        self.ranges = ranges
        expectation = AnswerExpectation(
            disk: "root/disk.vhdx",
            offset: window.lowerBound,
            length: window.upperBound - window.lowerBound
        )
        messages = [
            RangeAnswer(
                part: .header(
                    AnswerHeader(
                        disk: "root/disk.vhdx",
                        format: .vhdx,
                        size: size,
                        since: "{a}",
                        epoch: "e",
                        granularity: granularity ?? unit,
                        basis: .changes,
                        unit: unit,
                        windowOffset: window.lowerBound,
                        windowLength: window.upperBound - window.lowerBound
                    )
                )
            )
        ]
        var start = window.lowerBound
        for (index, end) in (cuts + [window.upperBound]).enumerated() where end > start {
            let part = ranges.filter { $0.offset >= start && $0.end <= end }
            let isBits = asBits(index) && part.allSatisfy { $0.kind == .data }
            messages.append(isBits ? Self.bits(part, start, end, unit) : Self.runs(part, start, end, unit))
            start = end
        }
        func bytes(_ kind: RangeKind) -> UInt64 {
            ranges.filter { $0.kind == kind }.reduce(0) { $0 + $1.length }
        }
        details = StatusDetails(
            resumeOffset: window.upperBound,
            totals: AnswerTotals(
                processed: window.upperBound - window.lowerBound,
                ranges: UInt64(ranges.count),
                bytes: bytes(.data) + bytes(.zero),
                dataBytes: bytes(.data),
                zeroBytes: bytes(.zero),
                offsetSum: ranges.reduce(0) { $0 &+ $1.offset }
            )
        )
    }

    /// The part of an answer that a server gives for a window of it, in the state that `header` tells.
    init(
        _ ranges: [ChangedRange],
        of header: AnswerHeader,
        offset: UInt64,
        length: UInt64?,
        cuts: [UInt64]
    ) {
        let window = offset..<min(header.size, offset + (length ?? header.size - offset))
        let inside = ranges.compactMap { range -> ChangedRange? in
            let start = max(range.offset, window.lowerBound)
            let end = min(range.end, window.upperBound)
            return start < end ? ChangedRange(offset: start, length: end - start, kind: range.kind) : nil
        }
        self.init(
            inside,
            size: header.size,
            unit: header.unit,
            window: window,
            cuts: cuts.filter { $0 > window.lowerBound && $0 < window.upperBound }
        )
        var header = header
        header.windowOffset = window.lowerBound
        header.windowLength = window.upperBound - window.lowerBound
        messages[0] = RangeAnswer(part: .header(header))
        expectation.disk = header.disk
    }

    static func runs(_ ranges: [ChangedRange], _ start: UInt64, _ end: UInt64, _ unit: UInt64) -> RangeAnswer {
        var position = start
        var gaps: [UInt64] = []
        var lengths: [UInt64] = []
        var zero = [UInt8](repeating: 0, count: (ranges.count + 7) / 8)
        for (index, range) in ranges.enumerated() {
            gaps.append((range.offset - position) / unit)
            lengths.append((range.length + unit - 1) / unit)
            if range.kind == .zero { zero[index / 8] |= 1 << UInt8(index % 8) }
            position = range.end
        }
        if zero.allSatisfy({ $0 == 0 }) { zero = [] }
        return RangeAnswer(
            part: .runs(
                RangeRuns(
                    processedEnd: end,
                    gap: UInt64Column(gaps),
                    length: UInt64Column(lengths),
                    zero: ByteColumn(zero)
                )
            )
        )
    }

    static func bits(_ ranges: [ChangedRange], _ start: UInt64, _ end: UInt64, _ unit: UInt64) -> RangeAnswer {
        var bits = [UInt8](repeating: 0, count: Int(((end - start + unit - 1) / unit + 7) / 8))
        for range in ranges {
            for position in stride(from: range.offset, to: range.end, by: Int(unit)) {
                let index = Int((position - start) / unit)
                bits[index / 8] |= 1 << UInt8(index % 8)
            }
        }
        return RangeAnswer(part: .bitmap(RangeBitmap(processedEnd: end, bits: ByteColumn(bits))))
    }

    /// A correct answer of one to six batches, of both forms and both kinds.
    static func random(using generator: inout RepeatableGenerator) -> Answer {
        let granule: UInt64 = 512 << UInt64.random(in: 0...4, using: &generator)
        let granules = UInt64.random(in: 8...400, using: &generator)
        let first = UInt64.random(in: 0...100, using: &generator)
        // Now and then the disk ends inside its last granule, and the window starts inside its first.
        let isOdd = generator.chance(30) && granule > 512
        let end = (first + granules) * granule - (isOdd ? 512 : 0)
        let size = isOdd || generator.chance(30) ? end : end + granule * 7
        let unit = granule > 512 && generator.chance(30) ? granule / 2 : granule
        let start = first * granule + (unit < granule ? unit : 0)
        let onlyData = generator.chance(40)
        let longest = UInt64.random(in: 1...20, using: &generator)
        var ranges: [ChangedRange] = []
        var position = first + .random(in: 0...longest, using: &generator)
        while position < first + granules {
            let last = min(position + .random(in: 1...longest, using: &generator), first + granules)
            let kind: RangeKind = !onlyData && generator.chance(40) ? .zero : .data
            let offset = max(position * granule, start)
            let length = min(last * granule, end) - offset
            if let previous = ranges.last, previous.end == offset, previous.kind == kind {
                ranges[ranges.count - 1].length += length
            } else {
                ranges.append(ChangedRange(offset: offset, length: length, kind: kind))
            }
            position = last + .random(in: 0...longest, using: &generator)
        }
        let gaps = (first + 1..<first + granules).map { $0 * granule }.filter { cut in
            !ranges.contains { $0.offset < cut && cut < $0.end }
        }
        let cuts = Set(
            (0..<Int.random(in: 0...5, using: &generator)).compactMap { _ in gaps.randomElement(using: &generator) }
        )
        let forms = (0..<8).map { _ in generator.chance(50) }
        return Answer(
            ranges,
            size: size,
            unit: unit,
            granularity: granule,
            window: start..<end,
            cuts: cuts.sorted(),
            asBits: { forms[$0] }
        )
    }
}

extension AnswerHeader {
    /// The first boundaries of granules in the window, and perhaps some behind it.
    var granuleBoundaries: [UInt64] {
        (1..<64).map { windowOffset / granularity * granularity + granularity * $0 }
    }

    /// As a server tells it that is asked so.
    func answering(_ request: GetVirtualDiskChangesRequest) -> AnswerHeader {
        var header = self
        header.disk = request.path
        header.target = request.targetSnapshotID
        return header
    }
}
