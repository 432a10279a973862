/// Writes to the virtual disk of one image file: what every format that can be written implements.
///
/// While a writer is open, no other program can open the same file for writing. After a crash at any moment every reader
/// finds the image intact, and each sector with its old or its new content. A writer is used by one task at a time.
public protocol ImageWriter: AnyObject {
    /// The size of the virtual disk in bytes.
    var virtualSize: UInt64 { get }

    /// In bytes: what every offset and length must be a multiple of.
    var logicalSectorSize: UInt64 { get }

    /// Writes `bytes` to the virtual disk at `offset`. When this returns, they are on the medium.
    ///
    /// - Throws: `invalidParameter` where offset or length is not a multiple of the logical sector or the disk ends
    ///   before; `writeFailed`, after which the writer takes nothing more; `corrupt`, `readFailed`.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError)

    /// Makes `count` bytes of the virtual disk at `offset` read as zeroes. When this returns, they do, on the medium.
    ///
    /// Where the format has a state for that, it takes no room in the file; elsewhere zeroes are written.
    ///
    /// - Throws: as `write(_:at:)`.
    func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError)
}

extension ImageWriter {
    /// Writes `bytes` to the virtual disk at `offset`, as the function with a span does.
    public func write(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
        try write(bytes.span.bytes, at: offset)
    }

    /// Refuses what does not fit the disk.
    func check(offset: UInt64, count: UInt64, path: String) throws(ImageError) {
        guard offset % logicalSectorSize == 0, count % logicalSectorSize == 0 else {
            throw ImageError(
                .invalidParameter,
                "Offset and length must be multiples of the disk's sector of \(logicalSectorSize) bytes.",
                path: path
            )
        }
        guard offset <= virtualSize, count <= virtualSize - offset else {
            throw ImageError(.invalidParameter, "The disk ends at \(virtualSize) bytes.", path: path)
        }
    }
}

/// Opens image files for writing, whatever their format.
public enum ImageWriting {
    /// Opens the image at `path` for writing, and locks it until the writer goes.
    ///
    /// - Parameters:
    ///   - path: relative to the process's working directory. The format is found as for reading.
    ///   - isDurable: whether each call waits until the medium has the data. Without it, a crash of the machine may spoil
    ///     the image.
    /// - Throws: `inUse` where another writer has it open; `unsupported` for a format that is not written; `corrupt`, also
    ///   for damage outside the part that will be written; what opening the image throws.
    public static func open(_ path: String, isDurable: Bool = true) throws(ImageError) -> any ImageWriter {
        let storage = try FileStorage.open(path, isDurable: isDurable)
        let file = try storage.file()
        switch try file.openImage(in: LocalFiles()) {
        case let image as VHDXImage:
            return try VHDXWriter(checking: image, storage: storage, path: path)
        case let image as VHDImage:
            return try VHDWriter(checking: image, storage: storage, path: path)
        default:
            throw file.error(.unsupported, "This version of the program does not write to disks of this format.")
        }
    }
}
