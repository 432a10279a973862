import TestSupport
import Testing

@testable import DiskImages

/// The machine stops at any moment of any write to a VHD.
///
/// As for VHDX: every state that a crash can leave is built from the recorded operations and read. Every sector of the call
/// that was under way must have its old or its new content, and every other sector what it had; nothing may be refused, and
/// the image must take further writes.
@Suite("Crashes of VHD writers")
struct VHDCrashTests {
    static let callsPerSession = 8
    static let parentWord: UInt64 = 0x7061_7265_6E74_2121
    static let sectorCount = 4 * 1_024 - 100

    struct Scenario: CustomTestStringConvertible, Sendable {
        var type: ImageDescription.DiskType
        /// Whether two blocks are there whose bits are all clear, as other programs leave them.
        var hasBlocks = false
        var seed: UInt64

        var testDescription: String { "\(type.rawValue)\(hasBlocks ? " with blocks" : ""), seed \(seed)" }
    }

    static let scenarios: [Scenario] = (1...3).flatMap { seed in
        [ImageDescription.DiskType.fixed, .dynamic, .differencing].map { Scenario(type: $0, seed: seed) }
            + [Scenario(type: .dynamic, hasBlocks: true, seed: seed)]
    }

    private static func make(_ type: ImageDescription.DiskType, in folder: TemporaryFolder) throws -> String {
        let size = UInt64(sectorCount) * 512
        let base: VHDCreation =
            type == .fixed ? .fixed(virtualSize: size) : .dynamic(virtualSize: size, blockSize: 512 << 10)
        try base.create(at: folder.file("base.vhd"))
        guard type == .differencing else { return folder.file("base.vhd") }
        try VHDCreation.differencing(parent: folder.file("base.vhd"), blockSize: 512 << 10)
            .create(at: folder.file("child.avhd"))
        return folder.file("child.avhd")
    }

    @Test(arguments: scenarios) func everyCrashLeavesOldOrNewContent(scenario: Scenario) throws {
        var random = RepeatableGenerator(seed: scenario.seed)
        let folder = try TemporaryFolder()
        let path = try Self.make(scenario.type, in: folder)
        if scenario.hasBlocks {
            var builder = VHDBuilder(virtualSize: UInt64(Self.sectorCount) * 512, blockSize: 512 << 10)
            builder.blocks = [1: .init(sectors: []), 3: .init(sectors: [])]
            try builder.write(to: path)
        }
        let replayed = folder.file("replayed.vhd")
        try VHDXBytes.copy(path, to: replayed)

        let storage = try RecordingStorage(path)
        var image = try VHDImage(storage.file())
        var writer = VHDWriter(storage: storage, path: path, structure: image.structure)
        var revisions = [image.description.revision]
        let identifier = image.description.identifier
        let calls = try (0..<2 * Self.callsPerSession).map { index in
            if index == Self.callsPerSession {
                // The image is opened again: its time must change again, before anything else does.
                image = try VHDImage(storage.file())
                writer = VHDWriter(storage: storage, path: path, structure: image.structure)
                revisions.append(image.description.revision)
            }
            var call = WriterCall(
                number: index,
                sectorCount: Self.sectorCount,
                sectorsPerBlock: 1_024,
                random: &random
            )
            try call.run(writer, of: storage)
            return call
        }

        var replay = try CrashReplay(path: replayed, operations: storage.operations)
        let absent = scenario.type == .differencing ? Self.parentWord : 0
        var words = [UInt64](repeating: absent, count: Self.sectorCount)
        var sessionStart = words
        for (index, call) in calls.enumerated() {
            let old = words
            if index == Self.callsPerSession { sessionStart = words }
            let revision = revisions[index / Self.callsPerSession]
            words.replaceSubrange(call.sectors, with: repeatElement(call.word ?? 0, count: call.sectors.count))
            func check(_ state: String) throws {
                let crashed = try VHDImage(LocalFiles().open(replayed))
                #expect(crashed.description.identifier == identifier)
                #expect(try VHDBlockCheck(crashed)?.findings(limit: 3).problems.isEmpty ?? true, "\(state)")
                let found = try VHDBytes.words(of: crashed, path: replayed, absent: absent)
                if let sector = WriterCall.firstWrongSector(in: found, old: old, new: words) {
                    Issue.record("\(state): sector \(sector) holds \(String(found[sector], radix: 16))")
                }
                // Who sees other bytes sees another revision.
                if found != sessionStart { #expect(crashed.description.revision != revision, "\(state)") }
            }
            for index in call.operations {
                try replay.forEachTornState(of: index, sectorSize: 512) { try check("operation \(index) torn") }
                if scenario.type != .fixed, case .write(let bytes, _) = storage.operations[index],
                    bytes.starts(with: "conectix".utf8)
                {
                    // Where there are two footers, even one that is half written does no harm.
                    try replay.forEachTornState(of: index, sectorSize: 16) { try check("footer \(index) torn") }
                }
                try replay.forEachReordering(upTo: index, count: 4, sectorSize: 512, random: &random) {
                    try check("operations up to \(index) in another order")
                }
                try replay.apply(index)
                try check("after operation \(index)")
                if index % 3 == 0 { try checkThatItTakesWrites(replayed, absent: absent, in: folder) }
            }
            let end = try VHDBytes.words(of: VHDImage(LocalFiles().open(replayed)), path: replayed, absent: absent)
            #expect(end == words)
        }
    }

    /// After a crash the image is opened again and written to, and is then whole.
    private func checkThatItTakesWrites(_ path: String, absent: UInt64, in folder: TemporaryFolder) throws {
        let copy = folder.file("copy.vhd")
        try VHDXBytes.copy(path, to: copy)
        var expected = try VHDBytes.words(of: VHDImage(LocalFiles().open(copy)), path: copy, absent: absent)
        let sectors = 1_000..<1_048
        let words = [UInt64](repeating: 0x5555, count: sectors.count * 64)
        try ImageWriting.open(copy, isDurable: false).write(words.span.bytes, at: UInt64(sectors.lowerBound * 512))
        expected.replaceSubrange(sectors, with: repeatElement(0x5555, count: sectors.count))
        let image = try VHDImage(LocalFiles().open(copy))
        #expect(image.structure.current.end != nil)
        var report = ImageCheckReport()
        try image.check(into: &report)
        #expect(report.problems.isEmpty)
        let found = try VHDBytes.words(of: image, path: copy, absent: absent)
        // A new block of a disk without a parent is there as a whole.
        #expect(found == expected)
    }

    /// After an error nobody knows what the medium has: the writer takes nothing more, and what is there can be opened.
    @Test(arguments: [ImageDescription.DiskType.fixed, .dynamic, .differencing])
    func aFailedWriteSpoilsNothing(type: ImageDescription.DiskType) throws {
        for count in 0..<14 {
            let folder = try TemporaryFolder()
            let path = try Self.make(type, in: folder)
            let bytes = [UInt8](repeating: 7, count: 5_120)
            do {
                let storage = try RecordingStorage(path)
                let writer = VHDWriter(storage: storage, path: path, structure: try VHDImage(storage.file()).structure)
                storage.remaining = count
                var failure: ImageError?
                do throws(ImageError) { try writer.write(bytes, at: 1 << 20) } catch { failure = error }
                storage.remaining = nil
                if failure != nil {
                    #expect(failure?.code == .writeFailed)
                    #expect(throws: ImageError.self) { try writer.write(bytes, at: 0) }
                } else {
                    try writer.write(bytes, at: 0)
                }
            }
            _ = try LayerWalk.codes(of: DiskChain.open(path, in: LocalFiles()).layers[0])
            try ImageWriting.open(path, isDurable: false).write(bytes, at: 1 << 20)
            let codes = try LayerWalk.codes(of: DiskChain.open(path, in: LocalFiles()).layers[0])
            #expect(codes[2_048..<2_058].allSatisfy { $0 == LayerWalk.code(.data) })
            #expect(try DiskChain.check(path, in: LocalFiles()).problems.isEmpty)
        }
    }
}
