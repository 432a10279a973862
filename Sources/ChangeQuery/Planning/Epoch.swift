public import DiskImages

/// The identity and state of a disk: equal epochs mean that answers fit together.
///
/// It is a fingerprint (FNV-1a, 128 bits) of every layer's identity, revision, size and file. Nobody gains by forging it: the
/// caller only compares what the server told it before.
public struct Epoch: Hashable, Sendable, CustomStringConvertible {
    private let fingerprint: UInt128

    /// The epoch of a disk that consists of `layers`.
    public init(of layers: some Sequence<any DiskImage>) {
        var hash: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        for layer in layers {
            let what = layer.description
            let file = layer.file
            let text = """
                \(what.format.rawValue) \(what.virtualSize) \(what.logicalSectorSize) \(what.revision) \
                \(file.identity.device) \(file.identity.inode) \(file.size) \(file.modificationTime)\n
                """
            for byte in text.utf8 {
                hash = (hash ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
            }
        }
        fingerprint = hash
    }

    /// 32 hexadecimal digits.
    public var description: String {
        let text = String(fingerprint, radix: 16)
        return String(repeating: "0", count: max(0, 32 - text.count)) + text
    }
}
