extension DiskChain {
    /// Validates the disk `name` and everything it stands on, without changing anything. Of a VHD Set that is the live disk.
    ///
    /// - Parameters:
    ///   - saidFormat: what who names it says of its format (``ImageFile/openImage(in:as:saidFormat:)``).
    ///   - assumesRest: whether the caller knows that nobody writes, so that the check counts although somebody has a file open
    ///     for writing.
    /// - Returns: what was found: problems of the chain, then those of each file that could be opened, leaf first.
    /// - Throws: where the disk cannot be looked at: `fileNotFound`, `pathNotAllowed`, `accessDenied`, `unsupported`,
    ///   `readFailed`, `resourceLimit`, `invalidParameter` for `saidFormat`; where it is not at rest, so that what seems wrong may be a write under way: `inUse`,
    ///   `changed`.
    public static func check(
        _ name: String,
        in files: some ImageFiles,
        saidFormat: ImageDescription.Format? = nil,
        assumingRest assumesRest: Bool = false
    ) throws(ImageError) -> ImageCheckReport {
        let observed = ObservedFiles(files)
        let report = Result { () throws(ImageError) in try checkOnce(name, in: observed, saidFormat) }
        if !assumesRest, let file = observed.fileInUse {
            throw file.error(
                .inUse,
                "A program has the file open for writing, and a write under way looks like damage: check it when it is closed."
            )
        }
        if let file = observed.changedFile {
            throw file.error(.changed, "The file changed while it was checked: check it again.")
        }
        return try report.get()
    }

    private static func checkOnce(
        _ name: String,
        in files: ObservedFiles,
        _ saidFormat: ImageDescription.Format?
    ) throws(ImageError) -> ImageCheckReport {
        let file = try files.open(name)
        try file.checkThatNameAllows(saidFormat)
        var report = ImageCheckReport()
        var layers: [any DiskImage] = []
        try report.note { (_) throws(ImageError) in
            if NameClaim.format(of: file.name) == .vhdset {
                layers = try VHDSet(file, in: files).chain?.layers ?? []
                return
            }
            layers = [try file.openImage(in: files, saidFormat: saidFormat)]
            while let parent = try nextLayer(of: layers, in: files) { layers.append(parent) }
        }
        for layer in layers {
            guard let image = layer as? any CheckedImage else { continue }
            try report.note { (report) throws(ImageError) in try image.check(into: &report) }
        }
        return report
    }
}

extension ImageCheckReport {
    /// Runs `body`; what it throws is a problem if it says that something is wrong with the disk, and not that it could not
    /// be looked at.
    fileprivate mutating func note(
        _ body: (inout ImageCheckReport) throws(ImageError) -> Void
    ) throws(ImageError) {
        do throws(ImageError) {
            try body(&self)
        } catch {
            switch error.code {
            case .corrupt, .notADisk, .parentNotFound, .parentMismatch, .chainCycle: problems.append(error)
            default: throw error
            }
        }
    }
}
