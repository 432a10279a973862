import ChangeQuery
import DiskDeltaProtocol
import DiskDeltaService
import DiskImages
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaJobs

/// What was written comes back, or it is noticed: never a wrong answer.
@Suite("Spools")
struct SpoolTests {
    private static let seeds: [UInt64] = (1...8).map { $0 &* 0x9E37_79B1 }
    private let folder: TemporaryFolder
    private let spools: SpoolFolder
    private let id = GUID(high: 0x0102_0304_0506_0708, low: 0x1112_1314_1516_1718)

    init() throws {
        folder = try TemporaryFolder()
        spools = SpoolFolder(path: folder.path)
    }

    /// Writes a disk's answer and returns how many bytes of the file count.
    private func write(_ disk: ScriptedDisk, as id: GUID) async throws -> UInt64 {
        let disks = ScriptedDisks()
        disks["d"] = disk
        let stream = try await disks.getVirtualDiskChanges(
            GetVirtualDiskChangesRequest(path: "d"),
            context: CallContext()
        )
        _ = try await stream.next()
        let writer = try spools.writer(id, continuing: 0, at: 0)
        var position: UInt64 = 0
        while let answer = try await stream.next() {
            let batch = try BatchRanges(
                answer,
                from: position,
                unit: ScriptedDisk.unit,
                windowEnd: disk.size,
                size: disk.size
            )
            try writer.append(answer, hasRanges: batch.hasRanges, end: batch.end, unit: ScriptedDisk.unit)
            position = batch.end
        }
        try writer.synchronize()
        return writer.length
    }

    private func read(_ length: UInt64, of disk: ScriptedDisk, from offset: UInt64 = 0) throws -> [BatchRanges.Range] {
        let reader = try spools.reader(id, length: length, window: 0..<disk.size)
        var ranges: [BatchRanges.Range] = []
        while let piece = try reader.next(from: offset) {
            guard let answer = piece.batch else { continue }
            var batch = try BatchRanges(
                answer,
                from: piece.record.start,
                unit: piece.record.unit,
                windowEnd: disk.size,
                size: disk.size
            )
            while let range = try batch.next() { ranges.append(range) }
        }
        return ranges
    }

    @Test("The ranges come back, from any record on", arguments: seeds)
    func roundTrip(seed: UInt64) async throws {
        print("spools: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let disk = ScriptedDisk.random(using: &generator)
        let length = try await write(disk, as: id)
        #expect(try read(length, of: disk) == disk.ranges)
        for _ in 0..<20 {
            let offset = UInt64.random(in: 0...disk.size, using: &generator)
            let ranges = try read(length, of: disk, from: offset)
            // Whole records: all ranges that end above the offset, and perhaps some before.
            #expect(ranges == Array(disk.ranges.suffix(ranges.count)))
            #expect(disk.ranges.dropLast(ranges.count).allSatisfy { $0.end <= offset })
        }
    }

    @Test("Cut off anywhere")
    func truncation() async throws {
        var generator = RepeatableGenerator(seed: 3)
        let disk = ScriptedDisk.random(using: &generator, ranges: 20)
        let length = try await write(disk, as: id)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: spools.file(of: id)))
        #expect(bytes.count == Int(length))
        for count in 0..<bytes.count {
            try bytes.prefix(count).write(to: URL(fileURLWithPath: spools.file(of: id)))
            // The row tells of more than there is; and a row that tells of just that much.
            for told in [length, UInt64(count)] {
                let error = #expect(throws: CallError.self, "\(count) bytes, \(told) told") { try read(told, of: disk) }
                #expect(error?.reason == .internal)
            }
        }
    }

    @Test("Any byte changed")
    func corruption() async throws {
        var generator = RepeatableGenerator(seed: 4)
        let disk = ScriptedDisk.random(using: &generator, ranges: 20)
        let length = try await write(disk, as: id)
        let whole = try Data(contentsOf: URL(fileURLWithPath: spools.file(of: id)))
        for index in whole.indices {
            for mask in [0x01, 0x80, UInt8.random(in: 1...255, using: &generator)] as [UInt8] {
                var bytes = whole
                bytes[index] ^= mask
                try bytes.write(to: URL(fileURLWithPath: spools.file(of: id)))
                let error = #expect(throws: CallError.self, "byte \(index), mask \(mask)") {
                    try read(length, of: disk)
                }
                #expect(error?.reason == .internal)
            }
        }
    }

    @Test("A record that is lost, doubled or another's is noticed")
    func records() async throws {
        var generator = RepeatableGenerator(seed: 5)
        let disk = ScriptedDisk.random(using: &generator, ranges: 20)
        let length = try await write(disk, as: id)
        let url = URL(fileURLWithPath: spools.file(of: id))
        let whole = [UInt8](try Data(contentsOf: url))
        var places: [Int] = []
        var place = 0
        while place < whole.count {
            places.append(place)
            let head = try #require(SpoolRecord(Array(whole[place..<place + SpoolRecord.headLength]), of: id))
            place += SpoolRecord.headLength + head.payloadLength
        }
        #expect(places.count > 4)
        for (index, start) in places.enumerated() {
            let end = index + 1 < places.count ? places[index + 1] : whole.count
            let lost = Array(whole[..<start] + whole[end...])
            let doubled = Array(whole[..<end] + whole[start...])
            for bytes in [lost, doubled] {
                try Data(bytes).write(to: url)
                #expect(throws: CallError.self, "record \(index)") { try read(UInt64(bytes.count), of: disk) }
            }
        }
        // All of another job's.
        let other = GUID(high: 9, low: 9)
        #expect(try await write(disk, as: other) == length)
        try Data(contentsOf: URL(fileURLWithPath: spools.file(of: other))).write(to: url)
        #expect(throws: CallError.self) { try read(length, of: disk) }
    }

    @Test("What a crash left behind the length that counts is cut off, and written anew")
    func theTail() async throws {
        var generator = RepeatableGenerator(seed: 6)
        let disk = ScriptedDisk.random(using: &generator, ranges: 20)
        let length = try await write(disk, as: id)
        let url = URL(fileURLWithPath: spools.file(of: id))
        let whole = try Data(contentsOf: url)
        try (whole + Data(repeating: 0xEE, count: 1_000)).write(to: url)
        #expect(try read(length, of: disk) == disk.ranges)
        let writer = try spools.writer(id, continuing: length, at: disk.size)
        #expect(writer.length == length)
        #expect(try Data(contentsOf: url) == whole)
        // A file that has not even what counts is not continued.
        try whole.dropLast().write(to: url)
        #expect(throws: CallError.self) { try spools.writer(id, continuing: length, at: disk.size) }
        // A job that starts anew does not see what was there.
        let anew = try spools.writer(id, continuing: 0, at: 0)
        #expect(anew.length == 0)
        #expect(try Data(contentsOf: url).isEmpty)
    }

    @Test("Only the spools of jobs stay")
    func cleaning() throws {
        let kept = GUID(high: 1, low: 1)
        for id in [id, kept] { _ = try spools.writer(id, continuing: 0, at: 0) }
        try Data().write(to: URL(fileURLWithPath: folder.file("note")))
        spools.clean(keeping: [kept])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(names == ["00000000-0000-0001-0000-000000000001.spool", "note"])
    }
}
