import TestSupport

@testable import DiskImages

/// Repeats what was done to several files on copies of them, and makes the states that a crash of the machine can leave: of
/// what was not yet synchronised, every file may have any part.
struct ChainCrashReplay {
    private typealias Entry = (file: Int, operation: RecordingStorage.Operation)

    private struct Undo {
        var file: Int
        var offset: UInt64
        var bytes: [UInt8]
        var size: UInt64
    }

    private let files: [RawFile]
    private let sectorSize: Int
    /// What was done and not yet synchronised, in order, with what undoes it.
    private var unsafe: [(entry: Entry, undo: Undo)] = []

    init(paths: [String], sectorSize: Int) throws {
        files = try paths.map { try RawFile($0) }
        self.sectorSize = sectorSize
    }

    /// Does one operation more.
    mutating func apply(_ file: Int, _ operation: RecordingStorage.Operation) throws {
        if case .synchronize = operation {
            unsafe.removeAll { $0.entry.file == file }
        } else {
            unsafe.append(((file, operation), try perform((file, operation))))
        }
    }

    /// Runs `body` in the states that a crash now can leave: everything done; nothing of what is not synchronised; the last
    /// of that alone; all but the first; its last write torn; and `count` random choices.
    mutating func forEachState(
        count: Int,
        random: inout RepeatableGenerator,
        _ body: (String) throws -> Void
    ) throws {
        try body("everything")
        guard !unsafe.isEmpty else { return }
        let entries = unsafe.map(\.entry)
        for entry in unsafe.reversed() { try revert(entry.undo) }
        let last = entries.count - 1
        try body("nothing")
        try run("the last alone", entries, body) { $0 == last ? nil : 0 }
        try run("all but the first", entries, body) { $0 == 0 ? 0 : nil }
        try run("all but the last", entries, body) { $0 == last ? 0 : nil }
        if case .write(let bytes, _) = entries[last].operation, bytes.count > sectorSize {
            for kept in Set([sectorSize, (bytes.count - 1) / sectorSize * sectorSize]) {
                try run("the last torn", entries, body) { $0 == last ? kept : nil }
            }
        }
        for number in 0..<count {
            var kept: [Int?] = []
            for entry in entries {
                // A third each: lost, torn, done.
                if case .write(let bytes, _) = entry.operation {
                    let torn = Int.random(in: 0...bytes.count / sectorSize, using: &random) * sectorSize
                    kept.append([0, torn, nil].randomElement(using: &random) ?? nil)
                } else {
                    kept.append(random.chance(50) ? 0 : nil)
                }
            }
            try run("random choice \(number)", entries, body) { kept[$0] }
        }
        for index in unsafe.indices { unsafe[index].undo = try perform(unsafe[index].entry) }
    }

    /// Does `entries`, of each as many bytes as `kept` says: nil for all.
    private func run(
        _ name: String,
        _ entries: [Entry],
        _ body: (String) throws -> Void,
        kept: (Int) -> Int?
    ) throws {
        var done: [Undo] = []
        for (index, entry) in entries.enumerated() {
            switch (entry.operation, kept(index)) {
            case (_, nil): done.append(try perform(entry))
            case (.write(let bytes, let offset), let count?) where count > 0:
                done.append(try perform((entry.file, .write(Array(bytes.prefix(count)), offset: offset))))
            default: break
            }
        }
        try body(name)
        for undo in done.reversed() { try revert(undo) }
    }

    private func perform(_ entry: Entry) throws -> Undo {
        let file = files[entry.file]
        let size = file.size
        switch entry.operation {
        case .write(let bytes, let offset):
            // What lies behind an end that was lost is lost with it.
            let part = Array(bytes.prefix(Int(min(UInt64(bytes.count), size - min(size, offset)))))
            let undo = Undo(
                file: entry.file,
                offset: offset,
                bytes: try file.read(at: offset, count: part.count),
                size: size
            )
            if !part.isEmpty { try file.write(part, at: offset) }
            return undo
        case .grow(let newSize):
            if newSize > size { try file.truncate(to: newSize) }
            return Undo(file: entry.file, offset: 0, bytes: [], size: size)
        case .synchronize:
            return Undo(file: entry.file, offset: 0, bytes: [], size: size)
        }
    }

    private func revert(_ undo: Undo) throws {
        let file = files[undo.file]
        if !undo.bytes.isEmpty { try file.write(undo.bytes, at: undo.offset) }
        if file.size != undo.size { try file.truncate(to: undo.size) }
    }
}
