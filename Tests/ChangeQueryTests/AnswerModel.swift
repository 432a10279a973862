import DiskImages

@testable import ChangeQuery

/// A range as a person writes it down.
struct PlainRange: Hashable, CustomStringConvertible {
    var start: UInt64
    var end: UInt64
    var kind: RangeKind

    var description: String { "\(start)..<\(end) \(kind)" }
}

/// The answer as it follows from the rules, sector by sector: slow, and with nothing in common with the engine.
enum AnswerModel {
    /// What became of a sector between `baseline` and the top of `layers`, which are those above it.
    static func change(of index: Int, layers: [FakeLayer], baseline: [FakeLayer]) -> RangeKind? {
        for layer in layers {
            switch layer.content(of: index) {
            case .absent: continue
            case .data: return .data
            case .unmapped: return .zero
            case .zero:
                for old in baseline {
                    switch old.content(of: index) {
                    case .absent: continue
                    case .zero: return nil
                    case .data, .unmapped: return .zero
                    }
                }
                return .zero
            }
        }
        if let first = baseline.first, index >= first.sectorCount { return .zero }
        return nil
    }

    /// Whether a sector holds data.
    static func allocation(of index: Int, layers: [FakeLayer]) -> RangeKind? {
        for layer in layers {
            switch layer.content(of: index) {
            case .absent: continue
            case .data: return .data
            case .zero, .unmapped: return nil
            }
        }
        return nil
    }

    /// The answer to a question over `kinds`, one for each sector of the disk.
    static func ranges(_ kinds: [RangeKind?], sector: Int, granularity: Int, window: Range<Int>) -> [PlainRange] {
        let step = granularity / sector
        var widened = [RangeKind?](repeating: nil, count: kinds.count)
        var first = 0
        while first < kinds.count {
            let granule = first..<min(first + step, kinds.count)
            let changed = kinds[granule].filter { $0 != nil }
            if !changed.isEmpty {
                let kind: RangeKind = kinds[granule].allSatisfy { $0 == .zero } ? .zero : .data
                for index in granule { widened[index] = kind }
            }
            first += step
        }
        var ranges: [PlainRange] = []
        for index in window {
            guard let kind = widened[index] else { continue }
            let start = UInt64(index * sector)
            if let last = ranges.last, last.end == start, last.kind == kind {
                ranges[ranges.count - 1].end = start + UInt64(sector)
            } else {
                ranges.append(PlainRange(start: start, end: start + UInt64(sector), kind: kind))
            }
        }
        return ranges
    }
}

/// Reads batches the way a client does, and records every rule that they break.
struct BatchReader {
    var ranges: [PlainRange] = []
    var position: UInt64
    var problems: [String] = []
    var bitmaps = 0
    let unit: UInt64
    let windowEnd: UInt64

    init(_ plan: Plan) {
        self.init(window: plan.window, unit: plan.unit)
    }

    init(window: Window, unit: UInt64) {
        position = window.start
        self.unit = unit
        windowEnd = window.end
    }

    mutating func read(_ batch: RangeBatch) {
        if batch.processedEnd < position || batch.processedEnd > windowEnd {
            problems.append("processed end \(batch.processedEnd) after \(position)")
        }
        var end = position
        switch batch.form {
        case .runs(let columns, let zero):
            if !zero.isEmpty, zero.count != (columns.count + 7) / 8 {
                problems.append("zero mask of \(zero.count) bytes")
            }
            for index in 0..<columns.count {
                let start = end + columns.gaps[index] * unit
                end = min(start + columns.lengths[index] * unit, windowEnd)
                let isZero = !zero.isEmpty && zero[index / 8] >> UInt8(index % 8) & 1 == 1
                append(PlainRange(start: start, end: end, kind: isZero ? .zero : .data))
            }
        case .bitmap(let bits):
            bitmaps += 1
            if bits.count != Int((batch.processedEnd - position + unit - 1) / unit + 7) / 8 {
                problems.append("bitmap of \(bits.count) bytes")
            }
            var from: UInt64?
            for index in 0...(bits.count * 8) {
                let isSet = index < bits.count * 8 && bits[index / 8] >> UInt8(index % 8) & 1 == 1
                let here = min(position + UInt64(index) * unit, windowEnd)
                if isSet, from == nil { from = here }
                if !isSet, let start = from {
                    append(PlainRange(start: start, end: here, kind: .data))
                    end = here
                    from = nil
                }
            }
        }
        if end > batch.processedEnd { problems.append("a range ends at \(end), above \(batch.processedEnd)") }
        position = batch.processedEnd
    }

    private mutating func append(_ range: PlainRange) {
        if range.start >= range.end { problems.append("empty range \(range)") }
        if let last = ranges.last, last.end > range.start || (last.end == range.start && last.kind == range.kind) {
            problems.append("\(last) and then \(range)")
        }
        ranges.append(range)
    }
}
