internal import Glibc

/// A folder that is held open.
///
/// What is looked up in it is looked up in this very folder, whatever is renamed, or linked elsewhere, above it meanwhile. So the
/// files of a chain that lie beside each other are always those of one folder.
public final class Folder: Sendable {
    public let descriptor: Int32

    /// The folder through which this one was reached; nil for the one at which the way began.
    public let parent: Folder?

    /// What tells it from other folders of this machine.
    let identity: ImageFile.Identity

    /// Takes over an open descriptor, and closes it if this fails.
    ///
    /// - Throws: `readFailed` if it cannot be examined.
    public init(takingDescriptor descriptor: Int32, parent: Folder? = nil, name: String) throws(ImageError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let failure = errno
            close(descriptor)
            throw ImageError(.readFailed, "The folder cannot be examined: \(systemMessage(failure)).", path: name)
        }
        self.descriptor = descriptor
        self.parent = parent
        identity = ImageFile.Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    deinit {
        close(descriptor)
    }
}
