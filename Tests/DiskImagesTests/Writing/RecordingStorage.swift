import TestSupport

@testable import DiskImages

/// A file that remembers all that was done to it.
final class RecordingStorage: ImageStorage {
    enum Operation {
        case write([UInt8], offset: UInt64)
        case grow(UInt64)
        case synchronize
    }

    /// What is done to several files, in one order.
    final class Journal {
        private(set) var entries: [(file: Int, operation: Operation)] = []
        /// How many more operations succeed; nil for all.
        var remaining: Int?

        fileprivate func record(_ operation: Operation, file: Int) throws(ImageError) {
            if let remaining {
                guard remaining > 0 else { throw ImageError(.writeFailed, "The medium is full.", path: "") }
                self.remaining = remaining - 1
            }
            entries.append((file, operation))
        }
    }

    private let storage: FileStorage
    private let journal: Journal
    private let number: Int

    /// What was done to this file.
    var operations: [Operation] { journal.entries.filter { $0.file == number }.map(\.operation) }

    /// How many more operations succeed, of all files of the journal; nil for all.
    var remaining: Int? {
        get { journal.remaining }
        set { journal.remaining = newValue }
    }

    /// - Parameter number: what stands for this file in `journal`.
    init(_ path: String, journal: Journal = Journal(), number: Int = 0) throws(ImageError) {
        storage = try FileStorage.open(path, isDurable: false)
        self.journal = journal
        self.number = number
    }

    var size: UInt64 { storage.size }

    func file() throws(ImageError) -> ImageFile { try storage.file() }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        try storage.read(at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError) {
        try journal.record(.write(Array(bytes), offset: offset), file: number)
        try storage.write(bytes, at: offset)
    }

    func grow(to size: UInt64) throws(ImageError) {
        try journal.record(.grow(size), file: number)
        try storage.grow(to: size)
    }

    func synchronize() throws(ImageError) {
        try journal.record(.synchronize, file: number)
    }
}
