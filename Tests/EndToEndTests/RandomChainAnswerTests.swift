import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaService
import DiskImages
import Foundation
import TestSupport
import Testing

/// Chains that are written at random, and what is answered about them: compared with a model that knows only what was
/// written.
///
/// `DISKDELTA_CHAINS` says how many chains the engine is asked about in this process, 1,000 where it is not set, and
/// `DISKDELTA_E2E_CHAINS` how many are asked about in every way, 25 where it is not set. `DISKDELTA_SEED` says with which
/// seed they begin.
@Suite("Random chains answer as the model says")
struct RandomChainAnswerTests {
    private static func number(_ name: String, _ standard: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap(UInt64.init) ?? standard
    }

    static let firstSeed = number("DISKDELTA_SEED", 1)
    static let seeds = firstSeed..<firstSeed + number("DISKDELTA_CHAINS", 1_000)
    static let seedsInEveryWay = firstSeed..<firstSeed + number("DISKDELTA_E2E_CHAINS", 25)

    /// Every fourth chain is one of VHD files.
    private static func limits(of seed: UInt64) -> RandomChain.Limits {
        var limits = RandomChain.Limits()
        if seed % 4 == 0 {
            limits.format = .vhd
            limits.allowsLarge = false
        }
        return limits
    }

    /// Windows and granularities, at random and such that the edges of a disk are met.
    private struct Questions {
        let chain: RandomChain
        var random: RepeatableGenerator

        init(_ chain: RandomChain) {
            self.chain = chain
            random = RepeatableGenerator(seed: chain.seed ^ 0x5EED)
        }

        mutating func granularity() -> UInt64 {
            random.chance(40) ? 0 : UInt64(chain.sectorSize) << UInt64.random(in: 0...14, using: &random)
        }

        /// An offset and a length, which may go beyond the end.
        mutating func window(target: Int) -> (offset: UInt64, length: UInt64?) {
            let size = chain.layers[target].virtualSize
            let sector = UInt64(chain.sectorSize)
            guard random.chance(80) else { return (0, nil) }
            let offset = UInt64.random(in: 0...size / sector, using: &random) * sector
            if random.chance(25) { return (offset, nil) }
            if random.chance(10) { return (offset, size) }
            return (offset, UInt64.random(in: 0...(size - offset) / sector, using: &random) * sector)
        }

        /// The id of a layer as target: for the leaf sometimes what callers send that do not name one.
        mutating func targetID(_ target: Int) -> String {
            target == 0 && random.chance(50) ? "" : chain.layers[target].identifier.description
        }
    }

    /// The part of the disk that a request is answered for.
    private func window(_ offset: UInt64, _ length: UInt64?, size: UInt64) -> Range<UInt64> {
        offset..<offset + min(length ?? size, size - offset)
    }

    @Test("The engine, over every pair of a baseline and a target", .timeLimit(.minutes(10)))
    func theEngine() async throws {
        print("random chains with the seeds \(Self.seeds)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Some at a time: each has its files.
            for (index, first) in stride(from: Self.seeds.lowerBound, to: Self.seeds.upperBound, by: 50).enumerated() {
                if index >= ProcessInfo.processInfo.activeProcessorCount { try await group.next() }
                group.addTask { try await askTheEngine(first..<min(first + 50, Self.seeds.upperBound)) }
            }
            try await group.waitForAll()
        }
    }

    private func askTheEngine(_ seeds: Range<UInt64>) async throws {
        var router = ServiceRouter()
        router.register(DiskService(files: LocalFiles()))
        let client = DiskDeltaClient(InProcessInvoker(router))
        for seed in seeds {
            let folder = try TemporaryFolder()
            let chain = try RandomChain.make(seed: seed, in: folder.path, limits: Self.limits(of: seed))
            let model = ChainAnswer(chain)
            var questions = Questions(chain)
            for target in chain.layers.indices {
                for since in target..<chain.layers.count {
                    let size = chain.layers[target].virtualSize
                    let (offset, length) = questions.window(target: target)
                    let granularity = questions.granularity()
                    let request = GetVirtualDiskChangesRequest(
                        path: chain.leaf.path,
                        limitID: chain.layers[since].identifier.description,
                        targetSnapshotID: questions.targetID(target),
                        byteOffset: offset,
                        byteLength: length,
                        granularity: granularity
                    )
                    let ranges = try await Asking.ranges(try await client.changes(request))
                    let expected = model.changes(
                        since: since,
                        target: target,
                        window: window(offset, length, size: size),
                        granularity: max(granularity, UInt64(chain.sectorSize))
                    )
                    #expect(ranges == expected, "seed \(seed), from \(since) to \(target): \(request)")
                }
            }
            let (offset, length) = questions.window(target: 0)
            let granularity = questions.granularity()
            let request = GetVirtualDiskAllocationRequest(
                path: chain.leaf.path,
                byteOffset: offset,
                byteLength: length,
                granularity: granularity
            )
            let expected = model.allocation(
                window: window(offset, length, size: chain.leaf.virtualSize),
                granularity: max(granularity, UInt64(chain.sectorSize))
            )
            let ranges = try await Asking.ranges(try await client.allocation(request))
            #expect(ranges == expected, "seed \(seed): \(request)")
        }
    }

    @Test(
        "Everybody, over every pair of a baseline and a target",
        .enabled(if: Programs.areBuilt, Programs.absence),
        .timeLimit(.minutes(5))
    )
    func everybody() async throws {
        print("random chains with the seeds \(Self.seedsInEveryWay)")
        let root = try TemporaryFolder()
        try await RunningServer.with(root) { server in
            for seed in Self.seedsInEveryWay {
                let directory = root.file("\(seed)")
                try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
                let chain = try RandomChain.make(seed: seed, in: directory, limits: Self.limits(of: seed))
                let address = seed % 2 == 0 ? server.tcp : server.unix
                try await compare(chain, root: root, address: address)
                try FileManager.default.removeItem(atPath: directory)
            }
        }
    }

    private func compare(_ chain: RandomChain, root: TemporaryFolder, address: String) async throws {
        let model = ChainAnswer(chain)
        let sector = UInt64(chain.sectorSize)
        let disk = "d" + chain.leaf.path.dropFirst(root.path.count)
        var questions = Questions(chain)
        for target in chain.layers.indices {
            for since in target..<chain.layers.count {
                var request = GetVirtualDiskChangesRequest(
                    path: disk,
                    limitID: chain.layers[since].identifier.description,
                    targetSnapshotID: target == 0 ? "" : chain.layers[target].identifier.description
                )
                let size = chain.layers[target].virtualSize
                let whole = model.changes(since: since, target: target, window: 0..<size, granularity: sector)
                let note: Comment = "seed \(chain.seed), from \(since) to \(target)"
                // Where the target is now; list-changes knows no other.
                if target == 0 {
                    let plain = try Programs.listChanges.run([address, disk, request.limitID], in: root)
                    #expect(plain.status == 0, "\(note): \(plain.error)")
                    #expect(plain.lines == Asking.plainLines(whole), note)
                    let lines = Asking.lines(whole, processed: size)
                    try compareLines(request, root: root, address: address, expected: lines, note)
                }

                try await withDiskDeltaClient(to: address) { client in
                    for round in 0..<4 {
                        var (offset, length, granularity) = (UInt64(0), UInt64?.none, UInt64(0))
                        if round > 0 {
                            (offset, length) = questions.window(target: target)
                            granularity = questions.granularity()
                        }
                        request.byteOffset = offset
                        request.byteLength = length
                        request.granularity = granularity
                        let expected = model.changes(
                            since: since,
                            target: target,
                            window: window(offset, length, size: size),
                            granularity: max(granularity, sector)
                        )
                        let ranges = try await Asking.ranges(try await client.changes(request))
                        #expect(ranges == expected, "\(note): \(request)")
                    }
                }
                guard target == (chain.layers.count - 1) / 2, since == chain.layers.count - 1 else { continue }
                let part = window(request.byteOffset, request.byteLength, size: size)
                let expected = model.changes(
                    since: since,
                    target: target,
                    window: part,
                    granularity: max(request.granularity, sector)
                )
                let lines = Asking.lines(expected, offset: part.lowerBound, processed: UInt64(part.count))
                try compareLines(request, root: root, address: address, expected: lines, "\(note): \(request)")
            }
        }
    }

    /// Asks `diskdelta`, at the server and embedded.
    private func compareLines(
        _ request: GetVirtualDiskChangesRequest,
        root: TemporaryFolder,
        address: String,
        expected: [String],
        _ note: Comment
    ) throws {
        let remote = try Programs.diskdelta.run(Asking.arguments(request, server: address), in: root)
        #expect(remote.status == 0, "\(note): \(remote.error)")
        #expect(Array(remote.lines.dropFirst()) == expected, note)
        var local = request
        local.path = String(request.path.dropFirst(2))
        let embedded = try Programs.diskdelta.run(Asking.arguments(local, server: nil), in: root)
        #expect(embedded.status == 0, "\(note): \(embedded.error)")
        #expect(Array(embedded.lines.dropFirst()) == expected, note)
    }
}
