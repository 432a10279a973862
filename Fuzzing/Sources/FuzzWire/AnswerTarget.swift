internal import DiskDeltaProtocol
internal import RangeAnswers

/// The client's check of range answers. Whatever it lets through is held against section 15 of `Docs/Protocol.md` by simpler
/// means: the ranges one by one.
struct AnswerTarget {
    private enum Kind {
        case changes, allocation, job
    }

    private var probe: AnswerProbe
    private let kind: Kind
    /// What is asked; of an allocation, what such a question can say, and of a job, the offset alone.
    private let asked: GetVirtualDiskChangesRequest
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
        var request = GetVirtualDiskChangesRequest(path: "disk", byteOffset: operations.number() &* 512)
        let form = operations.byte()
        if form & 1 == 1 { request.byteLength = operations.number() &* 512 }
        kind = form < 128 ? .changes : [.changes, .allocation, .job, .changes][Int(form / 2 % 4)]
        if form >= 128 {
            let wishes = operations.byte()
            request.granularity = wishes & 1 != 0 ? 4_096 : 0
            request.targetSnapshotID = kind == .changes && wishes & 2 != 0 ? "t" : ""
            request.assumeAtRest = wishes & 4 != 0
            request.imageFormat = wishes & 8 != 0 ? .raw : .unknown
            request.onUnavailable = OnUnavailable(rawValue: Int32(wishes / 16 % 4))
            request.ifSize = wishes & 64 != 0 ? 1 << 20 : nil
            request.ifEpoch = wishes & 128 != 0 ? "e" : ""
        }
        asked = request
        switch kind {
        case .changes: probe = AnswerProbe(request)
        case .allocation:
            probe = AnswerProbe(
                GetVirtualDiskAllocationRequest(
                    path: request.path,
                    byteOffset: request.byteOffset,
                    byteLength: request.byteLength,
                    granularity: request.granularity,
                    ifEpoch: request.ifEpoch,
                    assumeAtRest: request.assumeAtRest,
                    imageFormat: request.imageFormat,
                    ifSize: request.ifSize
                )
            )
        case .job: probe = AnswerProbe(JobResultsRequest(byteOffset: request.byteOffset))
        }
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
            check(header)
            return
        }
        guard let header = probe.header else { fatalError("Found a batch before the header.") }
        let windowEnd = header.windowOffset + header.windowLength
        expect(batch.start == before && batch.processedEnd > before, "a batch that does not go on")
        expect(batch.processedEnd <= windowEnd && probe.position == batch.processedEnd, "a batch beyond the window")
        // A boundary of granules, or an edge of the window.
        func isBoundary(_ byte: UInt64) -> Bool {
            byte % header.granularity == 0 || byte == header.windowOffset || byte == windowEnd
        }
        expect(isBoundary(batch.processedEnd), "a batch that ends inside a granule")
        var count = 0
        batch.forEach { range in
            expect(
                isBoundary(range.offset) && isBoundary(range.offset + range.length),
                "a range that begins or ends inside a granule"
            )
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

    private func check(_ header: AnswerHeader) {
        let isOfJob = kind == .job
        // Of a job the server alone knows the window, and its start where the offset is 0.
        expect(
            (header.windowOffset == asked.byteOffset || isOfJob && asked.byteOffset == 0)
                && (header.windowLength <= asked.byteLength ?? .max || isOfJob),
            "another window"
        )
        expect(header.windowOffset + header.windowLength <= header.size, "a window beyond the disk")
        expect(header.epoch != "" && header.format.rawValue != 0, "a header without an epoch or a format")
        expect(
            header.granularity.nonzeroBitCount == 1 && header.granularity % header.unit == 0,
            "a granularity that the unit does not divide"
        )
        let isChanges = header.basis == .changes
        expect(isChanges || header.basis == .allocated || header.basis == .whole, "a basis that is none")
        expect(header.since.isEmpty != isChanges, "a baseline that does not fit the basis")
        expect(
            (header.basisReason == .none) == (isChanges || kind == .allocation),
            "a reason that does not fit the basis"
        )
        expect(header.basisReason != .none || header.basisMessage == "", "a message without a reason")
        expect(kind != .allocation || header.basis == .allocated, "an allocation that is something else")
        guard !isOfJob else { return }
        expect(
            isChanges || kind == .allocation
                || asked.onUnavailable == (header.basis == .whole ? .whole : .allocated),
            "a fallback that was not asked for"
        )
        expect(header.disk == asked.path, "another disk")
        expect(header.target.isEmpty == asked.targetSnapshotID.isEmpty, "another target")
        expect(asked.ifEpoch == "" || header.epoch == asked.ifEpoch, "another epoch")
        expect(asked.ifSize == nil || header.size == asked.ifSize, "another size")
        expect(asked.assumeAtRest || !header.assumedAtRest, "an assumption that was not asked for")
        expect(header.granularity >= asked.granularity, "a finer granularity than was asked for")
        expect(
            asked.imageFormat == .unknown || asked.targetSnapshotID != "" || header.format == asked.imageFormat,
            "another format than was asked for"
        )
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
        var header = AnswerHeader(disk: "disk", format: .vhdx, since: "b", epoch: "e", basis: .changes)
        let form = operations.byte()
        header.unit = form & 1 == 1 ? 512 : operations.number()
        header.granularity = max(asked.granularity, header.unit)
        header.target = asked.targetSnapshotID
        header.assumedAtRest = asked.assumeAtRest && kind != .job
        if asked.imageFormat != .unknown { header.format = asked.imageFormat }
        if kind == .allocation {
            header.since = ""
            header.basis = .allocated
        }
        if form >= 192 { makeOdd(&header, form / 4 % 16, &operations) }
        header.size = operations.number() &* (operations.flag() ? 512 : 1)
        header.windowOffset = operations.flag() ? operations.number() : asked.byteOffset
        let rest = header.size >= header.windowOffset ? header.size - header.windowOffset : 0
        header.windowLength = operations.flag() ? operations.number() : min(asked.byteLength ?? rest, rest)
        return RangeAnswer(part: .header(header))
    }

    /// Changes one thing that a header says, so that it may still answer the question, or not.
    private func makeOdd(_ header: inout AnswerHeader, _ oddity: UInt8, _ operations: inout Operations) {
        switch oddity {
        case 0: header.disk = "other"
        case 1: header.format = ImageFormat(rawValue: Int32(truncatingIfNeeded: operations.number()))
        case 2: header.since = header.since.isEmpty ? "b" : ""
        case 3: header.target = header.target.isEmpty ? "t" : ""
        case 4: header.epoch = ""
        case 5: header.epoch = "f"
        case 6: header.granularity = operations.number()
        case 7: header.granularity = 512
        case 8: header.granularity = 65_536
        case 9: header.basis = AnswerBasis(rawValue: Int32(truncatingIfNeeded: operations.number()))
        case 10, 11, 12:
            header.basis = AnswerBasis(rawValue: Int32(oddity) - 9)
            header.basisReason = .baselineUnknown
            header.since = ""
        case 13: header.basisReason = .baselineUnknown
        case 14: header.basisMessage = "why"
        default: header.assumedAtRest = true
        }
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
