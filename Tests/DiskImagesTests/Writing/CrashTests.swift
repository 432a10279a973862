import TestSupport
import Testing

@testable import DiskImages

/// The machine stops at any moment of any write.
///
/// What a writer did to its file is recorded, and every state that a crash can leave is built and read: each prefix of the
/// operations, each with its last write torn, and any choice of what was not yet synchronised. Every sector of the call that
/// was under way must have its old or its new content, and every other sector what it had; nothing may be refused.
@Suite("Crashes")
struct CrashTests {
    static let callsPerSession = 10

    /// What the sectors that are not in this file hold: the parent's.
    static let parentWord: UInt64 = 0x7061_7265_6E74_2121

    struct Scenario: CustomTestStringConvertible, Sendable {
        var isDifferencing: Bool
        var sectorSize: Int
        var seed: UInt64

        var testDescription: String {
            "\(isDifferencing ? "differencing" : "dynamic"), sectors of \(sectorSize), seed \(seed)"
        }
    }

    static let scenarios: [Scenario] = [false, true].flatMap { isDifferencing in
        [512, 4_096].flatMap { size in
            (1...2).map { Scenario(isDifferencing: isDifferencing, sectorSize: size, seed: $0) }
        }
    }

    private static func make(_ scenario: Scenario, in folder: TemporaryFolder) throws -> String {
        let size: UInt64 = 3 << 20 | 512 << 10
        try VHDXCreation.dynamic(
            virtualSize: size,
            blockSize: 1 << 20,
            logicalSectorSize: UInt32(scenario.sectorSize)
        ).create(at: folder.file("base.vhdx"))
        guard scenario.isDifferencing else { return folder.file("base.vhdx") }
        try VHDXCreation.differencing(parent: folder.file("base.vhdx"), blockSize: 1 << 20)
            .create(at: folder.file("child.avhdx"))
        return folder.file("child.avhdx")
    }

    @Test(arguments: scenarios) func everyCrashLeavesOldOrNewContent(scenario: Scenario) throws {
        var random = RepeatableGenerator(seed: scenario.seed)
        let folder = try TemporaryFolder()
        let path = try Self.make(scenario, in: folder)
        let replayed = folder.file("replayed.vhdx")
        try VHDXBytes.copy(path, to: replayed)

        let storage = try RecordingStorage(path)
        var image = try VHDXImage(storage.file())
        var writer = VHDXWriter(storage: storage, path: path, structure: image.structure)
        let sectorCount = Int(writer.virtualSize) / scenario.sectorSize
        var identifiers = [image.description.identifier]
        let calls = try (0..<2 * Self.callsPerSession).map { index in
            if index == Self.callsPerSession {
                // The image is opened again: the headers must change again, before anything else does.
                image = try VHDXImage(storage.file())
                writer = VHDXWriter(storage: storage, path: path, structure: image.structure)
                identifiers.append(image.description.identifier)
            }
            var call = WriterCall(
                number: index,
                sectorCount: sectorCount,
                sectorsPerBlock: (1 << 20) / scenario.sectorSize,
                random: &random
            )
            try call.run(writer, of: storage)
            return call
        }

        var replay = try CrashReplay(path: replayed, operations: storage.operations)
        var words = [UInt64](repeating: scenario.isDifferencing ? Self.parentWord : 0, count: sectorCount)
        let empty = words
        var sessionStart = words
        for (index, call) in calls.enumerated() {
            let old = words
            if index == Self.callsPerSession { sessionStart = words }
            let identifier = identifiers[index / Self.callsPerSession]
            words.replaceSubrange(call.sectors, with: repeatElement(call.word ?? 0, count: call.sectors.count))
            func check(_ state: String) throws {
                let crashed = try VHDXImage(LocalFiles().open(replayed))
                #expect(try VHDXBlockCheck(crashed).findings(limit: 3).problems.isEmpty, "\(state)")
                let found = try VHDXBytes.words(
                    of: crashed,
                    path: replayed,
                    sectorSize: scenario.sectorSize,
                    absent: empty[0]
                )
                if let sector = WriterCall.firstWrongSector(in: found, old: old, new: words) {
                    Issue.record("\(state): sector \(sector) holds \(String(found[sector], radix: 16))")
                }
                // Who sees other bytes sees another identity.
                if found != sessionStart { #expect(crashed.description.identifier != identifier, "\(state)") }
            }
            for index in call.operations {
                try replay.forEachTornState(of: index, sectorSize: scenario.sectorSize) {
                    try check("operation \(index) torn")
                }
                try replay.forEachReordering(
                    upTo: index,
                    count: 4,
                    sectorSize: scenario.sectorSize,
                    random: &random
                ) {
                    try check("operations up to \(index) in another order")
                }
                try replay.apply(index)
                try check("after operation \(index)")
            }
            let end = try VHDXBytes.words(
                of: VHDXImage(LocalFiles().open(replayed)),
                path: replayed,
                sectorSize: scenario.sectorSize,
                absent: empty[0]
            )
            #expect(end == words)
        }
    }

    /// After an error nobody knows what the medium has: the writer takes nothing more, and what is there can be opened.
    @Test(arguments: [false, true]) func aFailedWriteSpoilsNothing(isDifferencing: Bool) throws {
        for count in 0..<14 {
            let folder = try TemporaryFolder()
            let path = try Self.make(Scenario(isDifferencing: isDifferencing, sectorSize: 512, seed: 0), in: folder)
            let bytes = [UInt8](repeating: 7, count: 5_120)
            do {
                let storage = try RecordingStorage(path)
                let image = try VHDXImage(storage.file())
                let writer = VHDXWriter(storage: storage, path: path, structure: image.structure)
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
            #expect(try DiskChain.check(path, in: LocalFiles()).problems.isEmpty)
            try ImageWriting.open(path, isDurable: false).write(bytes, at: 1 << 20)
            let codes = try LayerWalk.codes(of: DiskChain.open(path, in: LocalFiles()).layers[0])
            #expect(codes[2_048..<2_058].allSatisfy { $0 == LayerWalk.code(.data) })
        }
    }
}
