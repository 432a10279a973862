extension DiskChain {
    /// The most problems that a check tells of one file.
    public static let maximumProblemCount = 1_000

    /// Validates the disk `name` and everything it stands on, without changing anything.
    ///
    /// - Returns: what is wrong; nothing where the disk and its chain are good. Each problem has its code, the file and
    ///   the place in it.
    /// - Throws: where the disk cannot be looked at: `fileNotFound`, `pathNotAllowed`, `accessDenied`, `unsupported`,
    ///   `readFailed`, `resourceLimit`.
    public static func problems(of name: String, in files: some ImageFiles) throws(ImageError) -> [ImageError] {
        let file = try files.open(name)
        var problems: [ImageError] = []
        var layers: [any DiskImage] = []
        do throws(ImageError) {
            layers = [try file.openImage(in: files)]
            while let parent = try nextLayer(of: layers, in: files) { layers.append(parent) }
        } catch {
            switch error.code {
            case .corrupt, .notADisk, .parentNotFound, .parentMismatch, .chainCycle: problems.append(error)
            default: throw error
            }
        }
        for layer in layers {
            guard let image = layer as? VHDXImage else { continue }
            problems += try VHDXBlockCheck(image).problems(limit: maximumProblemCount)
        }
        return problems
    }
}
