import TestSupport
import Testing

@testable import DiskImages

/// Which entries of a log count, and what they do.
@Suite("VHDX logs")
struct VHDXLogTests {
    static let guid = GUID(high: 0x1065_1065_1065_4065, low: 0x8065_1065_1065_1065)
    static let other = GUID(high: 0x2065_1065_1065_4065, low: 0x8065_1065_1065_1065)
    /// Behind the entries of the table.
    static let free: UInt64 = (3 << 20) + (512 << 10)

    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.vhdx")
    }

    /// Writes a file of four blocks, of which the first is there, with `log`.
    private func make(_ log: LogBuilder, guid: GUID = guid, size: UInt64 = 8 << 20) throws {
        var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
        builder.logGUID = guid
        builder.logLength = UInt32(log.length)
        if log.length > 1 << 20 { builder.logOffset = 16 << 20 }
        builder.blocks = [0: .init(state: 6)]
        try builder.write(to: path)
        let file = try RawFile(path)
        try file.truncate(to: max(size, builder.logOffset + UInt64(log.length)))
        try file.write(log.bytes, at: builder.logOffset)
    }

    private func open() throws(ImageError) -> VHDXImage { try VHDXImage(LocalFiles().open(path)) }

    /// An entry that writes `byte` everywhere in the sector at `offset`.
    private func entry(
        _ number: UInt64,
        _ byte: UInt8 = 0xEE,
        at offset: UInt64 = free,
        guid: GUID = guid,
        tail: Int? = nil
    ) -> LogBuilder.Entry {
        let content = [UInt8](repeating: byte, count: 4_096)
        let writes = [LogBuilder.Write.data(content, at: offset)]
        return LogBuilder.Entry(guid: guid, sequenceNumber: number, tail: tail.map { UInt64($0) }, writes: writes)
    }

    /// The first byte of each of the sectors from `free` on.
    private func bytes(_ count: Int) throws -> [UInt8] {
        let file = try open().structure.file
        return try (0..<count).map { try file.bytes(at: Self.free + UInt64($0) * 4_096 + 2_000, count: 1)[0] }
    }

    private func expectRefused(
        _ code: ImageError.Code,
        _ text: String,
        location: SourceLocation = #_sourceLocation
    ) {
        do throws(ImageError) {
            _ = try open()
            Issue.record("the file is opened", sourceLocation: location)
        } catch {
            #expect(error.code == code, "\(error)", sourceLocation: location)
            #expect(error.message.contains(text), "\(error)", sourceLocation: location)
            #expect(error.path == path, sourceLocation: location)
            #expect(error.offset != nil, sourceLocation: location)
            // What cannot be read after a replay is not repaired.
            #expect(throws: ImageError.self) { try VHDXRepair.replay(path) }
        }
    }

    @Test func aBlockThatOnlyTheLogKnows() throws {
        var log = LogBuilder()
        var table = [UInt8](repeating: 0, count: 4_096)
        table[0] = 2
        table[16] = 6
        table[18] = 0x40
        log.append(LogBuilder.Entry(guid: Self.guid, sequenceNumber: 5, writes: [.data(table, at: 3 << 20)]))
        try make(log)
        let codes = try LayerWalk.codes(of: try open())
        let wanted: [SectorContent] = [.zero, .absent, .data, .absent]
        for (block, content) in wanted.enumerated() { #expect(codes[block * 2_048 + 5] == LayerWalk.code(content)) }
        #expect(try open().hasDirtyLog)
        let bytes = try open().structure.file.bytes(at: (3 << 20) - 8, count: 4_200)
        #expect(bytes == [UInt8](repeating: 0, count: 8) + table + [UInt8](repeating: 0, count: 96))
    }

    @Test func writesComeOneAfterTheOther() throws {
        var log = LogBuilder()
        let noise = [UInt8](repeating: 9, count: 4_096)
        var first = entry(1, 1)
        first.writes += [.data(noise, at: Self.free + 4_096), .data(noise, at: Self.free + 8_192)]
        log.append(first)
        var second = entry(2, 2, tail: 0)
        second.writes += [.zeroes(length: 4_096, at: Self.free + 4_096), .zeroes(length: 0, at: Self.free + 8_192)]
        log.append(second)
        try make(log)
        #expect(try bytes(4) == [2, 0, 9, 0])
        // Over the edges of a sector.
        let read = try open().structure.file.bytes(at: Self.free + 4_090, count: 12)
        #expect(read == [2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0])
    }

    /// What lies before the tail had reached its place, where something else may be by now.
    @Test func entriesBeforeTheTailAreNotReplayed() throws {
        var log = LogBuilder()
        log.append(entry(1, 1, tail: 0))
        let tail = log.position
        log.append(entry(2, 2, at: Self.free + 4_096, tail: 0))
        log.append(entry(3, 3, at: Self.free + 8_192, tail: tail))
        try make(log)
        #expect(try bytes(3) == [0, 2, 3])
    }

    @Test func theSequenceWithTheHighestNumberCounts() throws {
        for numbers in [[5, 9, 3], [9, 5, 3], [3, 5, 9]] as [[UInt64]] {
            var log = LogBuilder()
            for (index, number) in numbers.enumerated() {
                let start = log.position
                log.append(entry(number, UInt8(number), at: Self.free + UInt64(index) * 4_096, tail: start))
            }
            try make(log)
            #expect(try bytes(3) == numbers.map { $0 == 9 ? 9 : 0 })
        }
    }

    @Test func aSequenceWithoutItsTailDoesNotCount() throws {
        var log = LogBuilder()
        log.append(entry(1, 1))
        log.skip(sectors: 1)
        // Newer, and the tail is where the older one begins, or nothing, or inside of an entry.
        for tail in [0, 512 << 10, log.position + 4_096] {
            var log = log
            log.append(entry(7, 7, tail: tail))
            try make(log)
            #expect(try bytes(1) == [1])
        }
        log = LogBuilder()
        log.append(entry(7, 7, tail: 512 << 10))
        try make(log)
        expectRefused(.corrupt, "no complete sequence")
    }

    @Test func aSequenceMayGoOnAtTheStart() throws {
        for start in [1 << 20, 255 << 12, 254 << 12, 253 << 12, 252 << 12] {
            var log = LogBuilder(position: start % (1 << 20))
            let tail = log.position
            for number in UInt64(1)...3 {
                log.append(entry(number, UInt8(number), at: Self.free + (number - 1) * 4_096, tail: tail))
            }
            try make(log)
            #expect(try bytes(3) == [1, 2, 3], "start \(start >> 12)")
        }
    }

    @Test func descriptorsFillSeveralSectors() throws {
        for (count, sectors) in [(126, 1), (127, 2), (254, 2), (255, 3)] {
            var log = LogBuilder(position: 200 << 12)
            var entry = entry(1, 1)
            entry.writes = (0..<count).map { index in
                let content = [UInt8](repeating: UInt8(index % 251), count: 4_096)
                // Every tenth has content; else the log would be too short.
                return index % 10 == 0
                    ? .data(content, at: Self.free + UInt64(index) * 4_096)
                    : .zeroes(length: 4_096, at: Self.free + UInt64(index) * 4_096)
            }
            #expect(entry.length == (sectors + (count + 9) / 10) * 4_096)
            log.append(entry)
            // The table ends 127 sectors behind the free part's start.
            try make(log, size: 8 << 20)
            let file = try open().structure.file
            for index in 0..<count {
                let read = try file.bytes(at: Self.free + UInt64(index) * 4_096 + 4_092, count: 4)
                let byte = UInt8(index % 10 == 0 ? index % 251 : 0)
                #expect(read == [byte, byte, byte, byte], "descriptor \(index) of \(count)")
            }
        }
    }

    @Test func anEntryWithoutDescriptorsAndOneWithRoomToSpare() throws {
        var log = LogBuilder()
        log.append(LogBuilder.Entry(guid: Self.guid, sequenceNumber: 1))
        var second = entry(2, 2, tail: 0)
        second.spareSectorCount = 3
        log.append(second)
        log.append(entry(3, 3, at: Self.free + 4_096, tail: 0))
        try make(log)
        #expect(try bytes(2) == [2, 3])
        // What is left over must not look like an entry.
        second.damage = { bytes in bytes.replaceSubrange(3 * 4_096..<3 * 4_096 + 4, with: Array("loge".utf8)) }
        log = LogBuilder()
        log.append(LogBuilder.Entry(guid: Self.guid, sequenceNumber: 1))
        log.append(second)
        try make(log)
        #expect(try bytes(1) == [0])
    }

    struct Fault: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var change: @Sendable (inout LogBuilder.Entry) -> Void

        init(_ name: String, _ change: @escaping @Sendable (inout LogBuilder.Entry) -> Void) {
            testDescription = name
            self.change = change
        }

        static func bytes(_ name: String, _ offset: Int, _ bytes: [UInt8]) -> Fault {
            Fault(name) { $0.damage = { $0.replaceSubrange(offset..<offset + bytes.count, with: bytes) } }
        }
    }

    static let faults: [Fault] = [
        Fault("a wrong checksum") { $0.hasGoodChecksum = false },
        Fault("another log") { $0.guid = other },
        Fault("the number zero") { $0.sequenceNumber = 0 },
        Fault("a number left out") { $0.sequenceNumber += 1 },
        .bytes("another signature", 0, [0x4C]),
        .bytes("the length zero", 8, [0, 0, 0, 0]),
        .bytes("a length between sectors", 8, [0, 0x21, 0, 0]),
        .bytes("a length above the log's", 8, [0, 0x10, 0x10, 0]),
        .bytes("the largest length", 8, [0, 0xF0, 0xFF, 0xFF]),
        .bytes("a tail between sectors", 12, [1]),
        .bytes("a tail behind the log", 12, [0, 0, 0x10, 0]),
        .bytes("more descriptors than sectors", 24, [127]),
        .bytes("more descriptors than can be", 24, [0xFF, 0xFF, 0xFF, 0xFF]),
        .bytes("more data descriptors than data", 8, [0, 0x10, 0, 0]),
        .bytes("another descriptor", 64, [0x44]),
        .bytes("a place between sectors", 64 + 16, [1]),
        .bytes("another number in the descriptor", 64 + 24, [0x99]),
        .bytes("another data sector", 4_096, [0x44]),
        .bytes("another high half of the number", 4_096 + 4, [1]),
        .bytes("another low half of the number", 8_192 - 4, [0x99]),
    ]

    /// The sequence ends before the entry that is not right.
    @Test(arguments: faults) func anEntryThatIsNotRightEndsTheSequence(fault: Fault) throws {
        var log = LogBuilder()
        log.append(entry(1, 1))
        var second = entry(2, 2, tail: 0)
        fault.change(&second)
        log.append(second)
        try make(log)
        #expect(try bytes(1) == [1])
        // On its own it is no sequence; but one with another number, whose tail is the entry before, is looked for.
        guard fault.testDescription != "a number left out" else { return }
        log = LogBuilder()
        second.tail = nil
        log.append(second)
        try make(log)
        expectRefused(.corrupt, "no complete sequence")
    }

    @Test func zeroDescriptorsOfOddLengthAreNotRight() throws {
        var log = LogBuilder()
        log.append(entry(1, 1))
        var second = LogBuilder.Entry(guid: Self.guid, sequenceNumber: 2, tail: 0)
        second.writes = [.zeroes(length: 4_097, at: Self.free)]
        log.append(second)
        try make(log)
        #expect(try bytes(1) == [1])
    }

    @Test func aFileThatWasCutShortIsRefused() throws {
        var log = LogBuilder()
        var first = entry(1, 1)
        // An older entry may speak of a file that was longer than it is now.
        first.flushedFileOffset = 1 << 40
        log.append(first)
        var second = entry(2, 2, tail: 0)
        second.flushedFileOffset = 8 << 20
        log.append(second)
        try make(log)
        #expect(try bytes(1) == [2])
        try RawFile(path).truncate(to: (8 << 20) - 1)
        expectRefused(.corrupt, "cut short")
    }

    @Test func theLogMakesTheFileLonger() throws {
        var log = LogBuilder()
        var first = entry(1, 1)
        first.lastFileOffset = 10 << 20
        var table = [UInt8](repeating: 0, count: 4_096)
        table[0] = 6
        table[2] = 0x80
        first.writes = [.data(table, at: 3 << 20), .data(table, at: 20 << 20), .zeroes(length: 8_192, at: 21 << 20)]
        log.append(first)
        try make(log)
        let file = try open().structure.file
        #expect(file.size == 21 << 20 + 8_192)
        #expect(try file.bytes(at: 20 << 20, count: 4_096) == table)
        #expect(try file.bytes(at: 15 << 20, count: 8) == [UInt8](repeating: 0, count: 8))
        #expect(try LayerWalk.codes(of: open())[0] == LayerWalk.code(.data))
        #expect(throws: ImageError.self) { try file.bytes(at: file.size - 4, count: 8) }
        #expect(try RawFile(path).size == 8 << 20)
        #expect(try VHDXRepair.replay(path))
        #expect(try RawFile(path).size == 21 << 20 + 8_192)
        #expect(try RawFile(path).read(at: 20 << 20, count: 4_096) == table)
        // No file is that long.
        first.lastFileOffset = 1 << 60
        log = LogBuilder()
        log.append(first)
        try make(log)
        expectRefused(.corrupt, "which no VHDX file is")
    }

    static let forbidden: [LogBuilder.Write] = [
        .data([UInt8](repeating: 1, count: 4_096), at: 0),
        .data([UInt8](repeating: 1, count: 4_096), at: 64 << 10),
        .data([UInt8](repeating: 1, count: 4_096), at: 128 << 10),
        .data([UInt8](repeating: 1, count: 4_096), at: 188 << 10),
        .data([UInt8](repeating: 1, count: 4_096), at: 1 << 20),
        .data([UInt8](repeating: 1, count: 4_096), at: (2 << 20) - 4_096),
        .zeroes(length: 8_192, at: (1 << 20) - 4_096),
        .zeroes(length: 4 << 20, at: 256 << 10),
        .zeroes(length: 0xFFFF_FFFF_FFFF_F000, at: free),
        .zeroes(length: 4_096, at: 0xFFFF_FFFF_FFFF_F000),
        .zeroes(length: 0x7FFF_FFFF_FFFF_F000, at: 0x8000_0000_0000_1000),
        .data([UInt8](repeating: 1, count: 4_096), at: 1 << 50),
    ]

    /// The identifier and the headers are not written by way of the log, nor is the log itself.
    @Test(arguments: forbidden.indices) func writesToOtherPlacesAreRefused(index: Int) throws {
        var log = LogBuilder()
        log.append(LogBuilder.Entry(guid: Self.guid, sequenceNumber: 1, writes: [Self.forbidden[index]]))
        try make(log)
        expectRefused(.corrupt, "by way of the log")
    }

    @Test func fieldsOfALaterVersionAreRefused() throws {
        let places: [(offset: Int, write: LogBuilder.Write)] = [
            (28, .zeroes(length: 4_096, at: Self.free)), (64 + 4, .zeroes(length: 4_096, at: Self.free)),
        ]
        for (offset, write) in places {
            var log = LogBuilder()
            var first = LogBuilder.Entry(guid: Self.guid, sequenceNumber: 1, writes: [write])
            first.damage = { $0[offset] = 1 }
            log.append(first)
            try make(log)
            expectRefused(.unsupported, "does not know")
        }
    }

    @Test func moreChangesThanAreReplayedAreRefused() throws {
        let most = VHDXLogOverlay.maximumDescriptorCount
        for (count, isRefused) in [(most, false), (most + 1, true)] {
            var log = LogBuilder(length: 2 << 20)
            var first = LogBuilder.Entry(guid: Self.guid, sequenceNumber: 1)
            first.writes = [LogBuilder.Write](repeating: .zeroes(length: 4_096, at: Self.free), count: count)
            log.append(first)
            try make(log)
            if isRefused {
                expectRefused(.resourceLimit, "more than the \(most) changes")
            } else {
                #expect(try open().structure.file.overlay?.pieces.count == 1)
            }
        }
    }

    @Test func aLogLongerThanIsSearchedIsRefused() throws {
        let length = VHDXLog.maximumLength + (1 << 20)
        var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        builder.logGUID = Self.guid
        builder.logOffset = 64 << 20
        builder.logLength = UInt32(length)
        try builder.write(to: path)
        try RawFile(path).truncate(to: builder.logOffset + length)
        expectRefused(.resourceLimit, "that are searched")
    }

    /// Entries over entries, each of which claims all that follows: nothing is looked at more than twice.
    @Test func aLogThatWantsToBeExpensive() throws {
        var log = LogBuilder(length: 8 << 20)
        for sector in 0..<2_048 {
            log.position = sector << 12
            var next = LogBuilder.Entry(guid: Self.guid, sequenceNumber: UInt64(sector % 7) + 1)
            let isLong = sector % 2 == 0
            next.damage = { bytes in
                if isLong { bytes.replaceSubrange(8..<12, with: [0, 0, 0x80, 0]) }
            }
            next.tail = 4 << 20
            log.append(next)
        }
        try make(log)
        expectRefused(.corrupt, "no complete sequence")
    }

    @Test func aWriterWantsTheLogReplayedFirst() throws {
        var log = LogBuilder()
        log.append(entry(1, 1))
        try make(log)
        do throws(ImageError) {
            _ = try ImageWriting.open(path)
            Issue.record("an image with a dirty log is opened for writing")
        } catch {
            #expect(error.code == .unsupported)
            #expect(error.message.contains("diskdelta image check --repair"))
        }
        #expect(try DiskChain.check(path, in: LocalFiles()).dirtyLogs == [path])
        try VHDXRepair.replay(path)
        try ImageWriting.open(path).write([UInt8](repeating: 1, count: 512), at: 0)
    }

    /// Where nothing is to be replayed, nobody needs to know how.
    @Test func theLogsVersionDoesNotMatterWhereItIsEmpty() throws {
        var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
        builder.logVersion = 9
        try builder.write(to: path)
        #expect(try !open().hasDirtyLog)
        #expect(try VHDXRepair.replay(path) == false)
    }

    @Test func headersWithTheSameNumberThatSayTheSame() throws {
        var log = LogBuilder()
        log.append(entry(1, 1))
        try make(log)
        let file = try RawFile(path)
        var header = try file.read(at: 128 << 10, count: 4_096)
        // What is reserved is ignored.
        header[3_000] = 1
        try file.write(VHDXBuilder.checksummed(header, length: 4_096), at: 64 << 10)
        #expect(try bytes(1) == [1])
        #expect(try VHDXRepair.replay(path))
        #expect(try !open().hasDirtyLog)
    }
}
