internal import Glibc

/// Makes the file of an image that does not exist yet.
enum NewImageFile {
    /// Makes the file `path` and lets `fill` write it. Where anything fails there is no file, and one that was there before is
    /// untouched.
    ///
    /// - Parameters:
    ///   - isDurable: whether to wait until the medium has the file.
    /// - Throws: `alreadyExists`, `invalidParameter`, `fileNotFound` where the folder does not exist, `accessDenied`,
    ///   `writeFailed`; and what `fill` throws.
    static func create(
        _ path: String,
        isDurable: Bool,
        fill: (FileStorage) throws(ImageError) -> Void
    ) throws(ImageError) {
        let storage = try FileStorage.create(path, isDurable: isDurable)
        do throws(ImageError) {
            try fill(storage)
            if isDurable { try FileReplacement.synchronizeFolder(of: path) }
        } catch {
            unlink(path)
            throw error
        }
    }

    /// Refuses a name whose extension is that of another format.
    static func checkName(_ path: String, isThatOf format: ImageDescription.Format, _ what: String) throws(ImageError) {
        let claim = NameClaim.format(of: path)
        guard claim == format || claim == nil, !NameClaim.isVHDSet(path) else {
            throw ImageError(.invalidParameter, "By its name the file would not be \(what).", path: path)
        }
    }

    /// Refuses a name that is taken, before anything else is looked at: the more telling error.
    static func checkIsFree(_ path: String) throws(ImageError) {
        guard access(path, F_OK) != 0 else {
            throw ImageError(.alreadyExists, "There is already a file of this name.", path: path)
        }
    }
}
