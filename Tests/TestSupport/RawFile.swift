internal import Foundation

/// A file that tests read and change byte by byte, without any of the code under test.
///
/// It is open only during each call: a disk that somebody has open for writing is one that is not answered about.
public final class RawFile {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    public let path: String

    /// The file at `path`, which is there, or is made if `create` says so.
    public init(_ path: String, create: Bool = false) throws {
        self.path = path
        try with(O_RDWR | (create ? O_CREAT | O_TRUNC : 0)) { _ in }
    }

    private func with<Result>(_ flags: Int32, _ body: (Int32) throws -> Result) throws -> Result {
        let descriptor = open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Failure(description: "\(path) cannot be opened: errno \(errno)") }
        defer { close(descriptor) }
        return try body(descriptor)
    }

    public var size: UInt64 {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_size) : 0
    }

    public func truncate(to size: UInt64) throws {
        guard Foundation.truncate(path, off_t(size)) == 0 else {
            throw Failure(description: "\(path) cannot be resized")
        }
    }

    /// The bytes from `offset`, fewer where the file ends.
    public func read(at offset: UInt64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try with(O_RDONLY) { descriptor in
            bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, off_t(offset)) }
        }
        guard got >= 0 else { throw Failure(description: "\(path) cannot be read") }
        return Array(bytes.prefix(got))
    }

    public func write(_ bytes: [UInt8], at offset: UInt64) throws {
        let put = try with(O_WRONLY) { descriptor in
            bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
        }
        guard put == bytes.count else { throw Failure(description: "\(path) cannot be written") }
    }

    public func number<T: FixedWidthInteger>(_ type: T.Type, at offset: UInt64) throws -> T {
        try read(at: offset, count: MemoryLayout<T>.size).reversed().reduce(0) { $0 << 8 | T($1) }
    }

    public func write<T: FixedWidthInteger>(number: T, at offset: UInt64) throws {
        try write((0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: number >> T($0 * 8)) }, at: offset)
    }
}
