extension VHDXHeader {
    /// A header of a file whose log is empty.
    init(sequenceNumber: UInt64, fileWriteGUID: GUID, dataWriteGUID: GUID, logOffset: UInt64, logLength: UInt32) {
        self.sequenceNumber = sequenceNumber
        self.fileWriteGUID = fileWriteGUID
        self.dataWriteGUID = dataWriteGUID
        logGUID = .zero
        logVersion = 0
        version = 1
        self.logLength = logLength
        self.logOffset = logOffset
    }

    /// The header as it stands in a file.
    func encoded() -> [UInt8] {
        var encoded = LittleEndianBytes(count: Self.length)
        encoded.set(Self.signature, at: 0)
        encoded.set(sequenceNumber, at: 8)
        encoded.set(fileWriteGUID, at: 16)
        encoded.set(dataWriteGUID, at: 32)
        encoded.set(logGUID, at: 48)
        encoded.set(logVersion, at: 64)
        encoded.set(version, at: 66)
        encoded.set(logLength, at: 68)
        encoded.set(logOffset, at: 72)
        encoded.setChecksum()
        return encoded.bytes
    }
}

extension VHDXRegionTable {
    init(entries: [Entry]) {
        self.entries = entries
    }

    /// The table as it stands in a file.
    func encoded() -> [UInt8] {
        var encoded = LittleEndianBytes(count: Self.length)
        encoded.set(Self.signature, at: 0)
        encoded.set(UInt32(entries.count), at: 8)
        for (index, entry) in entries.enumerated() {
            let start = Self.headerLength + index * Self.entryLength
            encoded.set(entry.id, at: start)
            encoded.set(entry.offset, at: start + 16)
            encoded.set(entry.length, at: start + 24)
            encoded.set(UInt32(entry.isRequired ? 1 : 0), at: start + 28)
        }
        encoded.setChecksum()
        return encoded.bytes
    }
}

/// A metadata item to be written: its entry's flags and its content.
struct VHDXMetadataItem {
    var id: GUID
    var isUser = false
    var isVirtualDisk = false
    var isRequired = true
    var content: [UInt8]

    /// The table and the items as they stand at the start of the metadata region.
    static func encoded(_ items: [VHDXMetadataItem]) -> [UInt8] {
        let length = items.reduce(VHDXMetadataTable.length) { $0 + $1.content.count }
        var encoded = LittleEndianBytes(count: length)
        encoded.set(VHDXMetadataTable.signature, at: 0)
        encoded.set(UInt16(items.count), at: 10)
        var offset = VHDXMetadataTable.length
        for (index, item) in items.enumerated() {
            let start = VHDXMetadataTable.headerLength + index * VHDXMetadataTable.entryLength
            encoded.set(item.id, at: start)
            encoded.set(UInt32(item.content.isEmpty ? 0 : offset), at: start + 16)
            encoded.set(UInt32(item.content.count), at: start + 20)
            encoded.set(
                UInt32(item.isUser ? 1 : 0) | (item.isVirtualDisk ? 2 : 0) | (item.isRequired ? 4 : 0),
                at: start + 24
            )
            encoded.set(item.content, at: offset)
            offset += item.content.count
        }
        return encoded.bytes
    }
}

extension VHDXParentLocator {
    /// The item with `values`, whose strings are all shorter than 32,768 UTF-16 units.
    static func encoded(_ values: [(key: String, value: String)]) -> [UInt8] {
        encoded(values.map { (encoded($0.key), encoded($0.value)) })
    }

    /// The item with `values` as they stand in a file, each shorter than 64 KiB; there are at most 65,535.
    static func encoded(_ values: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
        let table = headerLength + values.count * entryLength
        var encoded = LittleEndianBytes(count: table)
        encoded.set(typeID, at: 0)
        encoded.set(UInt16(truncatingIfNeeded: values.count), at: 18)
        var strings: [UInt8] = []
        for (index, pair) in values.enumerated() {
            let entry = headerLength + index * entryLength
            for (field, bytes) in [pair.key, pair.value].enumerated() {
                encoded.set(UInt32(truncatingIfNeeded: table + strings.count), at: entry + 4 * field)
                encoded.set(UInt16(truncatingIfNeeded: bytes.count), at: entry + 8 + 2 * field)
                strings += bytes
            }
        }
        return encoded.bytes + strings
    }

    /// A string as it stands in the item.
    static func encoded(_ text: String) -> [UInt8] {
        text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    }
}
