internal import ByteReading

/// An entry of the snapshot table.
struct Qcow2Snapshot: Equatable {
    var l1Offset: UInt64
    var l1Count: UInt32
    var id: String
    var name: String
    /// In seconds since 1970.
    var seconds: UInt32
    /// Of the virtual disk, in bytes; nil where the entry does not say, as old programs left it: their disks kept their size.
    var size: UInt64?

    private static let fixedLength = 40
    private static let maximumExtraLength: UInt32 = 1_024

    /// The snapshots of a file, in the order in which they were made.
    ///
    /// - Throws: `corrupt`; `resourceLimit` for a table longer than this program reads; `readFailed`.
    static func readTable(of file: ImageFile, header: Qcow2Header) throws(ImageError) -> [Qcow2Snapshot] {
        guard header.snapshotCount > 0 else { return [] }
        let start = header.snapshotsOffset
        guard header.snapshotCount <= Qcow2Format.maximumSnapshots else {
            throw file.corrupt("The header counts \(header.snapshotCount) snapshots, more than there may be.", at: 60)
        }
        guard start != 0, start % header.clusterSize == 0, start < file.size else {
            throw file.corrupt("The header places the snapshot table where none can be.", at: 64)
        }
        var reader = Qcow2EntryReader(file: file, offset: start, end: file.size)
        var snapshots: [Qcow2Snapshot] = []
        for _ in 0..<header.snapshotCount {
            guard reader.offset - start < Qcow2Format.maximumDirectoryLength,
                header.snapshotCount <= Qcow2Format.maximumDirectoryEntries
            else {
                throw file.error(.resourceLimit, "The snapshot table is longer than this program reads.", at: start)
            }
            snapshots.append(try read(&reader, in: file))
        }
        return snapshots
    }

    private static func read(_ reader: inout Qcow2EntryReader, in file: ImageFile) throws(ImageError) -> Qcow2Snapshot {
        let place = reader.offset
        let fixed = try reader.next(fixedLength)
        var snapshot: Qcow2Snapshot
        let lengths: (id: UInt16, name: UInt16, extra: UInt32)
        do throws(OutOfBounds) {
            let bytes = fixed.span.bytes
            snapshot = Qcow2Snapshot(
                l1Offset: try bytes.bigEndian(UInt64.self, at: 0),
                l1Count: try bytes.bigEndian(UInt32.self, at: 8),
                id: "",
                name: "",
                seconds: try bytes.bigEndian(UInt32.self, at: 16),
                size: nil
            )
            lengths = (
                try bytes.bigEndian(UInt16.self, at: 12), try bytes.bigEndian(UInt16.self, at: 14),
                try bytes.bigEndian(UInt32.self, at: 36)
            )
        } catch {
            throw file.corrupt("Snapshot table: \(error).", at: place)
        }
        guard lengths.extra <= maximumExtraLength else {
            throw file.corrupt("A snapshot has \(lengths.extra) bytes of extra data, more than it may have.", at: place)
        }
        let extra = try reader.next(Int(lengths.extra))
        if lengths.extra >= 16 {
            do { snapshot.size = try extra.span.bytes.bigEndian(UInt64.self, at: 8) } catch {
                throw file.corrupt("Snapshot table: \(error).", at: place)
            }
        }
        snapshot.id = String(decoding: try reader.next(Int(lengths.id)), as: UTF8.self)
        snapshot.name = String(decoding: try reader.next(Int(lengths.name)), as: UTF8.self)
        reader.skipPadding(after: reader.offset - place)
        return snapshot
    }

    func point(granularity: UInt64) -> RecordedPoint {
        RecordedPoint(
            kind: .snapshot,
            id: id,
            name: name,
            created: UInt64(seconds),
            size: size,
            granularity: granularity
        )
    }
}
