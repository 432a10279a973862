internal import ByteReading

/// Makes a differencing file accept a second identity of its parent, which the parent is about to get.
///
/// The parent locator has room for two ([MS-VHDX] 2.6.2.6.3). It is not changed in place: the new locator goes to where the
/// metadata region is free, and then its entry in the metadata table is switched over, eight bytes that a medium takes as a
/// whole or not at all. What the disk's user sees does not change, so that the file keeps its own identity.
struct VHDXParentUpdate {
    /// Items are placed in units that no sector of a medium crosses.
    private static let alignment: UInt64 = 4_096

    private let image: VHDXImage
    private let storage: any ImageStorage

    /// - Parameter storage: the same file as `image`, open for writing.
    init(image: VHDXImage, storage: any ImageStorage) {
        self.image = image
        self.storage = storage
    }

    /// From now on a parent is accepted whose identity is `next` or `current`, and no other. `next` gets the first key, which
    /// is the only one that some readers look at.
    ///
    /// - Throws: `unsupported` where the metadata region has no room for another locator; `corrupt`, `readFailed`,
    ///   `writeFailed`.
    func accept(_ next: GUID, besides current: GUID) throws(ImageError) {
        let file = image.file
        let region = image.structure.regions.metadata
        let table = try VHDXMetadataTable.read(from: image.structure.file, region: region)
        guard let index = table.index(of: VHDXMetadataTable.parentLocatorID) else {
            throw file.corrupt("The file has no metadata item for the parent locator.", at: region.offset)
        }
        let old = table.entries[index]
        let place = region.offset + UInt64(old.offset)
        let bytes = try file.bytes(at: place, count: Int(old.length))
        let locator: [UInt8]?
        do { locator = try VHDXParentLocator.encoded(bytes.span.bytes, acceptingOnly: [next, current]) } catch {
            throw file.corrupt("Parent locator: \(error).", at: place)
        }
        guard let locator, locator.count <= VHDXMetadataTable.maximumItemLength,
            let offset = Self.freePlace(for: UInt64(locator.count), in: table, regionLength: region.length)
        else {
            throw file.error(
                .unsupported,
                "The metadata region has no room for another parent locator.",
                at: region.offset
            )
        }

        let identifier = image.structure.current.header.dataWriteGUID
        var updater = VHDXHeaderUpdater(current: image.structure.current, dataWriteGUID: identifier)
        try updater.updateOnce(in: storage, path: file.path)
        try storage.write(locator, at: region.offset + UInt64(offset))
        try storage.synchronize()
        var entry = LittleEndianBytes(count: 8)
        entry.set(offset, at: 0)
        entry.set(UInt32(truncatingIfNeeded: locator.count), at: 4)
        try storage.write(entry.bytes, at: region.offset + VHDXMetadataTable.placeFieldOffset(ofEntry: index))
        try storage.synchronize()
    }

    /// Where in the region `length` bytes touch no item.
    private static func freePlace(
        for length: UInt64,
        in table: VHDXMetadataTable,
        regionLength: UInt32
    ) -> UInt32? {
        var start = UInt64(VHDXMetadataTable.length)
        let items = table.entries.filter { $0.length > 0 }.sorted { $0.offset < $1.offset }
        for item in items where start + roundedUp(length) > UInt64(item.offset) {
            start = roundedUp(UInt64(item.offset) + UInt64(item.length))
        }
        guard start + roundedUp(length) <= UInt64(regionLength) else { return nil }
        return UInt32(exactly: start)
    }

    private static func roundedUp(_ length: UInt64) -> UInt64 {
        (length + alignment - 1) / alignment * alignment
    }
}

extension VHDXMetadataTable {
    /// The place in `entries` of the system item `id`.
    fileprivate func index(of id: GUID) -> Int? {
        entries.firstIndex { $0.id == id && !$0.isUser }
    }

    /// Where an entry has its item's offset and length, from the start of the region.
    fileprivate static func placeFieldOffset(ofEntry index: Int) -> UInt64 {
        UInt64(headerLength + index * entryLength + 16)
    }
}

extension VHDXParentLocator {
    /// The locator in `bytes` with other identities of the parent, at most two, and everything else as it is; nil where that
    /// is longer than an item can be.
    fileprivate static func encoded(
        _ bytes: RawSpan,
        acceptingOnly identifiers: [GUID]
    ) throws(OutOfBounds) -> [UInt8]? {
        let linkage = zip(linkageKeys, identifiers).map { (key: encoded($0), value: encoded($1.description)) }
        let replaced = linkageKeys.map { encoded($0) }
        var values = linkage
        var length = 0
        for index in 0..<Int(try bytes.littleEndian(UInt16.self, at: 18)) {
            let entry = headerLength + index * entryLength
            let key = try string(bytes, offsetField: entry, lengthField: entry + 8)
            guard !replaced.contains(key) else { continue }
            let value = try string(bytes, offsetField: entry + 4, lengthField: entry + 10)
            // The strings of a damaged locator may share their bytes, and be long only together.
            length += key.count + value.count
            guard length <= Int(VHDXMetadataTable.maximumItemLength) else { return nil }
            values.append((key, value))
        }
        guard values.count <= Int(UInt16.max) else { return nil }
        return encoded(values)
    }

    private static func string(
        _ bytes: RawSpan,
        offsetField: Int,
        lengthField: Int
    ) throws(OutOfBounds) -> [UInt8] {
        let offset = Int(try bytes.littleEndian(UInt32.self, at: offsetField))
        return try bytes.copyBytes(at: offset, count: Int(try bytes.littleEndian(UInt16.self, at: lengthField)))
    }
}
