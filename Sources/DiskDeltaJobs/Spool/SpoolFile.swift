internal import DiskDeltaProtocol
internal import Glibc

/// The file of a spool, opened.
final class SpoolFile {
    private let descriptor: Int32

    /// - Throws: what the system says, as a call error.
    init(_ path: String, flags: Int32) throws(CallError) {
        descriptor = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw CallError(spoolFailure: errno) }
    }

    deinit {
        close(descriptor)
    }

    /// How many bytes it has.
    func length() throws(CallError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw CallError(spoolFailure: errno) }
        return UInt64(clamping: status.st_size)
    }

    /// The `count` bytes at `offset`; fewer where the file ends before.
    func read(_ count: Int, at offset: UInt64) throws(CallError) -> [UInt8] {
        guard var place = off_t(exactly: offset), count > 0 else { return [] }
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count, let start = buffer.baseAddress {
                let result = pread(descriptor, start + filled, count - filled, place)
                if result < 0, errno == EINTR { continue }
                if result < 0 { failure = errno }
                guard result > 0 else { return }
                filled += result
                place += off_t(result)
            }
        }
        guard failure == 0 else { throw CallError(spoolFailure: failure) }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(CallError) {
        guard let place = off_t(exactly: offset), off_t.max - place >= bytes.count else {
            throw CallError(spoolFailure: EFBIG)
        }
        let failure: Int32 = bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count, let start = buffer.baseAddress {
                let result = pwrite(descriptor, start + written, buffer.count - written, place + off_t(written))
                if result < 0, errno == EINTR { continue }
                if result < 0 { return errno }
                written += result
            }
            return 0
        }
        guard failure == 0 else { throw CallError(spoolFailure: failure) }
    }

    /// Cuts off what lies behind `length`.
    func truncate(to length: UInt64) throws(CallError) {
        guard let length = off_t(exactly: length), ftruncate(descriptor, length) == 0 else {
            throw CallError(spoolFailure: errno)
        }
    }

    /// Returns when what was written is on the medium.
    func synchronize() throws(CallError) {
        guard fsync(descriptor) == 0 else { throw CallError(spoolFailure: errno) }
    }
}

extension CallError {
    /// A spool that the system does not let be read or written.
    init(spoolFailure number: Int32) {
        switch number {
        case ENOSPC, EDQUOT, EFBIG:
            self.init(.resourceLimit, "There is no room for the results of the job: \(systemText(number))")
        case EMFILE, ENFILE, ENOMEM:
            self.init(.resourceLimit, "The results of the job cannot be opened now: \(systemText(number))")
        case ENOENT:
            self.init(.internal, "The results of the job are gone: start it again")
        default:
            self.init(.internal, "The results of the job cannot be read or written: \(systemText(number))")
        }
    }
}
