internal import Glibc

/// The few things that a writer does to a file.
///
/// What is written before `synchronize()` returns is on the medium before anything that is written after it. Between two
/// calls of it the medium may take writes in any order.
protocol ImageStorage: AnyObject {
    /// In bytes.
    var size: UInt64 { get }

    /// Fills `buffer` with what the file holds from `offset` on; all of it must be inside the file.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)

    /// Writes inside the file: it does not grow.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError)

    /// Makes the file longer. What is added reads as zeroes.
    func grow(to size: UInt64) throws(ImageError)

    func synchronize() throws(ImageError)
}

/// A file that this process alone writes: it holds the lock on it (`flock`) until it goes.
final class FileStorage: ImageStorage {
    private(set) var size: UInt64

    private let descriptor: Int32
    private let name: String
    private let isDurable: Bool

    /// Takes over an open descriptor, locks the file, and closes it where this fails.
    ///
    /// - Parameter isDurable: whether `synchronize()` waits for the medium. Without it a crash of the machine may spoil the
    ///   file; a crash of the process does not.
    /// - Throws: `inUse` where another program holds the lock, `writeFailed`.
    private init(takingDescriptor descriptor: Int32, name: String, isDurable: Bool) throws(ImageError) {
        var status = stat()
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno
            Glibc.close(descriptor)
            guard failure == EWOULDBLOCK else {
                throw ImageError(.writeFailed, "The file cannot be locked: \(systemMessage(failure)).", path: name)
            }
            throw ImageError(.inUse, "Another program is writing to the file.", path: name)
        }
        guard fstat(descriptor, &status) == 0, status.st_size >= 0 else {
            let failure = errno
            Glibc.close(descriptor)
            throw ImageError(.writeFailed, "The file cannot be examined: \(systemMessage(failure)).", path: name)
        }
        self.descriptor = descriptor
        self.name = name
        self.isDurable = isDurable
        size = UInt64(status.st_size)
    }

    deinit {
        // Closing alone would not do: a process that was forked meanwhile may still have the descriptor for a moment.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Opens a file that is there.
    static func open(_ name: String, isDurable: Bool) throws(ImageError) -> FileStorage {
        guard !name.isEmpty, !name.utf8.contains(0) else {
            throw ImageError(.fileNotFound, "There is no such file.", path: name)
        }
        let descriptor = Glibc.open(name, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else {
            guard errno != EROFS else {
                throw ImageError(.accessDenied, "The file is on a read-only file system.", path: name)
            }
            throw ImageError.opening(name, failedWith: errno)
        }
        return try FileStorage(takingDescriptor: descriptor, name: name, isDurable: isDurable)
    }

    /// Makes a new, empty file.
    ///
    /// - Throws: `alreadyExists` where there is anything of this name.
    static func create(_ name: String, isDurable: Bool) throws(ImageError) -> FileStorage {
        guard !name.isEmpty, !name.utf8.contains(0) else {
            throw ImageError(.invalidParameter, "This is no name for a file.", path: name)
        }
        let descriptor = Glibc.open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0o644)
        guard descriptor >= 0 else {
            switch errno {
            case EEXIST:
                throw ImageError(.alreadyExists, "There is already a file of this name.", path: name)
            case ENOENT, ENOTDIR:
                throw ImageError(.fileNotFound, "The folder for the file does not exist.", path: name)
            case EROFS:
                throw ImageError(.accessDenied, "The file system is read-only.", path: name)
            case ENOSPC, EDQUOT:
                throw ImageError(.writeFailed, "The file cannot be made: \(systemMessage(errno)).", path: name)
            default:
                throw ImageError.opening(name, failedWith: errno)
            }
        }
        do throws(ImageError) {
            return try FileStorage(takingDescriptor: descriptor, name: name, isDurable: isDurable)
        } catch {
            unlink(name)
            throw error
        }
    }

    /// The same file, for reading.
    func file() throws(ImageError) -> ImageFile {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw ImageError.opening(name, failedWith: errno) }
        return try ImageFile(takingDescriptor: copy, name: name, path: name)
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        guard offset <= size, UInt64(buffer.count) <= size - offset else {
            throw failure(.corrupt, "The file ends before the \(buffer.count) bytes that should be here", at: offset)
        }
        if let problem = PositionedRead.fill(buffer, from: descriptor, at: offset) {
            throw ImageError(.readFailed, problem, path: name, offset: offset)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError) {
        guard offset <= size, UInt64(bytes.count) <= size - offset else {
            throw failure(.writeFailed, "The file ends before the place to write to", at: offset)
        }
        var done = 0
        while done < bytes.count, let start = bytes.baseAddress {
            let count = pwrite(descriptor, start + done, bytes.count - done, off_t(offset) + off_t(done))
            if count >= 0 {
                done += count
            } else if errno != EINTR {
                throw failure(.writeFailed, "The file cannot be written: \(systemMessage(errno))", at: offset)
            }
        }
    }

    func grow(to size: UInt64) throws(ImageError) {
        guard size > self.size else { return }
        guard let end = off_t(exactly: size) else {
            throw failure(.writeFailed, "The file would become too long", at: self.size)
        }
        while ftruncate(descriptor, end) != 0 {
            guard errno == EINTR else {
                throw failure(.writeFailed, "The file cannot grow: \(systemMessage(errno))", at: self.size)
            }
        }
        self.size = size
    }

    func synchronize() throws(ImageError) {
        guard isDurable else { return }
        while fdatasync(descriptor) != 0 {
            guard errno == EINTR else {
                throw failure(.writeFailed, "The medium did not take the data: \(systemMessage(errno))", at: nil)
            }
        }
    }

    private func failure(_ code: ImageError.Code, _ message: String, at offset: UInt64?) -> ImageError {
        ImageError(code, message + ".", path: name, offset: offset)
    }
}

extension ImageStorage {
    func write(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
        try bytes.span.withUnsafeBytes { (buffer) throws(ImageError) in try write(buffer, at: offset) }
    }

    /// A copy of `count` bytes from `offset`; the caller knows that `count` is small.
    func bytes(at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        try span.withUnsafeMutableBytes { (buffer) throws(ImageError) in try read(at: offset, into: buffer) }
        return bytes
    }
}
