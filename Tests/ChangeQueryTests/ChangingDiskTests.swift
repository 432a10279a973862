import DiskImages
import Foundation
import TestSupport
import Testing

@testable import ChangeQuery

/// A disk that is written to, replaced or hidden while it is asked about, at every moment and in every way: the answer is that
/// of the state it was opened in, or EPOCH_CHANGED.
@Suite("Disks that change while they are asked about")
struct ChangingDiskTests {
    /// What somebody does to a file.
    enum Change: String, CaseIterable {
        /// Writes a byte and takes the time back to what it was.
        case write
        /// The same through a file that has another name.
        case writeByLink
        case grow
        case cut
        /// Puts another file in its place.
        case replace
        case remove
        case touch

        func apply(to path: String) throws {
            var status = stat()
            #expect(stat(path, &status) == 0)
            switch self {
            case .write: try Self.flip(path)
            case .writeByLink:
                #expect(link(path, path + ".link") == 0)
                try Self.flip(path + ".link")
            case .grow:
                let file = try RawFile(path)
                try file.truncate(to: file.size + 4_096)
            case .cut:
                let file = try RawFile(path)
                try file.truncate(to: file.size - min(4_096, file.size / 2))
            case .replace:
                try FileManager.default.copyItem(atPath: path, toPath: path + ".copy")
                #expect(rename(path + ".copy", path) == 0)
            case .remove: #expect(unlink(path) == 0)
            case .touch: #expect(utimes(path, nil) == 0)
            }
            guard self == .write || self == .writeByLink || self == .grow || self == .cut else { return }
            var times = [status.st_atim, status.st_mtim]
            #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
        }

        private static func flip(_ path: String) throws {
            let file = try RawFile(path)
            let place = file.size / 2
            let byte = try file.read(at: place, count: 1)
            try file.write([~(byte.first ?? 0)], at: place)
        }
    }

    enum Format: String, CaseIterable { case vhdx, vhd, qcow2, raw }

    /// A disk of a format whose answer has many batches, in a folder of its own.
    private struct Disk {
        let folder: TemporaryFolder
        let path: String
        let since: String?
        let files: [String]

        init(_ format: Format) throws {
            folder = try TemporaryFolder()
            let sectors = Set(stride(from: 0, to: 128, by: 2))
            switch format {
            case .vhdx:
                var base = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
                base.blocks[1] = VHDXBuilder.Block(state: 6)
                try base.write(to: folder.file("base.vhdx"))
                var child = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
                child.dataWriteGUID = GUID(high: 4, low: 4)
                child.setParent(base.dataWriteGUID, path: "base.vhdx")
                for block in 0..<8 { child.blocks[block] = VHDXBuilder.Block(state: 7, sectors: sectors) }
                path = folder.file("child.avhdx")
                try child.write(to: path)
                since = base.dataWriteGUID.description
                files = [path, folder.file("base.vhdx")]
            case .vhd:
                let base = VHDBuilder(virtualSize: 4 << 20, blockSize: 512 << 10)
                try base.write(to: folder.file("base.vhd"))
                var child = VHDBuilder(virtualSize: 4 << 20, blockSize: 512 << 10)
                child.uniqueID = GUID(high: 4, low: 4)
                child.setParent(base.uniqueID, path: "base.vhd")
                for block in 0..<8 { child.blocks[block] = VHDBuilder.Block(sectors: sectors) }
                path = folder.file("child.avhd")
                try child.write(to: path)
                since = base.uniqueID.description
                files = [path, folder.file("base.vhd")]
            case .qcow2:
                var builder = Qcow2Builder(size: 8 << 20)
                for cluster in stride(from: 0, to: 128, by: 2) { builder.setData(cluster) }
                path = folder.file("disk.qcow2")
                try builder.write(to: path)
                since = nil
                files = [path]
            case .raw:
                path = folder.file("disk.img")
                let file = try RawFile(path, create: true)
                try file.truncate(to: 4 << 20)
                for block in UInt64(0)..<64 { try file.write([1], at: block * 65_536) }
                since = nil
                files = [path]
            }
        }

        func plan(if epoch: Epoch? = nil) throws -> Plan {
            let chain = try DiskChain.open(path, in: LocalFiles())
            let subject: Question.Subject = since.map { .changes(since: $0, target: nil) } ?? .allocation
            return try Plan(Question(subject, ifEpoch: epoch?.description), about: chain)
        }
    }

    private static let limits = BatchLimits(size: 1, maskSectors: 64, count: 1, stripes: 4, dryStripes: 1)

    private func read(_ plan: Plan, before: (_ batch: Int) throws -> Void) throws -> [PlainRange] {
        let cursor = RangeCursor(plan, limits: Self.limits)
        var reader = BatchReader(plan)
        var batch = 0
        while true {
            try before(batch)
            guard let next = try cursor.next() else { break }
            reader.read(next)
            batch += 1
        }
        #expect(reader.problems == [] && reader.position == plan.window.end)
        return reader.ranges
    }

    @Test("At every batch, in every way, in every file", arguments: Format.allCases, Change.allCases)
    func everyMoment(format: Format, change: Change) throws {
        let original = try Disk(format)
        let expected = try read(try original.plan()) { _ in }
        var batches = 0
        _ = try read(try original.plan()) { batches = $0 }
        #expect(batches > 3 && !expected.isEmpty)
        for fileIndex in original.files.indices {
            for moment in Set([0, 1, 2, batches / 2, batches - 1, batches]) {
                let disk = try Disk(format)
                let plan = try disk.plan()
                do {
                    let ranges = try read(plan) { batch in
                        if batch == moment { try change.apply(to: disk.files[fileIndex]) }
                    }
                    // Only behind the last batch can a change be none of the answer's business.
                    #expect(moment == batches && ranges == expected, "\(format) \(change) at \(moment)")
                } catch let error as QueryError {
                    #expect(error.code == .epochChanged, "\(format) \(change) at \(moment): \(error)")
                }
                guard change != .remove else { continue }
                // No later answer fits the first.
                let error = #expect(throws: (any Error).self) { try disk.plan(if: plan.epoch) }
                if let error = error as? QueryError { #expect(error.code == .epochChanged, "\(error)") }
            }
        }
    }

    @Test(
        "A virtual machine may go on writing its leaf while the checkpoint below is asked about",
        arguments: Change.allCases
    )
    func theLeafIsNoPartOfIt(change: Change) throws {
        let folder = try TemporaryFolder()
        var guids: [GUID] = []
        var expected: [PlainRange] = []
        for index in 0..<3 {
            var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
            builder.dataWriteGUID = GUID(high: 4, low: UInt64(index + 1))
            if let parent = guids.last { builder.setParent(parent, path: "\(index - 1).vhdx") }
            for block in stride(from: index, to: 8, by: 2) { builder.blocks[block] = VHDXBuilder.Block(state: 6) }
            guids.append(builder.dataWriteGUID)
            try builder.write(to: folder.file("\(index).vhdx"))
            if index == 1 {
                expected = stride(from: UInt64(1), to: 8, by: 2).map {
                    PlainRange(start: $0 << 20, end: ($0 + 1) << 20, kind: .data)
                }
            }
        }
        let leaf = folder.file("2.vhdx")
        let chain = try DiskChain.open(leaf, in: LocalFiles())
        let subject = Question.Subject.changes(since: guids[0].description, target: guids[1].description)
        let plan = try Plan(Question(subject), about: chain)
        let ranges = try read(plan) { batch in if batch == 1 { try change.apply(to: leaf) } }
        #expect(ranges == expected)
        guard change != .remove, change != .cut else { return }
        let again = try Plan(
            Question(subject, ifEpoch: plan.epoch.description),
            about: try DiskChain.open(leaf, in: LocalFiles())
        )
        #expect(again.epoch == plan.epoch)
    }

    @Test("A file that is said to have been modified in the future is answered from like any other")
    func aTimeInTheFuture() throws {
        for format in Format.allCases {
            let disk = try Disk(format)
            let expected = try read(try disk.plan()) { _ in }
            for file in disk.files {
                var times = [timespec(tv_sec: 4_102_444_800, tv_nsec: 0), timespec(tv_sec: 4_102_444_800, tv_nsec: 0)]
                #expect(utimensat(AT_FDCWD, file, &times, 0) == 0)
            }
            #expect(try read(try disk.plan()) { _ in } == expected)
        }
    }

    @Test("Headers that changed with nothing else are seen")
    func headersAlone() throws {
        let disk = try Disk(.vhdx)
        let chain = try DiskChain.open(disk.path, in: LocalFiles())
        let image = try #require(chain.layers.first)
        #expect(try image.hasSameHeaders())
        let file = try RawFile(disk.path)
        try file.write(number: UInt64(99), at: (64 << 10) + 8)
        #expect(try !image.hasSameHeaders())
        #expect(!image.isUnchanged && !chain.isUnchanged)
    }

    @Test("A file that is written without a pause gives answers of one state, or none")
    func aWriterThatDoesNotStop() async throws {
        let disk = try Disk(.raw)
        let path = disk.path
        let writer = Task.detached {
            // Data where there was a hole, in ascending order: an answer of one state has a first run of data without a gap.
            let file = try RawFile(path)
            var offset: UInt64 = 0
            while !Task.isCancelled, offset < 4 << 20 {
                try file.write([UInt8](repeating: 7, count: 512), at: offset)
                offset += 512
            }
        }
        var refused = 0
        var answered = 0
        for _ in 0..<40 {
            do {
                let plan = try disk.plan()
                let ranges = try read(plan) { _ in }
                answered += 1
                // What is data now was data then, or came later: nothing that was there is missing.
                #expect(ranges.reduce(0) { $0 + $1.end - $1.start } >= 64 * 512)
            } catch let error as QueryError {
                #expect(error.code == .epochChanged || error.code == .image(.inUse))
                refused += 1
            } catch let error as ImageError {
                #expect(error.code == .changed)
                refused += 1
            }
        }
        writer.cancel()
        try await writer.value
        #expect(refused + answered == 40)
        #expect(try read(try disk.plan()) { _ in }.isEmpty == false)
    }
}
