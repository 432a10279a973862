/// Looks for the parent of one image in the places that its reference names.
struct ParentSearch {
    let child: any DiskImage
    let reference: ParentReference

    /// The first candidate that opens and has the right identity.
    ///
    /// - Throws: the error of a candidate that is there and cannot be used; else `parentMismatch` where there are files
    ///   and none is the parent; else `pathNotAllowed` where every candidate leads outside the allowed folders; else
    ///   `parentNotFound`.
    func run(in files: some ImageFiles) throws(ImageError) -> any DiskImage {
        var unusable: ImageError?
        var stranger: (name: String, identifier: GUID?)?
        var forbidden: ImageError?
        var isAnyMissing = false
        for candidate in reference.candidates {
            do throws(ImageError) {
                let image = try files.open(candidate, besides: child.file).openImage(in: files, as: reference.format)
                guard !reference.identifiers.isEmpty else { return image }
                if let identifier = image.description.identifier, reference.identifiers.contains(identifier) {
                    return image
                }
                stranger = stranger ?? (image.file.name, image.description.identifier)
            } catch {
                switch error.code {
                case .resourceLimit: throw error
                case .fileNotFound: isAnyMissing = true
                case .pathNotAllowed: forbidden = forbidden ?? error
                default: unusable = unusable ?? error
                }
            }
        }
        if let unusable { throw unusable }
        let wanted = reference.identifiers.map(\.description).joined(separator: " or ")
        if let stranger {
            let found = stranger.identifier?.description ?? "none"
            throw child.file.error(
                .parentMismatch,
                "The parent must have the identity \(wanted); \(stranger.name) has \(found)."
            )
        }
        if let forbidden, !isAnyMissing { throw forbidden }
        let places = reference.candidates.map { "\"\($0)\"" }.joined(separator: ", ")
        throw child.file.error(
            .parentNotFound,
            "The parent\(wanted.isEmpty ? "" : " " + wanted) is not there; looked, from the folder of the disk, at \(places)."
        )
    }
}
