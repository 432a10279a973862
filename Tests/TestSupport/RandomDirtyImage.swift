public import DiskImages

/// A VHDX file that was not closed properly, made at random: what it held before, and a log that leads to what it holds.
///
/// Two images with the same layout are made, one *before* and one *after*. The log writes every sector of 4 KiB in which
/// they differ, on the way through any number of other contents, and lies in a ring among entries that do not count:
/// older sequences, other logs, torn entries, entries that had done their work.
public struct RandomDirtyImage {
    static let blockCount = 600
    private static let mebibyte: UInt64 = 1 << 20
    /// Where the sector bitmap lies, and behind it the blocks.
    private static let bitmapOffset = 4 * mebibyte

    /// What each sector of the disk holds once the log is replayed, as `LayerWalk.code(_:)` numbers it.
    public private(set) var codes: [UInt8] = []
    public private(set) var physicalSectorSize: UInt32
    /// The size of the file once the log is replayed.
    public private(set) var size: UInt64
    /// How many entries count, and how many do not.
    public private(set) var activeCount = 0
    public private(set) var otherCount = 0
    /// Where the active sequence lies in the log, in bytes; behind the log's end it goes on at its start.
    public private(set) var activeRange = 0..<0
    /// The identity of the disk, before and after.
    public private(set) var identifier: GUID

    private var random: RepeatableGenerator
    private let isForQEMU: Bool
    private let isDifferencing: Bool

    /// - Parameters:
    ///   - path: where the file goes.
    ///   - after: where a file goes that is as the first one must be after a replay, its headers and its log aside.
    ///   - isForQEMU: leaves out what QEMU 7.2 gets wrong: sequences that are closed at the ring's end, entries before the
    ///     tail, sequences whose tail is lost, files that grow, and parents.
    public init(seed: UInt64, path: String, after: String, isForQEMU: Bool) throws {
        var generator = RepeatableGenerator(seed: seed)
        self.isForQEMU = isForQEMU
        let hasParent = generator.chance(50)
        isDifferencing = hasParent && !isForQEMU
        physicalSectorSize = generator.chance(50) ? 512 : 4_096
        random = generator
        size = 0
        identifier = .zero

        var new = VHDXBuilder(virtualSize: UInt64(Self.blockCount) * Self.mebibyte, blockSize: 1 << 20)
        if isDifferencing { new.setParent(GUID(high: 1, low: 1), path: "parent.vhdx") }
        new.logGUID = GUID(high: random.next(), low: random.next())
        new.blocks = randomBlocks()
        var old = new
        new.physicalSectorSize = physicalSectorSize
        for (block, value) in randomBlocks().sorted(by: { $0.key < $1.key }) where random.chance(60) {
            old.blocks[block] = value
        }
        for block in old.blocks.keys.sorted() where random.chance(30) { old.blocks[block] = nil }
        size = Self.bitmapOffset + 9 * Self.mebibyte
        if random.chance(30) {
            let id = GUID(high: random.next(), low: random.next())
            new.extraRegions = [.init(id: id, offset: size, length: 1 << 20, required: 0)]
            size += Self.mebibyte
        }
        try old.write(to: path)
        try new.write(to: after)
        try RawFile(after).truncate(to: size)
        identifier = new.dataWriteGUID
        codes = Self.codes(of: new)

        let file = try RawFile(path)
        // The part that the log's writer had made sure of.
        let grows = !isForQEMU && random.chance(40)
        let oldSize = grows ? UInt64.random(in: 4...size / Self.mebibyte, using: &random) * Self.mebibyte : size
        try file.truncate(to: oldSize)
        let writes = try randomWrites(before: file, after: RawFile(after))
        try file.write(layOut(writes, guid: new.logGUID, oldSize: oldSize), at: new.logOffset)
    }

    private mutating func randomBlocks() -> [Int: VHDXBuilder.Block] {
        var blocks: [Int: VHDXBuilder.Block] = [:]
        for slot in 0..<UInt64(8) where random.chance(70) {
            let state: UInt64 = isDifferencing && random.chance(60) ? 7 : 6
            var block = VHDXBuilder.Block(state: state, offset: Self.bitmapOffset + (1 + slot) * Self.mebibyte)
            if state == 7 {
                for _ in 0..<Int.random(in: 1...20, using: &random) {
                    block.sectors.insert(Int.random(in: 0..<2_048, using: &random))
                }
            }
            blocks[Int.random(in: 0..<Self.blockCount, using: &random)] = block
        }
        for _ in 0..<Int.random(in: 0...20, using: &random) {
            let state: UInt64 = [2, 3].randomElement(using: &random) ?? 2
            blocks[Int.random(in: 0..<Self.blockCount, using: &random)] = .init(state: state)
        }
        return blocks
    }

    private static func codes(of builder: VHDXBuilder) -> [UInt8] {
        var codes = [UInt8](repeating: LayerWalk.code(.absent), count: blockCount * 2_048)
        for (index, block) in builder.blocks {
            let sectors = index * 2_048..<(index + 1) * 2_048
            switch block.state {
            case 2: codes.fill(sectors, with: LayerWalk.code(.zero))
            case 3: codes.fill(sectors, with: LayerWalk.code(.unmapped))
            case 6: codes.fill(sectors, with: LayerWalk.code(.data))
            default: for sector in block.sectors { codes[index * 2_048 + sector] = LayerWalk.code(.data) }
            }
        }
        return codes
    }

    /// Writes that make of the one file the other, in an order in which they do.
    private mutating func randomWrites(before: RawFile, after: RawFile) throws -> [LogBuilder.Write] {
        // The region tables, the first part of the metadata region with its items, and of the table and the bitmap.
        let areas: [Range<UInt64>] = [48..<49, 64..<65, 512..<530, 768..<778, 1_024..<1_064]
        func content(_ file: RawFile, _ sector: UInt64) throws -> [UInt8] {
            let bytes = try file.read(at: sector * 4_096, count: 4_096)
            return bytes + [UInt8](repeating: 0, count: 4_096 - bytes.count)
        }
        var touched: [UInt64: Int] = [:]
        for area in areas {
            for sector in area where try content(before, sector) != content(after, sector) || random.chance(5) {
                touched[sector] = -1
            }
        }
        // First anything at all, then what stays.
        var writes: [(order: Int, write: LogBuilder.Write)] = []
        for order in 0..<Int.random(in: 0...30, using: &random) {
            let area = areas.randomElement(using: &random) ?? areas[0]
            let sector = UInt64.random(in: area, using: &random)
            var end = sector + 1
            if random.chance(50) {
                end = min(area.upperBound, sector + UInt64.random(in: 0...6, using: &random))
                writes.append((order, .zeroes(length: (end - sector) * 4_096, at: sector * 4_096)))
            } else {
                writes.append((order, .data(noise(), at: sector * 4_096)))
            }
            for sector in sector..<end { touched[sector] = order }
        }
        for (sector, order) in touched.sorted(by: { $0.key < $1.key }) {
            let bytes = try content(after, sector)
            let isZero = bytes.allSatisfy { $0 == 0 }
            let write: LogBuilder.Write =
                isZero && random.chance(50)
                ? .zeroes(length: 4_096, at: sector * 4_096) : .data(bytes, at: sector * 4_096)
            writes.append((Int.random(in: order + 1...31, using: &random), write))
        }
        // Where the order is the same, what stays comes second.
        return writes.enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }
            .map(\.element.write)
    }

    private mutating func noise() -> [UInt8] {
        let words = (0..<8).map { _ in random.next() }
        let bytes = (0..<64).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64($0 % 8 * 8)) }
        return Array(repeatElement(bytes, count: 64).joined())
    }

    /// An entry, and how many sectors of old content come before it.
    private struct Item {
        var gap: Int
        var entry: LogBuilder.Entry
        var isActive = false
    }

    private mutating func layOut(_ writes: [LogBuilder.Write], guid: GUID, oldSize: UInt64) -> [UInt8] {
        let first = UInt64.random(in: 100...((1 << 32) + 50), using: &random)
        let base = random.chance(30) ? (1 << 32) - UInt64.random(in: 0...6, using: &random) : first
        var items = olderItems(guid: guid, base: base)
        // What had done its work before the tail: whatever it says does not count.
        var number = base
        if !isForQEMU, random.chance(40) {
            for index in 0..<Int.random(in: 1...3, using: &random) {
                let write = LogBuilder.Write.data(noise(), at: 768 * 4_096)
                let entry = LogBuilder.Entry(guid: guid, sequenceNumber: number, writes: [write])
                items.append(Item(gap: index == 0 ? gap() : 0, entry: entry))
                number += 1
            }
        }
        let tailIndex = items.count
        var rest = writes[...]
        repeat {
            let count = min(rest.count, random.chance(10) ? rest.count : Int.random(in: 0...12, using: &random))
            var entry = LogBuilder.Entry(guid: guid, sequenceNumber: number, writes: Array(rest.prefix(count)))
            if !isForQEMU, random.chance(10) { entry.spareSectorCount = 1 }
            items.append(Item(gap: number == base ? gap() : 0, entry: entry, isActive: true))
            rest = rest.dropFirst(count)
            number += 1
        } while !rest.isEmpty
        let headIndex = items.count - 1
        items += newerItems(guid: guid, number: number)
        activeCount = headIndex - tailIndex + 1
        otherCount = items.count - activeCount

        var log = LogBuilder()
        log.position = start(of: items, headIndex: headIndex)
        var positions: [Int] = []
        var end = log.position
        for item in items {
            positions.append((end + item.gap * LogBuilder.sectorLength) % log.length)
            end += item.gap * LogBuilder.sectorLength + item.entry.length
        }
        let head = items[headIndex].entry
        let activeLength = items[tailIndex...headIndex].reduce(0) { $0 + $1.entry.length }
        activeRange = positions[tailIndex]..<positions[tailIndex] + activeLength
        for index in items.indices {
            var entry = items[index].entry
            if index >= tailIndex, index <= headIndex { entry.tail = UInt64(positions[tailIndex]) }
            // A newer sequence that has lost its tail.
            if index > headIndex, entry.guid == guid { entry.tail = UInt64(positions[tailIndex]) }
            let units = oldSize / Self.mebibyte
            if index != headIndex, units > 1 {
                entry.flushedFileOffset = UInt64.random(in: 0...units, using: &random) * Self.mebibyte
                entry.lastFileOffset = oldSize
            }
            if index == headIndex {
                entry.flushedFileOffset = oldSize
                entry.lastFileOffset = size
            }
            log.skip(sectors: items[index].gap)
            log.append(entry)
        }
        precondition(head.sequenceNumber == number - 1)
        return log.bytes
    }

    /// QEMU takes an entry for the second of a sequence whatever its number: something must be between.
    private mutating func gap() -> Int { isForQEMU ? Int.random(in: 1...3, using: &random) : random.chance(50) ? 1 : 0 }

    /// Sequences and single entries that were overtaken.
    private mutating func olderItems(guid: GUID, base: UInt64) -> [Item] {
        var items: [Item] = []
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let write = LogBuilder.Write.data(noise(), at: 768 * 4_096)
            let number = UInt64.random(in: 1..<base, using: &random)
            var entry = LogBuilder.Entry(guid: guid, sequenceNumber: number, writes: [write, write])
            switch Int.random(in: 0..<3, using: &random) {
            case 0: entry.guid = GUID(high: 77, low: random.next())
            case 1: entry.hasGoodChecksum = false
            default: break
            }
            items.append(Item(gap: gap(), entry: entry))
        }
        return items
    }

    /// What a program had begun to write when it was stopped.
    private mutating func newerItems(guid: GUID, number: UInt64) -> [Item] {
        let write = LogBuilder.Write.data(noise(), at: 768 * 4_096)
        var entry = LogBuilder.Entry(guid: guid, sequenceNumber: number, writes: [write, write])
        switch Int.random(in: 0..<(isForQEMU ? 3 : 7), using: &random) {
        case 0: entry.hasGoodChecksum = false
        case 1: entry.guid = GUID(high: 77, low: random.next())
        case 2: return []
        case 3: entry.damage = { $0[3] ^= 1 }
        case 4: entry.damage = { $0[64] ^= 1 }
        case 5: entry.damage = { $0[64 + 24] ^= 1 }
        default: entry.sequenceNumber += 1 + UInt64.random(in: 0...3, using: &random)
        }
        // Behind the gap an entry with the next number would be a sequence of its own.
        return [Item(gap: 0, entry: entry)]
    }

    /// Where the first item goes, so that the log is closed at its end somewhere, or nowhere.
    private mutating func start(of items: [Item], headIndex: Int) -> Int {
        let sectors = items.map { $0.gap + $0.entry.length / LogBuilder.sectorLength }
        let total = sectors.reduce(0, +)
        precondition(total <= 256, "the log is too short")
        guard isForQEMU else { return Int.random(in: 0..<256, using: &random) * LogBuilder.sectorLength }
        // Only the newest entry may go on at the log's start.
        let before = sectors[..<headIndex].reduce(0, +) + items[headIndex].gap
        let headSectors = items[headIndex].entry.length / LogBuilder.sectorLength
        if headIndex == items.count - 1, headSectors > 1, random.chance(40) {
            return (256 - before - Int.random(in: 1..<headSectors, using: &random)) * LogBuilder.sectorLength
        }
        return Int.random(in: 0...256 - total, using: &random) * LogBuilder.sectorLength
    }
}
