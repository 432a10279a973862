public import DiskImages

/// The identity and state of a disk: equal epochs mean that answers fit together.
///
/// It is a fingerprint (FNV-1a, 128 bits) of every layer's identity, revision, size and files. Nobody gains by forging it:
/// the caller only compares what the server told it before.
public struct Epoch: Hashable, Sendable, CustomStringConvertible {
    private var fingerprint: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

    /// The epoch of a disk.
    public init(of chain: DiskChain) {
        self.init(of: chain.layers, catalogue: chain.catalogue)
    }

    /// The epoch of a disk that consists of `layers`, where a catalogue says so.
    init(of layers: some Sequence<any DiskImage>, catalogue: ImageFile?) {
        for layer in layers {
            let what = layer.description
            add("\(what.format.rawValue) \(what.virtualSize) \(what.logicalSectorSize) \(what.revision) ")
            add(layer.file)
            for file in layer.furtherFiles { add(file) }
        }
        if let catalogue { add(catalogue) }
    }

    private mutating func add(_ file: ImageFile) {
        add(
            "\(file.identity.device) \(file.identity.inode) \(file.size) \(file.modificationTime) \(file.changeTime)\n"
        )
    }

    private mutating func add(_ text: String) {
        for byte in text.utf8 {
            fingerprint = (fingerprint ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
        }
    }

    /// 32 hexadecimal digits.
    public var description: String {
        let text = String(fingerprint, radix: 16)
        return String(repeating: "0", count: max(0, 32 - text.count)) + text
    }
}
