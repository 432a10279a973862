import DiskImages
import TestSupport
import Testing

@testable import ChangeQuery

/// A chain of three files: `top` on `middle` on `base`. The first two have recorded snapshots and bitmaps.
@Suite("What an id names, and what lies between two of them")
struct HistoryTests {
    static let size: UInt64 = 1 << 30

    let folder: TemporaryFolder
    let chain: DiskChain
    let paths: [String]

    init() throws {
        folder = try TemporaryFolder()
        var files: [ImageFile] = []
        for name in ["top", "middle", "base"] {
            _ = try RawFile(folder.file(name), create: true)
            files.append(try Self.openAtRest(folder.file(name)))
        }
        paths = files.map(\.name)
        func snapshot(_ id: String, _ name: String, size: UInt64 = Self.size) -> RecordedPoint {
            RecordedPoint(kind: .snapshot, id: id, name: name, created: 1_700_000_000, size: size, granularity: 65_536)
        }
        func bitmap(_ name: String, _ condition: RecordedPoint.Condition = .usable) -> RecordedPoint {
            RecordedPoint(kind: .bitmap, id: name, name: name, granularity: 4_096, condition: condition)
        }
        chain = DiskChain(layers: [
            RecordingLayer(
                "top",
                size: Self.size,
                points: [
                    snapshot("1", "monday", size: Self.size / 2), snapshot("2", "tuesday"), snapshot("3", "1"),
                    bitmap("daily"), bitmap("off", .disabled), bitmap("broken", .inconsistent), bitmap("both"),
                ],
                file: files[0]
            ),
            RecordingLayer(
                "middle",
                size: Self.size,
                points: [snapshot("7", "sunday"), bitmap("weekly"), bitmap("both")],
                file: files[1]
            ),
            RecordingLayer("base", size: Self.size / 4, points: [], file: files[2]),
        ])
    }

    /// Opens a file that was just made, as soon as the next change of it would show.
    private static func openAtRest(_ path: String) throws -> ImageFile {
        while true {
            let file = try LocalFiles().open(path)
            if !file.isFresh { return file }
        }
    }

    private func plan(_ since: String, _ target: String? = nil) throws(QueryError) -> Plan {
        try Plan(Question(.changes(since: since, target: target)), about: chain)
    }

    private func refusal(_ since: String, _ target: String? = nil) -> QueryError.Code? {
        #expect(throws: QueryError.self) { try plan(since, target) }?.code
    }

    private func names(_ maps: [any SectorMap]) -> [String] { maps.map(RecordingLayer.name) }

    /// A file can have recorded thousands of points: to look through all of them for each would not end.
    @Test(.timeLimit(.minutes(1))) func thousandsOfPoints() throws {
        let points = (0..<16_384).map { RecordedPoint(kind: .snapshot, id: "\($0)", name: "s", granularity: 65_536) }
        let file = try LocalFiles().open(paths[0])
        let chain = DiskChain(layers: [RecordingLayer("top", size: Self.size, points: points, file: file)])
        let baselines = Baseline.all(of: chain)
        #expect(baselines.count == 16_384)
        #expect(baselines.allSatisfy { $0.problem == nil })
    }

    @Test func aFileOfABackingChainIsNamedByItsPath() throws {
        let plan = try plan("backing:\(paths[2])")
        #expect(names(plan.span.maps) == ["top", "middle"])
        #expect(names(plan.span.baseline) == ["base"])
        #expect(plan.span.floor == Self.size / 4)
        #expect(plan.since == "backing:\(paths[2])")
        #expect(plan.granularity == 65_536)
        #expect(names(try self.plan("backing:\(paths[2])", "backing:\(paths[1])").span.maps) == ["middle"])
        #expect(refusal("backing:elsewhere") == .baselineUnknown)
    }

    @Test func aSnapshotIsComparedWithThePresent() throws {
        let plan = try plan("snapshot:tuesday")
        #expect(names(plan.span.maps) == ["top since 2"])
        #expect(names(plan.span.baseline) == ["top at 2", "middle", "base"])
        #expect(plan.since == "snapshot:2")
        #expect(plan.span.floor == Self.size)
    }

    @Test func whatASnapshotDidNotHaveWasAddedSince() throws {
        let plan = try plan("snapshot:monday")
        #expect(plan.span.floor == Self.size / 2)
        #expect(plan.size == Self.size)
    }

    @Test func twoSnapshotsOfOneFileAreComparedWithEachOther() throws {
        let plan = try plan("snapshot:monday", "snapshot:2")
        #expect(names(plan.span.maps) == ["top since 1 to 2"])
        #expect(plan.target == "snapshot:2")
        #expect(refusal("snapshot:2", "snapshot:monday") == .invalidParameter)
    }

    @Test func aSnapshotAsTargetHidesWhatCameLater() throws {
        let plan = try plan("backing:\(paths[2])", "snapshot:monday")
        #expect(names(plan.span.maps) == ["top at 1", "middle"])
        #expect(plan.size == Self.size / 2)
        let older = try self.plan("snapshot:sunday", "snapshot:monday")
        #expect(names(older.span.maps) == ["top at 1", "middle since 7"])
        #expect(names(older.span.baseline) == ["middle at 7", "base"])
        #expect(refusal("snapshot:monday", "snapshot:sunday") == .invalidParameter)
        #expect(refusal("backing:\(paths[1])", "snapshot:sunday") == .invalidParameter)
    }

    @Test func whatAParentRecordedCountsTogetherWithWhatLiesAboveIt() throws {
        #expect(names(try plan("snapshot:sunday").span.maps) == ["top", "middle since 7"])
        let bitmap = try plan("bitmap:weekly")
        #expect(names(bitmap.span.maps) == ["top", "middle since weekly"])
        #expect(bitmap.span.baseline.isEmpty)
        #expect(bitmap.granularity == 4_096)
        #expect(names(try plan("bitmap:weekly", "backing:\(paths[1])").span.maps) == ["middle since weekly"])
    }

    @Test func aBitmapIsABaselineAndNoTarget() throws {
        let plan = try plan("bitmap:daily")
        #expect(names(plan.span.maps) == ["top since daily"])
        #expect(plan.span.floor == .max)
        #expect(refusal("snapshot:monday", "bitmap:daily") == .invalidParameter)
        #expect(refusal("bitmap:daily", "snapshot:2") == .invalidParameter)
    }

    @Test func whatABitmapMissedIsRefused() throws {
        #expect(refusal("bitmap:off") == .trackingDisabled)
        #expect(refusal("bitmap:broken") == .baselineInconsistent)
        #expect(refusal("bitmap:none") == .baselineUnknown)
        #expect(refusal("bitmap:both") == .baselineAmbiguous)
        // One snapshot has the id, another the name.
        #expect(refusal("snapshot:1") == .baselineAmbiguous)
    }

    @Test func equalPointsHaveNothingBetweenThem() throws {
        let plan = try plan("snapshot:2", "snapshot:tuesday")
        #expect(plan.span.maps.isEmpty)
        let cursor = RangeCursor(plan)
        while try cursor.next() != nil {}
        #expect(cursor.totals.ranges == 0 && cursor.processedEnd == Self.size)
    }

    @Test func allAreListedTheNearestFirst() throws {
        let all = Baseline.all(of: chain)
        #expect(
            all.map(\.id) == [
                "bitmap:both", "bitmap:broken", "bitmap:off", "bitmap:daily", "snapshot:3", "snapshot:2", "snapshot:1",
                "backing:\(paths[1])", "bitmap:both", "bitmap:weekly", "snapshot:7", "backing:\(paths[2])",
            ]
        )
        #expect(all.filter { $0.problem == nil }.map(\.id).contains("bitmap:daily"))
        #expect(all.first { $0.id == "bitmap:both" }?.problem?.code == .baselineAmbiguous)
        #expect(all.first { $0.id == "bitmap:off" }?.problem?.code == .trackingDisabled)
        #expect(all.first { $0.id == "snapshot:2" }?.created == "2023-11-14T22:13:20Z")
        #expect(all.first { $0.id == "bitmap:weekly" }?.granularity == 4_096)
        #expect(all.last?.granularity == 65_536)
    }

    // MARK: The snapshots of a VHD Set

    private func set(_ snapshots: [ChainSnapshot]) throws -> DiskChain {
        let layers = chain.layers.enumerated().map { index, layer in
            RecordingLayer(
                ["top", "middle", "base"][index],
                size: Self.size,
                format: .vhdx,
                identifier: GUID(high: 9, low: UInt64(index + 1)),
                points: [],
                file: layer.file
            )
        }
        return DiskChain(layers: layers, snapshots: snapshots, catalogue: chain.layers[0].file)
    }

    @Test func aSnapshotOfASetIsTheStateOfItsLayer() throws {
        let id = GUID(high: 1, low: 1)
        let chain = try set([ChainSnapshot(id: id, place: .layer(1), path: "middle", created: "2024-01-01T00:00:00Z")])
        let plan = try Plan(Question(.changes(since: id.description, target: nil)), about: chain)
        #expect(names(plan.span.maps) == ["top"])
        #expect(names(plan.span.baseline) == ["middle", "base"])
        #expect(plan.format == .vhdset)
        let all = Baseline.all(of: chain)
        #expect(all.map(\.kind) == [.snapshot, .layer, .layer])
        #expect(all.first?.created == "2024-01-01T00:00:00Z")
    }

    @Test func aLostSnapshotIsABaselineOfMoreThanWasWritten() throws {
        let id = GUID(high: 1, low: 2)
        let chain = try set([ChainSnapshot(id: id, place: .above(2), path: "", created: "")])
        let plan = try Plan(Question(.changes(since: id.description, target: nil)), about: chain)
        #expect(names(plan.span.maps) == ["top", "middle"])
        // Its own state is not known, so that no zero may be taken for one that it had.
        #expect(plan.span.baseline.isEmpty)
        #expect(plan.span.floor == Self.size)
        let base = GUID(high: 9, low: 3).description
        for (since, target) in [(base, id.description), (id.description, base)] {
            let code = #expect(throws: QueryError.self) {
                try Plan(Question(.changes(since: since, target: target)), about: chain)
            }?.code
            #expect(code == (since == base ? .baselineUnknown : .invalidParameter))
        }
    }

    @Test func whatTheChainDoesNotProveIsListedAndRefused() throws {
        let id = GUID(high: 1, low: 3)
        let chain = try set([ChainSnapshot(id: id, place: .nowhere, path: "gone", created: "")])
        let code = #expect(throws: QueryError.self) {
            try Plan(Question(.changes(since: id.description, target: nil)), about: chain)
        }?.code
        #expect(code == .baselineUnknown)
        #expect(Baseline.all(of: chain).last?.problem?.code == .baselineUnknown)
    }

    @Test func anIdOfASnapshotAndOfAnotherLayerIsAmbiguous() throws {
        let base = GUID(high: 9, low: 3)
        let other = try set([ChainSnapshot(id: base, place: .layer(1), path: "middle", created: "")])
        let code = #expect(throws: QueryError.self) {
            try Plan(Question(.changes(since: base.description, target: nil)), about: other)
        }?.code
        #expect(code == .baselineAmbiguous)
        let same = try set([ChainSnapshot(id: base, place: .layer(2), path: "base", created: "")])
        #expect(try Plan(Question(.changes(since: base.description, target: nil)), about: same).span.maps.count == 2)
    }
}
