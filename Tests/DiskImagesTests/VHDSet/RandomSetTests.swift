import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Sets that live at random: written to, checkpointed, merged, taken back to older snapshots. Whatever happened, what the
/// catalogue says of a snapshot must hold.
@Suite("Random VHD Sets")
struct RandomSetTests {
    /// What a chain of files holds, told apart from the files: a number for each sector that was written.
    private struct Model {
        static let sectorCount = 4_096
        var parents: [String: String] = [:]
        var sectors: [String: [Int: Int]] = [:]

        /// The files from `name` down to the base.
        func chain(of name: String) -> [String] {
            var names = [name]
            while let parent = names.last.flatMap({ parents[$0] }) { names.append(parent) }
            return names
        }

        func state(of name: String) -> [Int: Int] {
            chain(of: name).reversed().reduce(into: [:]) { state, name in
                state.merge(sectors[name] ?? [:]) { $1 }
            }
        }

        func children(of name: String) -> Int { parents.values.count { $0 == name } }
    }

    private struct Life {
        let folder: TemporaryFolder
        let upkeep: VHDSetUpkeep
        let catalogue: String
        var random: RepeatableGenerator
        var model = Model()
        var leaf = "0.vhdx"
        var fileCount = 1
        var value = 0
        /// What the disk held when each snapshot was taken.
        var snapshots: [GUID: [Int: Int]] = [:]

        init(seed: UInt64) throws {
            folder = try TemporaryFolder()
            catalogue = folder.file("web.vhdset.json")
            upkeep = VHDSetUpkeep(catalogue)
            random = RepeatableGenerator(seed: seed)
            try VHDXCreation.dynamic(virtualSize: 2 << 20, blockSize: 1 << 20)
                .create(at: folder.file(leaf), isDurable: false)
            model.sectors[leaf] = [:]
            try upkeep.create(disk: folder.file(leaf))
        }

        mutating func write() throws {
            let writer = try ImageWriting.open(folder.file(leaf), isDurable: false)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let sector = Int.random(in: 0..<Model.sectorCount - 8, using: &random)
                let count = Int.random(in: 1...8, using: &random)
                value += 1
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: value), count: count * 512)
                try writer.write(bytes, at: UInt64(sector * 512))
                for sector in sector..<sector + count { model.sectors[leaf, default: [:]][sector] = value }
            }
        }

        /// Makes a new leaf on top of `parent`.
        mutating func makeLeaf(on parent: String) throws {
            leaf = "\(fileCount).avhdx"
            fileCount += 1
            try VHDXCreation.differencing(parent: folder.file(parent), blockSize: 1 << 20)
                .create(at: folder.file(leaf), isDurable: false)
            model.parents[leaf] = parent
            model.sectors[leaf] = [:]
        }

        mutating func checkpoint() throws {
            let id = GUID.random(using: &random)
            snapshots[id] = model.state(of: leaf)
            try makeLeaf(on: leaf)
            try upkeep.add(id, leaf: folder.file(leaf))
        }

        mutating func goBack() throws {
            let frozen = model.chain(of: leaf).dropFirst()
            guard let target = frozen.randomElement(using: &random) else { return }
            try makeLeaf(on: target)
            try upkeep.moveLeaf(to: folder.file(leaf))
        }

        /// Merges a layer into its parent if that has no other child; the leaf goes then, as a person would have it.
        mutating func merge() throws {
            let chain = model.chain(of: leaf)
            guard chain.count > 1 else { return }
            let child = chain[random.chance(20) ? 0 : Int.random(in: 0..<chain.count - 1, using: &random)]
            guard let parent = model.parents[child], model.children(of: parent) == 1 else { return }
            try ImageMerge(path: folder.file(child), isOnlyChild: true, isDurable: false).run()
            let written = model.sectors[child] ?? [:]
            model.sectors[parent]?.merge(written) { $1 }
            guard child == leaf else { return }
            try remove(child)
            leaf = parent
            try upkeep.moveLeaf(to: folder.file(leaf))
        }

        /// Removes a file that nothing stands on.
        mutating func prune() throws {
            let live = Set(model.chain(of: leaf))
            let dead = model.sectors.keys.filter { !live.contains($0) && model.children(of: $0) == 0 }
            guard let name = dead.sorted().randomElement(using: &random) else { return }
            try remove(name)
        }

        mutating func remove(_ name: String) throws {
            try FileManager.default.removeItem(atPath: folder.file(name))
            model.parents[name] = nil
            model.sectors[name] = nil
        }

        mutating func step() throws {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2: try write()
            case 3...5: try checkpoint()
            case 6: try goBack()
            case 7...8: try merge()
            default: try prune()
            }
        }
    }

    /// How many snapshots were found in each kind of place.
    private struct Count {
        var layer = 0
        var above = 0
        var nowhere = 0
    }

    private func check(_ life: Life, _ count: inout Count, _ place: String) throws {
        let chain = try DiskChain.open(life.catalogue, in: LocalFiles())
        let now = life.model.state(of: life.leaf)
        #expect(chain.snapshots.count == life.snapshots.count, "\(place)")
        for snapshot in chain.snapshots {
            let then = try #require(life.snapshots[snapshot.id])
            let bound: Int
            switch snapshot.place {
            case .nowhere:
                count.nowhere += 1
                continue
            case .above(let index):
                count.above += 1
                bound = index
            case .layer(let index):
                count.layer += 1
                bound = index
                let file = URL(fileURLWithPath: chain.layers[index].file.name).lastPathComponent
                #expect(life.model.state(of: file) == then, "\(place): \(snapshot.id) is not what \(file) holds")
            }
            try #require(bound < chain.layers.count)
            var told = Set<Int>()
            for layer in chain.layers[..<bound] {
                for (sector, code) in try LayerWalk.codes(of: layer).enumerated() where code != 0 {
                    told.insert(sector)
                }
            }
            let changed = (0..<Model.sectorCount).filter { now[$0] != then[$0] }
            #expect(told.isSuperset(of: changed), "\(place): \(snapshot)")
        }
    }

    @Test(arguments: 1...3) func whatIsSaidHolds(group: UInt64) throws {
        let seeds = (group - 1) * 12 + 1...group * 12
        print("random VHD Sets with the seeds \(seeds)")
        var count = Count()
        for seed in seeds {
            var life = try Life(seed: seed)
            for step in 0..<24 {
                try life.step()
                if step % 4 == 3 { try check(life, &count, "seed \(seed), step \(step)") }
            }
        }
        // Such a life meets all of them.
        #expect(count.layer > 0 && count.above > 0 && count.nowhere > 0, "\(count)")
    }
}
