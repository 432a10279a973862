import TestSupport

@testable import DiskImages

/// A file that remembers all that was done to it.
final class RecordingStorage: ImageStorage {
    enum Operation {
        case write([UInt8], offset: UInt64)
        case grow(UInt64)
        case synchronize
    }

    private let storage: FileStorage
    private(set) var operations: [Operation] = []
    /// How many more operations succeed; nil for all.
    var remaining: Int?

    init(_ path: String) throws(ImageError) {
        storage = try FileStorage.open(path, isDurable: false)
    }

    var size: UInt64 { storage.size }

    func file() throws(ImageError) -> ImageFile { try storage.file() }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        try storage.read(at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError) {
        try count()
        operations.append(.write(Array(bytes), offset: offset))
        try storage.write(bytes, at: offset)
    }

    func grow(to size: UInt64) throws(ImageError) {
        try count()
        operations.append(.grow(size))
        try storage.grow(to: size)
    }

    func synchronize() throws(ImageError) {
        try count()
        operations.append(.synchronize)
    }

    private func count() throws(ImageError) {
        guard let remaining else { return }
        guard remaining > 0 else { throw ImageError(.writeFailed, "The medium is full.", path: "") }
        self.remaining = remaining - 1
    }
}
