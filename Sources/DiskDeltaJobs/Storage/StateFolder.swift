internal import Glibc

/// The folder in which a server keeps what outlives it, held by one server at a time.
///
///     STATE/lock            held (flock) as long as a server uses the folder
///     STATE/jobs.sqlite     what is known of each job
///     STATE/jobs/ID.spool   the ranges that a job has found
public final class StateFolder: Sendable {
    public let path: String
    private let lock: Int32

    /// Makes the folder where there is none, for this user alone, and locks it until the last reference goes.
    ///
    /// - Throws: `StateError` where it cannot be made or used, or another server uses it.
    public init(_ path: String) throws(StateError) {
        guard !path.isEmpty, !path.contains("\0") else {
            throw StateError(message: "The state folder has no name that a folder can have")
        }
        self.path = path
        try Self.make(path)
        try Self.make(path + "/jobs")
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else {
            throw StateError(message: "The state folder \(path) cannot be used: \(systemText(errno))")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let isTaken = errno == EWOULDBLOCK
            let why = isTaken ? "is in use by another server" : "cannot be locked: \(systemText(errno))"
            close(lock)
            throw StateError(message: "The state folder \(path) \(why)")
        }
    }

    deinit {
        close(lock)
    }

    private static func make(_ path: String) throws(StateError) {
        guard mkdir(path, 0o700) != 0 else { return }
        let failure = errno
        var status = stat()
        guard failure == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            let why = failure == EEXIST ? "it is no folder" : systemText(failure)
            throw StateError(message: "The state folder \(path) cannot be made: \(why)")
        }
    }

    var database: String { path + "/jobs.sqlite" }
    var spools: String { path + "/jobs" }
}

/// A state folder that cannot be used.
public struct StateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence that a person can act on.
    public let message: String

    public var description: String { message }
}

/// What the C library says of an `errno`, without a full stop.
func systemText(_ failure: Int32) -> String {
    guard let text = strerror(failure) else { return "error \(failure)" }
    return String(cString: text)
}
