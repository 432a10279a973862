internal import DiskDeltaProtocol
internal import DiskImages
internal import Foundation

/// The spools of all jobs: a file for each, named after its job.
struct SpoolFolder: Sendable {
    let path: String

    private static let ending = ".spool"

    func file(of id: GUID) -> String {
        path + "/" + id.description.filter { $0 != "{" && $0 != "}" } + Self.ending
    }

    /// The spool of a job, to be continued behind its first `length` bytes; a new one where `length` is 0.
    func writer(_ id: GUID, continuing length: UInt64, at position: UInt64) throws(CallError) -> SpoolWriter {
        let writer = try SpoolWriter(file(of: id), id: id, length: length, position: position)
        if length == 0 { try synchronize() }
        return writer
    }

    /// The first `length` bytes of the spool of a job.
    func reader(_ id: GUID, length: UInt64, window: Range<UInt64>) throws(CallError) -> SpoolReader {
        let file = length > 0 ? try SpoolFile(file(of: id), flags: O_RDONLY) : nil
        return try SpoolReader(file, id: id, length: length, window: window)
    }

    /// Removes a spool. Whoever reads it may go on.
    func remove(_ id: GUID) {
        unlink(file(of: id))
    }

    /// Removes the spools that belong to none of the jobs.
    func clean(keeping jobs: Set<GUID>) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        for name in names where name.hasSuffix(Self.ending) {
            guard let id = GUID(name.dropLast(Self.ending.count)), !jobs.contains(id) else { continue }
            unlink(path + "/" + name)
        }
    }

    /// Makes the name of a new file as durable as the file.
    private func synchronize() throws(CallError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CallError(spoolFailure: errno) }
        defer { close(descriptor) }
        // Some file systems cannot do this for a folder; they say EINVAL, and there is nothing else to do.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw CallError(spoolFailure: errno) }
    }
}
