import DiskImages
import Foundation
import TestSupport
import Testing

/// qcow2 files that QEMU's tools make at random, read by this program, by those tools and by a model of the tables.
///
/// `DISKDELTA_QCOW2_IMAGES` says how many there are, 200 where it is not set, and `DISKDELTA_SEED` with which seed they begin.
@Suite("Random qcow2 images", .enabled(if: Qcow2Tools.installed != nil, "\(Qcow2Tools.absence)"))
struct Qcow2RandomImageTests {
    static let count = ProcessInfo.processInfo.environment["DISKDELTA_QCOW2_IMAGES"].flatMap(UInt64.init) ?? 200
    static let firstSeed = ProcessInfo.processInfo.environment["DISKDELTA_SEED"].flatMap(UInt64.init) ?? 1
    /// The seeds in pieces that run beside each other.
    static let pieces: [Range<UInt64>] = stride(from: firstSeed, to: firstSeed + count, by: 20).map {
        $0..<min($0 + 20, firstSeed + count)
    }

    @Test(arguments: pieces) func readsWhatTheToolsRead(seeds: Range<UInt64>) throws {
        print("random qcow2 images with the seeds \(seeds)")
        let tools = try #require(Qcow2Tools.installed)
        for seed in seeds {
            let folder = try TemporaryFolder()
            let made = try Qcow2RandomImage.make(seed: seed, in: folder, with: tools)
            // Seldom, QEMU's own tools find fault with what they do, and say so in the file.
            if try made.isMarkedAsCorrupt {
                #expect(throws: ImageError.self) { try DiskChain.open(made.path, in: LocalFiles()) }
                continue
            }
            do {
                try Comparison(made, folder: folder, tools: tools).run()
            } catch {
                Issue.record("seed \(seed), \(made.story): \(error)")
            }
        }
    }

    /// One image, and all that is compared.
    private struct Comparison {
        let made: Qcow2RandomImage
        let folder: TemporaryFolder
        let tools: Qcow2Tools
        let image: any DiskImage
        let model: Qcow2Model
        let windows: [UInt64]

        init(_ made: Qcow2RandomImage, folder: TemporaryFolder, tools: Qcow2Tools) throws {
            self.made = made
            self.folder = folder
            self.tools = tools
            let chain = try DiskChain.open(made.path, in: LocalFiles())
            #expect(chain.layers.map(\.file.path) == [made.path] + made.backing, "seed \(made.seed)")
            image = chain.layers[0]
            model = try Qcow2Model(made.path)
            var generator = RepeatableGenerator(seed: made.seed)
            windows = (0..<20).map { _ in UInt64.random(in: 0...made.size / 32_768, using: &generator) * 32_768 }
                .sorted()
        }

        func run() throws {
            #expect(image.size == made.size, "seed \(made.seed)")
            let allocated = try codes(of: image, "now")
            expectEqual(allocated, try model.codes(of: model.current), "the tables now")
            expectEqual(allocated, try tools.allocation(of: made.path, size: made.size), "qemu-img map")
            try compareBitmaps()
            try compareSnapshots()
        }

        private func compareBitmaps() throws {
            let points = image.recordedPoints.filter { $0.kind == .bitmap }
            #expect(Set(points.map(\.id)) == Set(made.bitmaps.keys), "seed \(made.seed)")
            for point in points {
                #expect((point.condition == .usable) == made.bitmaps[point.id], "seed \(made.seed), \(point)")
                #expect(point.condition != .inconsistent, "seed \(made.seed), \(point)")
                expectEqual(
                    try codes(of: try image.changes(since: point, upTo: nil), point.id),
                    try tools.bitmap(point.id, of: made.path, size: made.size),
                    point.id
                )
            }
        }

        private func compareSnapshots() throws {
            let points = image.recordedPoints.filter { $0.kind == .snapshot }
            #expect(points.map(\.name) == made.snapshots, "seed \(made.seed)")
            #expect(points.map(\.id) == model.snapshots.map(\.id), "seed \(made.seed)")
            guard !points.isEmpty else { return }
            let content = try points.map { try tools.content(of: made.path, snapshot: $0.id, in: folder) }
            let contentNow = try tools.content(of: made.path, in: folder)
            for (index, point) in points.enumerated() {
                let state = model.snapshots[index]
                expectEqual(try codes(of: image.state(at: point), point.id), try model.codes(of: state), point.name)
                try compare(point, state, content[index], with: nil, model.current, contentNow)
                for later in points.indices.dropFirst(index) {
                    try compare(
                        point,
                        state,
                        content[index],
                        with: points[later],
                        model.snapshots[later],
                        content[later]
                    )
                }
            }
        }

        private func compare(
            _ point: RecordedPoint,
            _ state: Qcow2Model.State,
            _ content: [Int],
            with later: RecordedPoint?,
            _ laterState: Qcow2Model.State,
            _ laterContent: [Int]
        ) throws {
            let what = "\(point.name) to \(later?.name ?? "now")"
            let codes = try codes(of: image.changes(since: point, upTo: later), what)
            expectEqual(codes, try model.changes(from: state, to: laterState), what)
            #expect(codes.count == Int(laterState.size / 512), "seed \(made.seed), \(what)")
            // qemu-img converts a snapshot at the size that the disk has now.
            for sector in 0..<min(codes.count, content.count, laterContent.count) {
                let isAdded = sector >= Int(state.size / 512)
                if isAdded || content[sector] != laterContent[sector], codes[sector] == LayerWalk.code(.absent) {
                    Issue.record("seed \(made.seed), \(what), \(made.story): sector \(sector) changed")
                    break
                }
                if laterContent[sector] != 0, codes[sector] == LayerWalk.code(.unmapped) {
                    Issue.record("seed \(made.seed), \(what), \(made.story): sector \(sector) is no zeroes")
                    break
                }
            }
        }

        /// The codes of a map, which must be the same in whatever windows it is asked.
        private func codes(of map: any SectorMap, _ what: String) throws -> [UInt8] {
            let codes = try LayerWalk.codes(of: map)
            expectEqual(try LayerWalk.codes(of: map, windows: windows), codes, what + " in windows")
            return codes
        }

        private func expectEqual(_ codes: [UInt8], _ expected: [UInt8], _ what: String) {
            guard codes != expected else { return }
            let sector = zip(codes, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? -1
            Issue.record(
                """
                seed \(made.seed), \(what), \(made.story): of \(codes.count) sectors and \(expected.count), \
                \(sector) is wrong
                """
            )
        }
    }
}
