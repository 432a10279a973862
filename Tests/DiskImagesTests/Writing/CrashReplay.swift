import TestSupport

@testable import DiskImages

/// Repeats recorded operations on a copy of the file, and makes the states that a crash among them can leave.
struct CrashReplay {
    private let file: RawFile
    private let operations: [RecordingStorage.Operation]
    /// The first operation behind the last `synchronize` that was applied.
    private var firstUnsafe = 0
    /// What the operations from there on changed, in order.
    private var undo: [Undo] = []

    private struct Undo {
        var offset: UInt64
        var bytes: [UInt8]
        var size: UInt64
    }

    init(path: String, operations: [RecordingStorage.Operation]) throws {
        file = try RawFile(path)
        self.operations = operations
    }

    /// Does the operation `index`; they come in order.
    mutating func apply(_ index: Int) throws {
        if case .synchronize = operations[index] {
            firstUnsafe = index + 1
            undo = []
        } else {
            undo.append(try perform(operations[index]))
        }
    }

    /// Runs `body` with a first part of the write `index` done.
    func forEachTornState(of index: Int, sectorSize: Int, _ body: () throws -> Void) throws {
        guard case .write(let bytes, let offset) = operations[index] else { return }
        // The first, the middle and the last place where it can tear.
        let pieces = (bytes.count - 1) / sectorSize
        guard pieces > 0 else { return }
        for piece in Set([1, (pieces + 1) / 2, pieces]) {
            let undo = try perform(.write(Array(bytes[..<(piece * sectorSize)]), offset: offset))
            try body()
            try revert(undo)
        }
    }

    /// Runs `body` with any of the operations done, or done in part, that were not yet synchronised, the operation `index`
    /// included.
    func forEachReordering(
        upTo index: Int,
        count: Int,
        sectorSize: Int,
        random: inout RepeatableGenerator,
        _ body: () throws -> Void
    ) throws {
        let candidates = Array(firstUnsafe...index)
        guard candidates.count > 1 else { return }
        for entry in undo.reversed() { try revert(entry) }
        for _ in 0..<count {
            var done: [Undo] = []
            // The file may have lost its new end, and with it all that was written there; or it keeps the end and has lost
            // some of the writes.
            let end = file.size
            let keepsEnd = random.chance(50)
            for candidate in candidates {
                switch operations[candidate] {
                case .grow: if keepsEnd { done.append(try perform(operations[candidate])) }
                case .write(let bytes, let offset):
                    guard keepsEnd || offset < end else { continue }
                    // A third each: lost, torn, done.
                    let sectors = (bytes.count + sectorSize - 1) / sectorSize
                    let kept =
                        [0, Int.random(in: 0..<sectors, using: &random), sectors].randomElement(using: &random) ?? 0
                    let part = Array(bytes.prefix(kept * sectorSize))
                    if !part.isEmpty { done.append(try perform(.write(part, offset: offset))) }
                case .synchronize: break
                }
            }
            try body()
            for entry in done.reversed() { try revert(entry) }
        }
        for candidate in candidates where candidate != index { _ = try perform(operations[candidate]) }
    }

    private func perform(_ operation: RecordingStorage.Operation) throws -> Undo {
        let size = file.size
        switch operation {
        case .write(let bytes, let offset):
            let undo = Undo(offset: offset, bytes: try file.read(at: offset, count: bytes.count), size: size)
            try file.write(bytes, at: offset)
            return undo
        case .grow(let newSize):
            try file.truncate(to: newSize)
            return Undo(offset: 0, bytes: [], size: size)
        case .synchronize:
            return Undo(offset: 0, bytes: [], size: size)
        }
    }

    private func revert(_ undo: Undo) throws {
        try file.write(undo.bytes, at: undo.offset)
        try file.truncate(to: undo.size)
    }
}
