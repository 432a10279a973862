internal import ByteReading

/// The header of a qcow2 file, without its extensions.
struct Qcow2Header: Equatable {
    var version: UInt32
    /// 0 where there is no backing file.
    var backingNameOffset: UInt64
    var backingNameLength: UInt32
    var clusterBits: UInt32
    /// Of the virtual disk, in bytes.
    var size: UInt64
    var encryption: UInt32
    var l1Count: UInt32
    var l1Offset: UInt64
    var refcountTableOffset: UInt64
    var snapshotCount: UInt32
    var snapshotsOffset: UInt64
    var incompatible: UInt64 = 0
    var autoclear: UInt64 = 0
    var refcountOrder: UInt32 = 4
    /// In bytes: where the header extensions begin.
    var length: UInt32 = 72
    var compressionType: UInt8 = 0

    static let magic: UInt32 = 0x5146_49FB  // "QFI\xFB"
    private static let shortest = 72
    private static let shortestOfVersion3 = 104
    /// With the compression type and its padding.
    private static let longestKnown: UInt64 = 112

    /// The header in `bytes`, of which there must be as many as its version and its own length ask for.
    init(_ bytes: RawSpan) throws(OutOfBounds) {
        version = try bytes.bigEndian(UInt32.self, at: 4)
        backingNameOffset = try bytes.bigEndian(UInt64.self, at: 8)
        backingNameLength = try bytes.bigEndian(UInt32.self, at: 16)
        clusterBits = try bytes.bigEndian(UInt32.self, at: 20)
        size = try bytes.bigEndian(UInt64.self, at: 24)
        encryption = try bytes.bigEndian(UInt32.self, at: 32)
        l1Count = try bytes.bigEndian(UInt32.self, at: 36)
        l1Offset = try bytes.bigEndian(UInt64.self, at: 40)
        refcountTableOffset = try bytes.bigEndian(UInt64.self, at: 48)
        snapshotCount = try bytes.bigEndian(UInt32.self, at: 60)
        snapshotsOffset = try bytes.bigEndian(UInt64.self, at: 64)
        guard version >= 3 else { return }
        incompatible = try bytes.bigEndian(UInt64.self, at: 72)
        autoclear = try bytes.bigEndian(UInt64.self, at: 88)
        refcountOrder = try bytes.bigEndian(UInt32.self, at: 96)
        length = try bytes.bigEndian(UInt32.self, at: 100)
        if length > 104 { compressionType = try bytes.bigEndian(UInt8.self, at: 104) }
    }

    var clusterSize: UInt64 { 1 << UInt64(clusterBits) }
    var hasExternalData: Bool { incompatible & Qcow2Format.Incompatible.externalDataFile != 0 }
    var hasSubclusters: Bool { incompatible & Qcow2Format.Incompatible.extendedL2 != 0 }
    var hasBackingFile: Bool { backingNameOffset != 0 }

    /// Where the area of the header extensions ends: with the backing file's name, or the first cluster.
    var endOfExtensions: UInt64 { hasBackingFile ? backingNameOffset : clusterSize }

    /// Reads the header, and checks it as far as that is possible without the extensions.
    ///
    /// - Throws: `corrupt`; `unsupported` for a version, a cluster size or an encryption that this program does not read;
    ///   `readFailed`.
    static func read(from file: ImageFile) throws(ImageError) -> Qcow2Header {
        let available = Int(min(file.size, longestKnown))
        guard available >= shortest else {
            throw file.corrupt("The file ends inside its header.", at: file.size)
        }
        let bytes = try file.bytes(at: 0, count: available)
        let header: Qcow2Header
        let isMarked: Bool
        do throws(OutOfBounds) {
            isMarked = try bytes.span.bytes.bigEndian(UInt32.self, at: 0) == magic
            header = try Qcow2Header(bytes.span.bytes)
        } catch {
            throw file.corrupt("Header: \(error).", at: file.size)
        }
        guard isMarked else { throw file.corrupt("The file's first bytes are not those of a qcow2 file.", at: 0) }
        try header.checkFrame(in: file)
        return header
    }

    /// Everything that must be known before the extensions can be read.
    private func checkFrame(in file: ImageFile) throws(ImageError) {
        guard version == 2 || version == 3 else {
            throw file.error(
                .unsupported,
                "The file has version \(version) of the qcow2 format; this program knows versions 2 and 3.",
                at: 4
            )
        }
        guard clusterBits >= Qcow2Format.clusterBits.lowerBound else {
            throw file.corrupt("The header gives clusters of 2^\(clusterBits) bytes; they have at least 512.", at: 20)
        }
        guard clusterBits <= Qcow2Format.clusterBits.upperBound else {
            throw file.error(
                .unsupported,
                "The file has clusters of 2^\(clusterBits) bytes; this program reads clusters of up to 2 MiB.",
                at: 20
            )
        }
        if version == 3 {
            guard length >= Self.shortestOfVersion3, length % 8 == 0, UInt64(length) <= clusterSize else {
                throw file.corrupt("The header says that it is \(length) bytes long, which cannot be.", at: 100)
            }
        }
        if hasBackingFile {
            guard backingNameOffset >= UInt64(length), backingNameOffset < clusterSize,
                backingNameLength > 0, backingNameLength <= Qcow2Format.maximumNameLength,
                UInt64(backingNameLength) <= clusterSize - backingNameOffset
            else {
                throw file.corrupt("The header places the name of the backing file where none can be.", at: 8)
            }
        }
    }

    /// Everything else, after the incompatible features are known to be those that this program knows.
    func check(in file: ImageFile) throws(ImageError) {
        typealias Incompatible = Qcow2Format.Incompatible
        guard incompatible & Incompatible.corrupt == 0 else {
            throw file.corrupt(
                "The file is marked as corrupt by a program that wrote to it; \"qemu-img check -r all\" may repair it.",
                at: 72
            )
        }
        guard encryption == 0 else {
            throw file.error(.unsupported, "The disk is encrypted; this program reads no encrypted disks.", at: 32)
        }
        guard refcountOrder <= 6 else {
            throw file.corrupt("The header gives reference counts of 2^\(refcountOrder) bits.", at: 96)
        }
        guard !hasSubclusters || clusterBits >= Qcow2Format.smallestClusterBitsWithSubclusters else {
            throw file.corrupt("The header gives subclusters to clusters of \(clusterSize) bytes.", at: 20)
        }
        guard (incompatible & Incompatible.compressionType != 0) == (compressionType != 0) else {
            throw file.corrupt("The compression type and the feature bit that announces it disagree.", at: 104)
        }
        guard compressionType <= 1 else {
            throw file.error(.unsupported, "The file has an unknown compression type \(compressionType).", at: 104)
        }
        if autoclear & Qcow2Format.Autoclear.rawExternalData != 0 {
            guard hasExternalData, !hasBackingFile else {
                throw file.corrupt(
                    "The file says that its data file is a raw disk, and has no data file, or a backing file as well.",
                    at: 88
                )
            }
        }
        guard refcountTableOffset % clusterSize == 0, refcountTableOffset <= file.size else {
            throw file.corrupt("The header places the reference counts where none can be.", at: 48)
        }
        guard size % 512 == 0 else {
            throw file.error(
                .unsupported,
                "The disk has \(size) bytes; this program reads disks of whole sectors of 512 bytes.",
                at: 24
            )
        }
    }
}
