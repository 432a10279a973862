extension DiskChain {
    /// Validates the disk `name` and everything it stands on, without changing anything. Of a VHD Set that is the live disk.
    ///
    /// - Parameter saidFormat: what who names it says of its format (``ImageFile/openImage(in:as:saidFormat:)``).
    /// - Returns: what was found: problems of the chain, then those of each file that could be opened, leaf first.
    /// - Throws: where the disk cannot be looked at: `fileNotFound`, `pathNotAllowed`, `accessDenied`, `unsupported`,
    ///   `readFailed`, `resourceLimit`, `invalidParameter` for `saidFormat`.
    public static func check(
        _ name: String,
        in files: some ImageFiles,
        saidFormat: ImageDescription.Format? = nil
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
