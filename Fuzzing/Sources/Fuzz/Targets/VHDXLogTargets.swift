internal import DiskImages
internal import TestSupport

/// The log of a VHDX file that was not closed properly: two entries, of which the first also changes the block allocation
/// table.
enum VHDXLogTargets {
    static var all: [FuzzTarget] { [log] }

    private static let guid = GUID(high: 0x1065_1065_1065_4065, low: 0x8065_1065_1065_1065)
    private static let logOffset = 1 << 20
    private static let logLength = 1 << 20
    private static let header = 128 << 10
    private static let blockTable = Int(VHDXBuilder.blockTableOffset)
    private static let headerChecksum = CRCRepair(used: 80, length: 4_096, signature: "head")

    private static var log: FuzzTarget {
        var builder = VHDXBuilder(virtualSize: 6 << 20, blockSize: 1 << 20)
        builder.logGUID = guid
        builder.blocks = [0: .init(state: 6), 2: .init(state: 2)]
        var content = Templates.content(builder.write)
        // One header is enough, and one region table.
        for place in [64 << 10, 256 << 10] { content.replaceSubrange(place..<place + 4, with: [0, 0, 0, 0]) }
        // What the log makes of the first page of the table: block 1 lies behind block 0, block 2 is not there.
        var page = Array(content[blockTable..<blockTable + 4_096])
        page.replaceSubrange(8..<24, with: [6, 0, 0x50, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8))

        var log = LogBuilder(length: logLength)
        let text = [UInt8](repeating: 0xEE, count: 4_096)
        var first = LogBuilder.Entry(guid: guid, sequenceNumber: 5)
        first.writes = [
            .data(page, at: UInt64(blockTable)), .zeroes(length: 8_192, at: UInt64(blockTable) + 8_192),
            .data(text, at: 4 << 20),
        ]
        first.lastFileOffset = 6 << 20
        var second = LogBuilder.Entry(guid: guid, sequenceNumber: 6, tail: 0)
        second.writes = [.data(text, at: (4 << 20) + 4_096)]
        second.lastFileOffset = 6 << 20
        log.append(first)
        let place = Int(log.append(second))
        content.replaceSubrange(logOffset..<logOffset + logLength, with: log.bytes)

        var places = [FuzzTarget.Place(offset: header + 48, length: 32)]
        // The header and the descriptors of an entry, and both ends of its data sectors.
        for (entry, dataCount) in [(logOffset, 2), (logOffset + place, 1)] {
            places.append(.init(offset: entry, length: 64 + 3 * 32))
            for sector in 1...dataCount {
                places.append(.init(offset: entry + sector * 4_096, length: 24))
                places.append(.init(offset: entry + (sector + 1) * 4_096 - 4, length: 4))
            }
        }
        return FuzzTarget(
            name: "vhdx-log",
            files: [MemoryFile(name: "dirty.vhdx", content: content)],
            places: places,
            repair: repair
        )
    }

    private static func repair(_ file: MemoryFile) {
        headerChecksum.repair(file, at: header)
        // The entries that there can be: a long one goes on from the log's end at its start.
        for sector in 0..<8 {
            let start = sector * 4_096
            func byte(_ index: Int) -> UInt8 { file[logOffset + (start + index) % logLength] }
            guard (0..<4).allSatisfy({ byte($0) == Array("loge".utf8)[$0] }) else { continue }
            let length = (8..<12).reversed().reduce(0) { $0 << 8 | Int(byte($1)) }
            guard length >= 64, length <= 32 << 10 else { continue }
            let checksum = CRCRepair.checksum(count: length) { (4..<8).contains($0) ? 0 : byte($0) }
            file.write((0..<4).map { UInt8(truncatingIfNeeded: checksum >> UInt32(8 * $0)) }, at: logOffset + start + 4)
        }
    }
}
