import TestSupport

@testable import DiskImages

/// A disk whose files tests damage, and what is read of its leaf.
struct DamagedDisk {
    let path: String
    /// What each sector of the leaf holds before anything is damaged, as `LayerWalk.code(_:)` numbers it.
    let undamaged: [UInt8]

    /// The leaf at `path`, which is sound.
    init(_ path: String) throws {
        self.path = path
        undamaged = try Self.codes(path)
    }

    private static func codes(_ path: String) throws -> [UInt8] {
        try LayerWalk.codes(of: DiskChain.open(path, in: LocalFiles()).layers[0])
    }

    /// What each sector of the leaf holds now; nil for a refusal.
    func answer() throws -> [UInt8]? {
        do { return try Self.codes(path) } catch is ImageError { return nil }
    }

    /// The answer while the bits `change` of the byte at `offset` are flipped.
    func answer(flipping change: UInt8, at offset: UInt64) throws -> [UInt8]? {
        let file = try RawFile(path)
        let before = try file.read(at: offset, count: 1)
        try file.write([before[0] ^ change], at: offset)
        defer { try? file.write(before, at: offset) }
        return try answer()
    }
}
