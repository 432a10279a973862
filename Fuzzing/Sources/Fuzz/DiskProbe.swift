internal import ChangeQuery
internal import DiskImages

/// Opens a disk with all it stands on, and asks what it holds and what changed since two of its baselines.
struct DiskProbe {
    /// How many batches of one answer are looked at: a damaged disk may have terabytes.
    private static let batchCount = 12
    private static let baselineCount = 2

    let choice: UInt32

    func run(_ name: String, in files: MemoryFiles) throws(ImageError) {
        // Both look at the files by themselves. A disk that opens may still have problems, but not the other way round.
        let problems: [ImageError]
        do throws(ImageError) {
            problems = try DiskChain.check(name, in: files, assumingRest: true).problems
        } catch {
            problems = [error]
        }
        expect(problems.count <= 64 * ImageCheckReport.maximumProblemCount, "\(problems.count) problems")
        let chain = try DiskChain.open(name, in: files, assumingRest: true)
        ask(.allocation, chain)
        let baselines = Baseline.all(of: chain)
        guard !baselines.isEmpty else { return }
        let first = Int(choice >> 21) % baselines.count
        for index in first..<first + min(Self.baselineCount, baselines.count) {
            ask(.changes(since: baselines[index % baselines.count].id, target: nil), chain)
        }
    }

    private func ask(_ subject: Question.Subject, _ chain: DiskChain) {
        // The files are this program's own, and open for writing.
        var question = Question(subject, assumesRest: true)
        let leaf = chain.layers[0].description
        let sector = UInt64(leaf.logicalSectorSize)
        // A window somewhere in the disk; all of it with the choice 0.
        let part = leaf.virtualSize / 256
        question.offset = part * UInt64(choice & 0xFF) / sector * sector
        let length = part * UInt64(choice >> 8 & 0xFF) / sector * sector
        question.length = length == 0 ? nil : length
        if choice >> 16 & 1 == 1 { question.granularity = sector << UInt64(choice >> 17 & 0xF) }
        do throws(QueryError) {
            check(try Plan(question, about: chain), question)
        } catch {
            expect(!error.description.isEmpty, "an error without a message")
        }
    }

    /// Every range is not empty, comes after the one before it, lies inside the window and inside its batch.
    private func check(_ plan: Plan, _ question: Question) {
        let cursor = RangeCursor(plan)
        var start = plan.window.start
        var totals: UInt64 = 0
        for _ in 0..<Self.batchCount {
            do throws(QueryError) {
                guard let batch = try cursor.next() else {
                    expect(cursor.processedEnd == plan.window.end, "an answer that ends at \(cursor.processedEnd)")
                    expect(cursor.totals.bytes == totals, "a sum of \(cursor.totals.bytes) for \(totals) bytes")
                    return
                }
                expect(batch.processedEnd >= start, "a batch that ends at \(batch.processedEnd) and starts at \(start)")
                expect(batch.processedEnd <= plan.window.end, "a batch that ends beyond its window")
                totals += check(batch, start: start, plan)
                start = batch.processedEnd
            } catch {
                return
            }
        }
    }

    /// Returns how many bytes the ranges of a batch have.
    private func check(_ batch: RangeBatch, start: UInt64, _ plan: Plan) -> UInt64 {
        var sum: UInt64 = 0
        switch batch.form {
        case .runs(let columns, let zero):
            expect(
                zero.isEmpty || zero.count == (columns.count + 7) / 8,
                "\(zero.count) bytes for \(columns.count) ranges"
            )
            var position = start
            for index in 0..<columns.count {
                let (gap, length) = (columns.gaps[index] * plan.unit, columns.lengths[index] * plan.unit)
                expect(length > 0 && (index == 0 || gap > 0 || !zero.isEmpty), "ranges that are not merged")
                // The last unit of a disk may be cut short by the disk's end.
                let end = min(position + gap + length, plan.size)
                expect(end <= batch.processedEnd && position + gap < end, "a range beyond its batch, to \(end)")
                sum += end - (position + gap)
                position = end
            }
        case .bitmap(let bits):
            let units = (batch.processedEnd - start + plan.unit - 1) / plan.unit
            expect(UInt64(bits.count) <= (units + 7) / 8, "\(bits.count) bytes of bits for \(units) units")
            for index in 0..<UInt64(bits.count) * 8 where bits[Int(index / 8)] >> (index % 8) & 1 == 1 {
                let offset = start + index * plan.unit
                expect(offset < batch.processedEnd, "a bit beyond its batch")
                sum += min(plan.unit, plan.size - offset)
            }
        }
        return sum
    }
}
