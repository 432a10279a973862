/// A qcow2 file, open for reading (QEMU's docs/interop/qcow2).
///
/// Opening reads the header with its extensions, the snapshot table and the bitmap directory. The L1 and L2 tables and the
/// bitmaps are read as `extent` comes to them, 64 KiB at a time; nothing is concluded from an entry outside the window asked
/// about. Reference counts are of no concern to a reader, so that a file whose counts are to be repaired is read as any other.
public final class Qcow2Image: DiskImage {
    public let description: ImageDescription
    public let file: ImageFile
    public let furtherFiles: [ImageFile]
    public let recordedPoints: [RecordedPoint]

    private let header: Qcow2Header
    /// The header and its extensions.
    private let headerBytes: FileExcerpt
    private let rules: Qcow2EntryRules
    private let snapshots: [Qcow2Snapshot]
    private let bitmaps: [Qcow2Bitmap]
    let current: Qcow2StateMap

    /// - Parameter files: where an external data file is found.
    /// - Throws: `corrupt`; `unsupported` for what this program does not know or cannot read; `parentNotFound` where the
    ///   external data file is not there; `resourceLimit`; `readFailed`.
    public init(_ file: ImageFile, in files: some ImageFiles) throws(ImageError) {
        let headerBytes = try FileExcerpt(of: file, 0..<UInt64(FileExcerpt.maximumLength))
        let header = try Qcow2Header.read(from: file)
        let extensions: Qcow2Extensions
        do throws(ImageError) {
            extensions = try Qcow2Extensions.read(from: file, header: header)
        } catch {
            // A feature that is not known may have changed what the extensions are.
            try Qcow2Extensions().checkFeatures(of: header, in: file)
            throw error
        }
        try extensions.checkFeatures(of: header, in: file)
        try header.check(in: file)
        let geometry = Qcow2Geometry(
            virtualSize: header.size,
            clusterBits: header.clusterBits,
            hasSubclusters: header.hasSubclusters
        )
        guard let geometry else {
            throw file.corrupt("The disk has \(header.size) bytes, more than its clusters can hold.", at: 24)
        }
        guard !header.hasExternalData || header.snapshotCount == 0 else {
            throw file.error(
                .unsupported,
                "The file has snapshots, and its data is in another file, where a snapshot keeps nothing.",
                at: 60
            )
        }
        let dataFile = try Qcow2FileName.openDataFile(
            of: file,
            header: header,
            recordedName: extensions.dataFileName,
            in: files
        )
        let rules = Qcow2EntryRules(
            geometry: geometry,
            version: header.version,
            fileSize: file.size,
            dataSize: (dataFile ?? file).size,
            hasExternalData: dataFile != nil
        )
        let snapshots = try Qcow2Snapshot.readTable(of: file, header: header)
        let (bitmaps, areConsistent) = try Qcow2Bitmap.readDirectory(of: file, header: header, extensions: extensions)

        self.file = file
        self.header = header
        self.headerBytes = headerBytes
        self.rules = rules
        self.snapshots = snapshots
        self.bitmaps = bitmaps
        furtherFiles = dataFile.map { [$0] } ?? []
        recordedPoints =
            snapshots.map { $0.point(granularity: 1 << geometry.unitBits) }
            + bitmaps.map { $0.point(areConsistent: areConsistent) }
        current = Qcow2StateMap(
            try Qcow2ClusterTables(
                file: file,
                l1Offset: header.l1Offset,
                l1Count: UInt64(header.l1Count),
                rules: rules
            )
        )
        let parent = try Qcow2FileName.backing(of: file, header: header, recordedFormat: extensions.backingFormat)
        description = ImageDescription(
            format: .qcow2,
            diskType: parent == nil ? .dynamic : .differencing,
            virtualSize: header.size,
            blockSize: UInt32(header.clusterSize),
            logicalSectorSize: 512,
            physicalSectorSize: 512,
            virtualDiskID: nil,
            identifier: nil,
            revision: Self.revision(header: header, extensions: extensions, dataFile: dataFile),
            parent: parent
        )
    }

    /// The format has no number that every writer raises: what is known is where its structures lie.
    private static func revision(header: Qcow2Header, extensions: Qcow2Extensions, dataFile: ImageFile?) -> String {
        var numbers: [UInt64] = [
            header.l1Offset, UInt64(header.l1Count), header.snapshotsOffset, UInt64(header.snapshotCount),
            header.autoclear, extensions.bitmaps?.directoryOffset ?? 0,
        ]
        if let dataFile {
            numbers += [
                dataFile.identity.device, dataFile.identity.inode, dataFile.size,
                UInt64(bitPattern: dataFile.modificationTime),
            ]
        }
        return numbers.map { String($0, radix: 16) }.joined(separator: "-")
    }

    public var granularity: UInt64 { current.granularity }

    public func hasSameHeaders() throws(ImageError) -> Bool { try headerBytes.isUnchanged(in: file) }

    public func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        try current.extent(at: offset, limit: limit, into: &mask)
    }

    public func state(at snapshot: RecordedPoint) throws(ImageError) -> any SectorMap {
        Qcow2StateMap(try tables(of: snapshots[try index(ofSnapshot: snapshot)]))
    }

    /// What changed since a bitmap was made, or since a snapshot.
    ///
    /// A bitmap can be asked about whatever its condition is; what that means for an answer is the caller's to know. It
    /// tells nothing of a snapshot's time, so that no `snapshot` can be given with it.
    public func changes(since point: RecordedPoint, upTo snapshot: RecordedPoint?) throws(ImageError) -> any SectorMap {
        if point.kind == .bitmap {
            guard snapshot == nil else {
                throw file.error(
                    .invalidParameter,
                    "A bitmap tells what was written up to now, and not what was written up to a snapshot."
                )
            }
            let index = try uniqueIndex(in: bitmaps, named: point.id, what: "bitmap") { $0.name }
            return try Qcow2BitmapMap(bitmaps[index], of: file, header: header)
        }
        let earlier = try index(ofSnapshot: point)
        let laterTables: Qcow2ClusterTables
        if let snapshot {
            let later = try index(ofSnapshot: snapshot)
            guard earlier <= later else {
                throw file.error(.invalidParameter, "The snapshot to compare with is older than the one to begin with.")
            }
            laterTables = try tables(of: snapshots[later])
        } else {
            laterTables = try currentTables()
        }
        return Qcow2ComparisonMap(
            earlier: try tables(of: snapshots[earlier]),
            later: laterTables,
            hasBackingFile: header.hasBackingFile
        )
    }

    private func index(ofSnapshot point: RecordedPoint) throws(ImageError) -> Int {
        guard point.kind == .snapshot else { throw file.error(.invalidParameter, "A bitmap has no state of the disk.") }
        return try uniqueIndex(in: snapshots, named: point.id, what: "snapshot") { $0.id }
    }

    private func uniqueIndex<Entry>(
        in entries: [Entry],
        named id: String,
        what: String,
        _ name: (Entry) -> String
    ) throws(ImageError) -> Int {
        let id = ExactName(id)
        guard let index = entries.firstIndex(where: { ExactName(name($0)) == id }) else {
            throw file.error(.invalidParameter, "This file has recorded no \(what) \"\(id.text)\".")
        }
        guard entries.lastIndex(where: { ExactName(name($0)) == id }) == index else {
            throw file.corrupt(
                "This file has recorded two of the \(what) \"\(id.text)\", and one cannot be told from the other."
            )
        }
        return index
    }

    private func currentTables() throws(ImageError) -> Qcow2ClusterTables {
        try Qcow2ClusterTables(file: file, l1Offset: header.l1Offset, l1Count: UInt64(header.l1Count), rules: rules)
    }

    private func tables(of snapshot: Qcow2Snapshot) throws(ImageError) -> Qcow2ClusterTables {
        let size = snapshot.size ?? header.size
        let geometry = Qcow2Geometry(
            virtualSize: size,
            clusterBits: header.clusterBits,
            hasSubclusters: header.hasSubclusters
        )
        guard let geometry, size % 512 == 0 else {
            throw file.corrupt("The disk is said to have had \(size) bytes at the snapshot \"\(snapshot.id)\".")
        }
        return try Qcow2ClusterTables(
            file: file,
            l1Offset: snapshot.l1Offset,
            l1Count: UInt64(snapshot.l1Count),
            rules: Qcow2EntryRules(
                geometry: geometry,
                version: rules.version,
                fileSize: rules.fileSize,
                dataSize: rules.dataSize,
                hasExternalData: rules.hasExternalData
            ),
            isComplete: snapshot.size != nil
        )
    }
}
