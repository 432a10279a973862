import DiskImages
import Foundation
import TestSupport
import Testing

@testable import ChangeQuery

/// A disk of which somebody has a file open for writing: it is not answered about, for what a write under way has not reached yet
/// is old, and its times do not show it.
@Suite("Disks that somebody has open for writing")
struct DiskInUseTests {
    private let folder: TemporaryFolder
    private let base = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
    private let middle: VHDXBuilder

    init() throws {
        folder = try TemporaryFolder()
        try base.write(to: folder.file("base.vhdx"))
        var middle = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        middle.dataWriteGUID = .random()
        middle.setParent(base.dataWriteGUID, path: "base.vhdx")
        for block in 0..<8 {
            middle.blocks[block] = VHDXBuilder.Block(state: 7, sectors: Set(stride(from: 0, to: 128, by: 2)))
        }
        try middle.write(to: folder.file("middle.avhdx"))
        self.middle = middle
        var leaf = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        leaf.dataWriteGUID = .random()
        leaf.setParent(middle.dataWriteGUID, path: "middle.avhdx")
        leaf.blocks[3] = VHDXBuilder.Block(state: 6)
        try leaf.write(to: folder.file("leaf.avhdx"))
    }

    private func plan(target: GUID? = nil, assumesRest: Bool = false) throws -> Plan {
        let subject = Question.Subject.changes(since: base.dataWriteGUID.description, target: target?.description)
        let chain = try DiskChain.open(folder.file("leaf.avhdx"), in: LocalFiles())
        return try Plan(Question(subject, assumesRest: assumesRest), about: chain)
    }

    private func total(_ plan: Plan, between: () throws -> Void = {}) throws -> UInt64 {
        let limits = BatchLimits(size: 1, maskSectors: 64, count: 1, stripes: 4, dryStripes: 1)
        let cursor = RangeCursor(plan, limits: limits)
        while try cursor.next() != nil { try between() }
        return cursor.totals.bytes
    }

    private func whileOpen<Result>(_ name: String, _ body: () throws -> Result) throws -> Result {
        let writer = open(folder.file(name), O_RDWR)
        #expect(writer >= 0)
        defer { close(writer) }
        return try body()
    }

    private func refusal(_ body: () throws -> Void) throws -> QueryError? {
        do {
            try body()
            return nil
        } catch let error as QueryError {
            return error
        }
    }

    @Test("Each file that the answer rests on counts, and the message names it", arguments: ["leaf", "middle", "base"])
    func everyFileCounts(name: String) throws {
        let file = name == "base" ? "base.vhdx" : name + ".avhdx"
        let expected = try total(try plan())
        let error = try whileOpen(file) { try refusal { _ = try plan() } }
        #expect(error?.code == .image(.inUse))
        #expect(error?.message.contains(file) == true && error?.message.contains("--target") == true)
        #expect(try total(try plan()) == expected)
    }

    @Test("A file above the target does not count")
    func aboveTheTarget() throws {
        let expected = try total(try plan(target: middle.dataWriteGUID))
        let answer = try whileOpen("leaf.avhdx") { try total(try plan(target: middle.dataWriteGUID)) }
        #expect(answer == expected)
        let error = try whileOpen("middle.avhdx") { try refusal { _ = try plan(target: middle.dataWriteGUID) } }
        #expect(error?.code == .image(.inUse))
    }

    @Test("Who knows that the writer is quiet is answered, and the plan says so")
    func assumed() throws {
        let expected = try total(try plan())
        try whileOpen("leaf.avhdx") {
            let plan = try plan(assumesRest: true)
            #expect(plan.assumesRest)
            #expect(plan.wait(by: FileLooks()) == nil)
            #expect(try total(plan) == expected)
        }
        #expect(try !plan().assumesRest)
    }

    @Test("A change is noticed although rest is assumed")
    func assumedWrongly() throws {
        let error = try whileOpen("leaf.avhdx") {
            let plan = try plan(assumesRest: true)
            return try refusal {
                _ = try total(plan) { try RawFile(folder.file("leaf.avhdx")).write([1], at: 7 << 20) }
            }
        }
        #expect(error?.code == .epochChanged)
    }

    @Test("A program that opens a file between two batches ends the answer, though it has written nothing")
    func openedMeanwhile() throws {
        let plan = try plan()
        var writer: Int32 = -1
        defer { close(writer) }
        let error = try refusal {
            _ = try total(plan) { if writer < 0 { writer = open(folder.file("base.vhdx"), O_RDWR) } }
        }
        #expect(error?.code == .image(.inUse))
    }

    @Test("What is stored through a mapping without a trace in the times is in no answer, and not missing in the next")
    func throughAMapping() throws {
        var builder = Qcow2Builder(size: 8 << 20)
        builder.setData(3)
        let path = folder.file("disk.qcow2")
        try builder.write(to: path)
        func bytes() throws -> UInt64 {
            try total(try Plan(Question(.allocation), about: try DiskChain.open(path, in: LocalFiles())))
        }
        let before = try bytes()
        let size = Int(try RawFile(path).size)
        let file = open(path, O_RDWR)
        let memory = try #require(mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0))
        close(file)
        // The page is changed before the disk is asked about, and once more after that.
        let entry = 8 * 20
        let table = try #require(try l2Table(path))
        memory.storeBytes(of: UInt64(0), toByteOffset: table + entry, as: UInt64.self)
        #expect(try refusal { _ = try bytes() }?.code == .image(.inUse))
        let cluster = memory.load(fromByteOffset: table + 8 * 3, as: UInt64.self)
        memory.storeBytes(of: cluster, toByteOffset: table + entry, as: UInt64.self)
        munmap(memory, size)
        #expect(try bytes() == before + 65_536)
    }

    /// Where the first L2 table of a qcow2 file lies, as its own tables say.
    private func l2Table(_ path: String) throws -> Int? {
        let file = try RawFile(path)
        let l1 = try file.read(at: 40, count: 8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let entry = try file.read(at: l1, count: 8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int(exactly: entry & 0x00FF_FFFF_FFFF_FE00)
    }
}
