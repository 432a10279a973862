/// What tells one state of a file from another without reading it.
struct FileStamp: Hashable, Sendable {
    private let identity: ImageFile.Identity
    private let folder: ImageFile.Identity?
    private let links: [LinkStamp]
    private let size: UInt64
    private let modificationTime: Int64
    private let changeTime: Int64

    /// As it was when the file was opened.
    init(_ file: ImageFile) {
        identity = file.identity
        folder = file.folder?.identity
        links = file.links
        size = file.size
        modificationTime = file.modificationTime
        changeTime = file.changeTime
    }
}
