internal import Foundation
internal import Logging
internal import Synchronization

/// A value that is read from files, and read again when they change.
///
/// New files that are not good change nothing: the value stays what it was, and the log says why.
final class WatchedFiles<Value: Sendable>: Sendable {
    /// Reads the value. It is given the one that is to be replaced; nil the first time.
    typealias Read = @Sendable (_ old: Value?) throws(SettingsError) -> Value

    private struct State {
        var value: Value
        /// The files as they were when they were last read, or tried to be.
        var stamps: [FileStamp?]
    }

    private let paths: [String]
    private let read: Read
    private let state: Mutex<State>
    /// One reading at a time.
    private let reading = Mutex(())

    init(_ paths: [String], _ read: @escaping Read) throws(SettingsError) {
        // The stamps come first: a change during the reading is a change since.
        let stamps = paths.map(FileStamp.init)
        self.paths = paths
        self.read = read
        state = Mutex(State(value: try read(nil), stamps: stamps))
    }

    /// The value in force.
    var current: Value { state.withLock(\.value) }

    /// Reads the files again if one has changed since they were last read, or in any case.
    func refresh(always: Bool, _ logger: Logger) {
        reading.withLock { _ in
            let stamps = paths.map(FileStamp.init)
            let (old, oldStamps) = state.withLock { ($0.value, $0.stamps) }
            guard always || stamps != oldStamps else { return }
            do throws(SettingsError) {
                let value = try read(old)
                state.withLock { $0 = State(value: value, stamps: stamps) }
                logger.notice("read again", metadata: ["files": "\(paths.joined(separator: ", "))"])
            } catch {
                state.withLock { $0.stamps = stamps }
                logger.error("what was read before stays in force: \(error.message)")
            }
        }
    }
}

/// What tells a file that was changed or exchanged from what it was.
struct FileStamp: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    private let changed: [Int]

    /// Nil where there is no such file.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        changed = [
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
        ]
    }
}

/// Small text files.
enum TextFile {
    /// The whole of a file.
    ///
    /// - Throws: where it is not there, cannot be read, is longer than `maximum` bytes, or is not UTF-8.
    static func read(_ path: String, maximum: Int, as what: String) throws(SettingsError) -> String {
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw SettingsError(message: "The \(what) \(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { try? file.close() }
        guard let data = try? file.read(upToCount: maximum + 1) ?? Data() else {
            throw SettingsError(message: "The \(what) \(path) cannot be read")
        }
        guard data.count <= maximum else {
            throw SettingsError(message: "The \(what) \(path) is longer than \(maximum) bytes")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw SettingsError(message: "The \(what) \(path) is not UTF-8")
        }
        return text
    }
}
