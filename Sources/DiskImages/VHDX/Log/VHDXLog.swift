internal import ByteReading

/// The log of a file: a ring of sectors of 4 KiB in which entries lie ([MS-VHDX] 2.3).
///
/// ### How much work a log can make
///
/// Whoever made the file may have wanted it to be expensive, so the length of a log is limited. No sector of an entry but the
/// first begins like an entry: the others begin with a descriptor or are data sectors, and what is left over must not.
/// Entries therefore never lie inside others, looking at one ends where the next could begin, and to search the log costs
/// at most twice its length.
struct VHDXLog {
    static let sectorLength: UInt64 = 4_096
    private static let pageLength: UInt64 = 65_536
    /// In bytes: the longest log that is searched. Programs make logs of 1 MiB; one of 4 GiB would take a while.
    static let maximumLength: UInt64 = 1 << 30

    let file: ImageFile
    /// Where the log begins in the file.
    let offset: UInt64
    /// In bytes: a multiple of 1 MiB.
    let length: UInt64
    let guid: GUID

    private var page: [UInt8] = []
    private var loadedPage: UInt64?

    /// The log that a header names; the header was checked against the file.
    init(of header: VHDXHeader, in file: ImageFile) {
        self.file = file
        offset = header.logOffset
        length = UInt64(header.logLength)
        guid = header.logGUID
    }

    /// The entries of a sequence, oldest first, by their positions in sectors.
    struct Sequence: Equatable {
        var positions: [UInt32]
        /// The newest entry.
        var head: VHDXLogEntry
    }

    /// The newest sequence that is valid and complete, from its tail to its head; nil where there is none (2.3.3).
    mutating func activeSequence() throws(ImageError) -> Sequence? {
        var active: Sequence?
        var position: UInt64 = 0
        while position < length {
            guard let first = try entry(at: position) else {
                position += Self.sectorLength
                continue
            }
            // The numbers ascend, so that the run cannot bite its own tail.
            var run = Sequence(positions: [], head: first)
            var end = position
            var next: VHDXLogEntry? = first
            while let entry = next {
                run.positions.append(UInt32(truncatingIfNeeded: entry.position / Self.sectorLength))
                run.head = entry
                end += entry.length
                next = nil
                if entry.sequenceNumber < .max {
                    next = try self.entry(at: end % length, sequenceNumber: entry.sequenceNumber + 1)
                }
            }
            let tail = UInt32(truncatingIfNeeded: run.head.tail / Self.sectorLength)
            if let start = run.positions.firstIndex(of: tail),
                run.head.sequenceNumber > active?.head.sequenceNumber ?? 0
            {
                // What lies before the tail was in its place when the head was written.
                run.positions.removeFirst(start)
                active = run
            }
            // A later part of a run has the same head: where the whole is not valid, no part is.
            position = end
        }
        return active
    }

    /// The entry that begins at `position`; nil where there is none, or one that is not whole or of another log.
    ///
    /// - Parameter sequenceNumber: the one that the entry must have; nil for any.
    mutating func entry(
        at position: UInt64,
        sequenceNumber: UInt64? = nil
    ) throws(ImageError) -> VHDXLogEntry? {
        guard let entry = try header(at: position), sequenceNumber == nil || entry.sequenceNumber == sequenceNumber
        else { return nil }
        var crc = CRC32C()
        var checksum: UInt32 = 0
        var dataSectorCount: UInt64 = 0
        for index in 0..<entry.sectorCount {
            let start = try load((position + index * Self.sectorLength) % length)
            let sector = page.span.bytes.extracting(start..<start + Int(Self.sectorLength))
            do throws(OutOfBounds) {
                if index == 0 {
                    checksum = try sector.littleEndian(UInt32.self, at: 4)
                    crc.update(sector.extracting(first: 4))
                    crc.update(Self.zeroes.span.bytes)
                    crc.update(sector.extracting(droppingFirst: 8))
                } else {
                    guard try sector.littleEndian(UInt32.self, at: 0) != VHDXLogEntry.signature else { return nil }
                    crc.update(sector)
                }
                if index < entry.descriptorSectorCount {
                    for place in entry.descriptorPlaces(inSector: index) {
                        let number = entry.sequenceNumber
                        guard let descriptor = try VHDXLogDescriptor(sector, at: place, sequenceNumber: number)
                        else { return nil }
                        if descriptor.kind == .data { dataSectorCount += 1 }
                    }
                    guard dataSectorCount <= entry.sectorCount - entry.descriptorSectorCount else { return nil }
                } else if index - entry.descriptorSectorCount < dataSectorCount {
                    guard try VHDXLogDataSector.isGood(sector, sequenceNumber: entry.sequenceNumber) else { return nil }
                }
            } catch {
                return nil
            }
        }
        return crc.value == checksum ? entry : nil
    }

    /// The header at `position`, with nothing checked but its own fields.
    private mutating func header(at position: UInt64) throws(ImageError) -> VHDXLogEntry? {
        let start = try load(position)
        let sector = page.span.bytes.extracting(start..<start + Int(Self.sectorLength))
        do {
            return try VHDXLogEntry(sector, at: position, logLength: length, logGUID: guid)
        } catch {
            return nil
        }
    }

    private static let zeroes: [UInt8] = [0, 0, 0, 0]

    /// Makes the sector at `position` part of the page, and returns where it begins there.
    private mutating func load(_ position: UInt64) throws(ImageError) -> Int {
        let index = position / Self.pageLength
        if loadedPage != index {
            loadedPage = nil
            if page.isEmpty { page = [UInt8](repeating: 0, count: Int(Self.pageLength)) }
            try file.read(at: offset + index * Self.pageLength, into: &page)
            loadedPage = index
        }
        return Int(position % Self.pageLength)
    }

    /// Calls `body` with each descriptor of the sequence, in the order in which they were written, with its place in the
    /// log and that of its data sector.
    ///
    /// - Throws: `corrupt` where the log is not any more what it was when the sequence was found.
    mutating func forEachDescriptor(
        of sequence: Sequence,
        _ body: (VHDXLogDescriptor, VHDXLogOverlay.Place, UInt64) throws(ImageError) -> Void
    ) throws(ImageError) {
        for sectorPosition in sequence.positions {
            let position = UInt64(sectorPosition) * Self.sectorLength
            guard let entry = try header(at: position) else { throw changed(at: position) }
            if entry.hasUnknownFields { throw unknownFields(at: position) }
            var data = entry.descriptorSectorCount
            for index in 0..<entry.descriptorSectorCount {
                let sectorStart = (position + index * Self.sectorLength) % length
                for place in entry.descriptorPlaces(inSector: index) {
                    let start = try load(sectorStart)
                    let descriptor: VHDXLogDescriptor?
                    do {
                        descriptor = try VHDXLogDescriptor(
                            page.span.bytes,
                            at: start + place,
                            sequenceNumber: entry.sequenceNumber
                        )
                    } catch {
                        throw changed(at: position)
                    }
                    guard let descriptor, data < entry.sectorCount || descriptor.kind != .data else {
                        throw changed(at: position)
                    }
                    let descriptorStart = sectorStart + UInt64(place)
                    if descriptor.hasUnknownFields { throw unknownFields(at: descriptorStart) }
                    let dataStart = (position + data * Self.sectorLength) % length
                    try body(
                        descriptor,
                        VHDXLogOverlay.Place(
                            descriptor: UInt32(truncatingIfNeeded: descriptorStart / VHDXLogDescriptor.length),
                            data: UInt32(truncatingIfNeeded: dataStart / Self.sectorLength)
                        ),
                        offset + descriptorStart
                    )
                    if descriptor.kind == .data { data += 1 }
                }
            }
        }
    }

    private func changed(at position: UInt64) -> ImageError {
        file.corrupt(
            "The log changed while it was read: another program is writing to the file.",
            at: offset + position
        )
    }

    private func unknownFields(at position: UInt64) -> ImageError {
        file.error(
            .unsupported,
            "The log uses a field that this program does not know.",
            at: offset + position
        )
    }
}
