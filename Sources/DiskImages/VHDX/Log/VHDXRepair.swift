/// Brings a VHDX file that was not closed properly into order: writes what its log holds to where it belongs.
public enum VHDXRepair {
    private static let zeroes = [UInt8](repeating: 0, count: 1 << 20)

    /// Replays the log of the image at `path` into the file ([MS-VHDX] 2.3.3), and empties the log.
    ///
    /// What the disk holds, as every reader sees it, is the same before and after, and so is its identity. Until the last
    /// step the log stays as it is: after a crash at any moment, of the process or of the machine, the image can be read as
    /// before, and repaired by the same call. The file is locked meanwhile.
    ///
    /// - Parameters:
    ///   - path: relative to the process's working directory.
    ///   - isDurable: whether each step waits until the medium has the data. Without it, a crash of the machine may spoil
    ///     the image.
    /// - Returns: whether there was something to replay. Where there was not, nothing is written.
    /// - Throws: `unsupported` for a file that is no VHDX file; what opening it throws, for an image that cannot be read
    ///   after a replay is not touched; `inUse` where somebody writes to it; `writeFailed`.
    @discardableResult
    public static func replay(_ path: String, isDurable: Bool = true) throws(ImageError) -> Bool {
        let storage = try FileStorage.open(path, isDurable: isDurable)
        let file = try storage.file()
        guard let image = try file.openImage(in: LocalFiles()) as? VHDXImage else {
            throw file.error(.unsupported, "Only VHDX files have a log to replay.")
        }
        return try replay(image.structure, into: storage, path: path)
    }

    /// - Parameter structure: that of the file in `storage`.
    static func replay(
        _ structure: VHDXStructure,
        into storage: any ImageStorage,
        path: String
    ) throws(ImageError) -> Bool {
        let file = structure.file
        guard let overlay = file.overlay else { return false }
        // What the disk's user sees does not change: the identity by which children know the file stays.
        let identifier = structure.current.header.dataWriteGUID
        var headers = VHDXHeaderUpdater(current: structure.current, dataWriteGUID: identifier)
        try headers.updateOnce(in: storage, path: path)
        // What is added reads as zeroes, and need not be written where nothing else is to be there.
        let oldSize = storage.size
        try storage.grow(to: file.size)
        for piece in overlay.pieces {
            let start = piece.sectors.lowerBound * VHDXLog.sectorLength
            switch piece.source {
            case .zeroes:
                let end = min(oldSize, piece.sectors.upperBound * VHDXLog.sectorLength)
                try writeZeroes(from: start, to: end, in: storage)
            case .log(let place):
                try storage.write(try file.content(of: place), at: start)
            }
        }
        try storage.synchronize()
        try headers.emptyLog(in: storage, path: path)
        return true
    }

    private static func writeZeroes(
        from start: UInt64,
        to end: UInt64,
        in storage: any ImageStorage
    ) throws(ImageError) {
        var next = start
        while next < end {
            let count = min(end - next, UInt64(zeroes.count))
            try zeroes.span.withUnsafeBytes { (buffer) throws(ImageError) in
                try storage.write(UnsafeRawBufferPointer(rebasing: buffer[..<Int(count)]), at: next)
            }
            next += count
        }
    }
}

extension VHDXImage {
    /// Whether the file's log holds changes that must be replayed before anybody writes to the file.
    public var hasDirtyLog: Bool { structure.file.overlay != nil }

    /// What everybody asks first who wants to write.
    ///
    /// - Throws: `unsupported` where the log must be replayed before.
    func checkLogIsEmpty() throws(ImageError) {
        guard hasDirtyLog else { return }
        throw file.error(
            .unsupported,
            "The image was not closed properly, and its log must be replayed before anything is written: "
                + "run \"diskdelta image check --repair\" on it."
        )
    }
}
