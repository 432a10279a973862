import TestSupport
import Testing

@testable import DiskImages

/// The machine stops at any moment of a merge.
///
/// What a merge did to both files is recorded, and states that a crash can leave are built after every operation. In each
/// of them the chain must open and be sound, and what is read through the child must be what it was; and the merge, run
/// again, must end with a parent that holds the same.
@Suite("Crashes in a merge")
struct MergeCrashTests {
    struct Scenario: CustomTestStringConvertible, Sendable {
        var format = ImageDescription.Format.vhdx
        /// Whether the parent has a parent.
        var isDeep: Bool
        var sectorSize: Int
        var seed: UInt64

        var testDescription: String {
            "\(format.rawValue), \(isDeep ? "three layers" : "two layers"), sectors of \(sectorSize), seed \(seed)"
        }
    }

    static let vhdx: [Scenario] = [false, true].flatMap { isDeep in
        [512, 4_096].flatMap { size in (1...2).map { Scenario(isDeep: isDeep, sectorSize: size, seed: $0) } }
    }
    static let vhd: [Scenario] = [false, true].flatMap { isDeep in
        (1...2).map { Scenario(format: .vhd, isDeep: isDeep, sectorSize: 512, seed: $0) }
    }
    static let scenarios = vhdx + vhd
    /// Fewer, where each costs much.
    static let some = scenarios.filter { $0.seed == 1 }

    private static let size: UInt64 = 3 << 20 | 512 << 10

    /// A chain, and a record of a merge of its leaf.
    private struct Recorded {
        let folder: TemporaryFolder
        let child: String
        let parent: String
        /// What the child reads as.
        let view: [UInt64]
        /// The child is file 0, its parent file 1.
        let entries: [(file: Int, operation: RecordingStorage.Operation)]
        /// The operations of the second merge, if there were two, begin here.
        let start: Int

        /// Makes the chain, and merges it twice where `again` says so: then the locator's second key is not empty, and the
        /// parent is full already.
        ///
        /// - Parameter writes: the sectors that are written in each layer, base first; nil for random calls.
        init(_ scenario: Scenario, again: Bool = false, writes: [[Range<Int>]]? = nil) throws {
            folder = try TemporaryFolder()
            var random = RepeatableGenerator(seed: scenario.seed)
            let names = scenario.isDeep ? ["base", "parent", "child"] : ["base", "child"]
            var paths: [String] = []
            for (height, name) in names.enumerated() {
                let path = folder.file("\(name).\(scenario.format.rawValue)")
                let blockSize: UInt32 = height == 0 || writes != nil || random.chance(50) ? 1 << 20 : 2 << 20
                try Self.create(path, over: paths.last, scenario: scenario, blockSize: blockSize)
                paths.append(path)
                let calls = writes.map { $0[height].map { Call(sectors: $0, isZero: false) } }
                try Self.fill(
                    path,
                    height: UInt64(height),
                    scenario: scenario,
                    calls: calls ?? Self.randomCalls(height: height, scenario: scenario, random: &random)
                )
            }
            child = paths[paths.count - 1]
            parent = paths[paths.count - 2]
            view = try ChainWords.read(child)
            for path in [child, parent] { try VHDXBytes.copy(path, to: path + ".before") }
            let journal = RecordingStorage.Journal()
            var start = 0
            for _ in 0..<(again ? 2 : 1) {
                start = journal.entries.count
                try Self.merge(child, parent, journal: journal)
            }
            entries = journal.entries
            self.start = start
        }

        private static func create(
            _ path: String,
            over parent: String?,
            scenario: Scenario,
            blockSize: UInt32
        ) throws {
            if scenario.format == .vhd {
                let creation: VHDCreation =
                    parent.map { .differencing(parent: $0, blockSize: blockSize) }
                    ?? (scenario.seed % 2 == 0
                        ? .fixed(virtualSize: size) : .dynamic(virtualSize: size, blockSize: blockSize))
                try creation.create(at: path, isDurable: false)
            } else {
                let creation: VHDXCreation =
                    parent.map { .differencing(parent: $0, blockSize: blockSize) }
                    ?? .dynamic(
                        virtualSize: size,
                        blockSize: blockSize,
                        logicalSectorSize: UInt32(scenario.sectorSize)
                    )
                try creation.create(at: path, isDurable: false)
            }
        }

        private struct Call {
            var sectors: Range<Int>
            var isZero: Bool
        }

        private static func randomCalls(
            height: Int,
            scenario: Scenario,
            random: inout RepeatableGenerator
        ) -> [Call] {
            let count = Int(size) / scenario.sectorSize
            let perBlock = (1 << 20) / scenario.sectorSize
            // A parent with little in it gets new blocks in the merge, one with much gets bits in those it has.
            let calls = height == 1 && scenario.isDeep ? Int(scenario.seed % 3) * 3 : 6
            return (0..<calls).map { _ in
                var sectors: Range<Int>
                if random.chance(25) {
                    let first = Int.random(in: 0..<3, using: &random) * perBlock
                    sectors = first..<min(count, first + perBlock)
                } else {
                    let start = Int.random(in: 0..<count - 40, using: &random)
                    sectors = start..<start + Int.random(in: 1...40, using: &random)
                }
                if random.chance(30) {
                    // Over the edge of a block.
                    let edge = Int.random(in: 1...3, using: &random) * perBlock
                    sectors = edge - 5..<edge + 7
                }
                return Call(sectors: sectors, isZero: random.chance(30))
            }
        }

        private static func fill(_ path: String, height: UInt64, scenario: Scenario, calls: [Call]) throws {
            let writer = try ImageWriting.open(path, isDurable: false)
            for (number, call) in calls.enumerated() {
                let offset = UInt64(call.sectors.lowerBound * scenario.sectorSize)
                let length = call.sectors.count * scenario.sectorSize
                if call.isZero {
                    try writer.writeZeroes(at: offset, count: UInt64(length))
                } else {
                    let word = (height + 1) << 40 | UInt64(number + 1) << 20 | 0xDA
                    try writer.write([UInt64](repeating: word, count: length / 8).span.bytes, at: offset)
                }
            }
        }

        static func merge(_ child: String, _ parent: String, journal: RecordingStorage.Journal) throws {
            let childStorage = try RecordingStorage(child, journal: journal, number: 0)
            let parentStorage = try RecordingStorage(parent, journal: journal, number: 1)
            let childImage = try childStorage.file().openImage(in: LocalFiles())
            let parentImage = try parentStorage.file().openImage(in: LocalFiles())
            try ImageMerge.merge(childImage, in: childStorage, into: parentImage, in: parentStorage)
        }

        /// Puts both files back to what they were before the merge.
        func reset() throws {
            for path in [child, parent] { try VHDXBytes.copy(path + ".before", to: path) }
        }

        /// What is wrong with the chain as it is; nil where nothing is.
        func problem() -> String? {
            do {
                // A VHD has two footers, of which one may be missing for a moment.
                let problems = try DiskChain.check(child, in: LocalFiles()).problems
                if let problem = problems.first(where: { $0.detailCode != VHDDetailCode.footerMissing }) {
                    return "\(problem)"
                }
                return try ChainWords.read(child) == view ? nil : "another content"
            } catch {
                return "\(error)"
            }
        }

        /// What is wrong with the parent alone as it is, when it should have everything.
        func problemWithTheParent() -> String? {
            do { return try ChainWords.read(parent) == view ? nil : "the parent has another content" } catch {
                return "\(error)"
            }
        }
    }

    @Test(arguments: scenarios) func everyCrashLeavesTheDiskAsItWas(scenario: Scenario) throws {
        try crash(scenario, again: false)
    }

    @Test(arguments: some) func everyCrashInASecondMergeDoes(scenario: Scenario) throws {
        try crash(scenario, again: true)
    }

    private func crash(_ scenario: Scenario, again: Bool) throws {
        print("crashes in a merge: \(scenario.testDescription)")
        var random = RepeatableGenerator(seed: scenario.seed)
        let recorded = try Recorded(scenario, again: again)
        #expect(recorded.problem() == nil)
        #expect(recorded.problemWithTheParent() == nil)
        try recorded.reset()
        var replay = try ChainCrashReplay(paths: [recorded.child, recorded.parent], sectorSize: scenario.sectorSize)
        for (index, entry) in recorded.entries.enumerated() {
            try replay.apply(entry.file, entry.operation)
            guard index >= recorded.start else { continue }
            try replay.forEachState(count: 2, random: &random) { state in
                if let problem = recorded.problem() {
                    Issue.record("operation \(index) of \(recorded.entries.count), \(state): \(problem)")
                }
            }
        }
        // Nothing is left that the medium could still lose.
        try replay.forEachState(count: 2, random: &random) { state in
            #expect(recorded.problemWithTheParent() == nil, "at the end, \(state)")
        }
    }

    /// After a crash, or on a medium that is full, the merge is run again from the start.
    @Test(arguments: some) func aMergeThatStoppedCanBeRunAgain(scenario: Scenario) throws {
        let recorded = try Recorded(scenario)
        for count in recorded.entries.indices {
            try recorded.reset()
            let journal = RecordingStorage.Journal()
            journal.remaining = count
            var failure: ImageError?
            do { try Recorded.merge(recorded.child, recorded.parent, journal: journal) } catch {
                failure = error as? ImageError
            }
            #expect(failure?.code == .writeFailed, "\(count) operations")
            #expect(recorded.problem() == nil, "\(count) operations")
            try ImageMerge(path: recorded.child, isOnlyChild: true, isDurable: false).run()
            #expect(recorded.problem() == nil, "\(count) operations, and again")
            #expect(recorded.problemWithTheParent() == nil, "\(count) operations, and again")
        }
    }

    /// The order in which the medium is waited for, in full: a step that is missing is seen here, even where no crash shows
    /// it.
    @Test func everyStepWaitsForTheOneBefore() throws {
        // Bits in a block that the parent has, and a block that it has not.
        let recorded = try Recorded(
            Scenario(isDeep: true, sectorSize: 512, seed: 1),
            writes: [[0..<7_168], [0..<10], [20..<30, 4_096..<4_100]]
        )
        var steps: [String] = []
        for entry in recorded.entries {
            let file = entry.file == 0 ? "child" : "parent"
            switch entry.operation {
            case .synchronize: steps.append("\(file) waits")
            case .grow: steps.append("\(file) data")
            case .write(let bytes, let offset):
                let table = offset >= 3 << 20 && offset < 4 << 20
                let what =
                    switch offset {
                    case 64 << 10, 128 << 10: "header"
                    case 2 << 20..<(2 << 20) + 65_536: "table entry"
                    case 2 << 20..<3 << 20: "locator"
                    default: table ? "blocks" : "data"
                    }
                #expect(what != "table entry" || bytes.count == 8)
                steps.append("\(file) \(what)")
            }
        }
        var told: [String] = []
        for step in steps where told.last != step { told.append(step) }
        #expect(
            told == [
                "child header", "child waits", "child header", "child waits", "child locator", "child waits",
                "child table entry", "child waits",
                "parent header", "parent waits", "parent header", "parent waits", "parent data", "parent waits",
                "parent data", "parent waits", "parent blocks", "parent waits",
            ]
        )
    }

    /// A merge that does not wait at one of its steps is found out: without the `synchronize` in question, some crash shows.
    ///
    /// Those of the headers are the exception. On a medium that takes a sector as a whole, no crash tells whether they were
    /// waited for; the test above holds them.
    @Test func everyWaitIsNeeded() throws {
        var found: Set<String> = []
        var all: Set<String> = []
        // A parent without any block; and a block that it has not, in a chunk that has its bitmap.
        let scenario = Scenario(isDeep: true, sectorSize: 512, seed: 1)
        let chains = [
            try Recorded(scenario, writes: [[0..<7_168], [], [4_096..<4_100]]),
            try Recorded(scenario, writes: [[0..<7_168], [0..<10], [4_096..<4_100]]),
        ]
        for recorded in chains {
            var random = RepeatableGenerator(seed: 1)
            let waits = recorded.entries.indices.filter {
                if case .synchronize = recorded.entries[$0].operation { true } else { false }
            }
            // What was written before each; two headers for each file. The bits of blocks that are there already need not
            // change.
            let rest = waits.count > 8 ? ["payload before bits", "bits", "entries"] : ["payload", "entries"]
            let names = ["", "", "locator", "table entry", "", ""] + rest
            try #require(waits.count == names.count)
            for (name, wait) in zip(names, waits) where !name.isEmpty && !found.contains(name) {
                all.insert(name)
                try recorded.reset()
                var replay = try ChainCrashReplay(paths: [recorded.child, recorded.parent], sectorSize: 512)
                var isFound = false
                for (index, entry) in recorded.entries.enumerated() where index != wait {
                    try replay.apply(entry.file, entry.operation)
                    guard index > wait, !isFound else { continue }
                    try replay.forEachState(count: 4, random: &random) { _ in
                        if recorded.problem() != nil { isFound = true }
                    }
                }
                if !isFound {
                    try replay.forEachState(count: 4, random: &random) { _ in
                        if recorded.problemWithTheParent() != nil { isFound = true }
                    }
                }
                if isFound { found.insert(name) }
            }
        }
        #expect(all.subtracting(found) == [])
        #expect(all.count == 6)
    }
}
