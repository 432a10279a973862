public import DiskImages
internal import Foundation

/// A chain of VHDX or VHD files that was written at random, with a model of what every layer must hold.
///
/// The files are made with the creations and writers of their format; the model is filled from the same calls and never from the
/// files. States that no writer makes come from `BlockTableEditor`. The same seed makes the same calls.
public struct RandomChain: Sendable {
    public struct Layer: Sendable {
        public let path: String
        /// The DataWriteGuid or UniqueId that the layer ended with.
        public let identifier: GUID
        public let virtualSize: UInt64
        public let blockSize: UInt32
        public let model: LayerModel

        /// What the layer says of a sector.
        public func content(ofSector sector: Int) -> SectorContent {
            switch model.codes[sector] {
            case LayerWalk.code(.data): .data
            case LayerWalk.code(.zero): .zero
            case LayerWalk.code(.unmapped): .unmapped
            default: .absent
            }
        }
    }

    public let seed: UInt64
    /// In bytes; the same in all layers.
    public let sectorSize: Int
    /// Leaf first.
    public let layers: [Layer]

    public var leaf: Layer { layers[0] }

    /// Whether every layer has the leaf's size.
    public var hasOneSize: Bool { layers.allSatisfy { $0.virtualSize == leaf.virtualSize } }

    /// Whether the bytes of the disk are all defined, so that every reader must give the same.
    public var hasDefinedBytes: Bool { !layers.contains { $0.model.hasUndefinedBytes } }

    /// What the limits of a chain are.
    public struct Limits: Sendable {
        /// `vhdx` or `vhd`. A VHD has sectors of 512 bytes, the size of its parent, and no states that no writer makes.
        public var format = ImageDescription.Format.vhdx
        public var layerCount: ClosedRange<Int> = 1...6
        /// The most bytes that a disk has, a few very large ones aside.
        public var virtualSize: UInt64 = 96 << 20
        /// Whether a few disks have several chunks, of 4 GiB each.
        public var allowsLarge = true
        /// Whether some layers have another size than their parent.
        public var allowsResizing = true
        /// Whether some blocks get states that no writer makes.
        public var allowsEditing = true
        /// Whether some layers lie in folders of their own.
        public var allowsFolders = true
        /// The logical sectors that a disk may have, in bytes.
        public var sectorSizes = [512, 4_096]
        /// How many sectors everything is a multiple of, sizes included.
        public var sectorUnit = 1

        public init() {}
    }

    /// Makes a chain in the folder `directory`, which is there and empty.
    public static func make(seed: UInt64, in directory: String, limits: Limits = Limits()) throws -> RandomChain {
        var maker = ChainMaker(seed: seed, directory: directory, limits: limits)
        return try maker.make()
    }

    /// The bytes of a sector with pattern `pattern`, above 0, of the layer that is `height` above the base.
    static func word(seed: UInt64, height: Int, pattern: UInt8, sector: Int) -> UInt64 {
        var generator = RepeatableGenerator(
            seed: seed &* 1_000_003 &+ UInt64(height) &* 4_096 &+ UInt64(pattern) &+ UInt64(sector) << 32
        )
        return generator.next() | 1
    }

    /// For each sector of the disk whose leaf is the layer `index`, by default the chain's, the eight bytes that it repeats;
    /// 0 where it reads as zeroes.
    public func visibleWords(ofLayer index: Int = 0) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: layers[index].model.sectorCount)
        for (height, layer) in layers[index...].reversed().enumerated() {
            let (codes, patterns) = (layer.model.codes, layer.model.patterns)
            for sector in 0..<min(words.count, codes.count) {
                let code = codes[sector]
                if code == 0 { continue }
                let pattern = patterns[sector]
                words[sector] =
                    code == 1 && pattern > 0
                    ? Self.word(seed: seed, height: height, pattern: pattern, sector: sector) : 0
            }
        }
        return words
    }

    /// The first sector that `file`, the bytes of the disk whose leaf is the layer `index` as another program reads them, has
    /// otherwise; nil where all agree.
    public func firstDifference(in file: String, ofLayer index: Int = 0) throws -> String? {
        let raw = try RawFile(file)
        let size = layers[index].virtualSize
        guard raw.size == size else { return "\(raw.size) bytes instead of \(size)" }
        let words = visibleWords(ofLayer: index)
        let sectorsPerPiece = (1 << 20) / sectorSize
        var first = 0
        while first < words.count {
            let count = min(sectorsPerPiece, words.count - first)
            let bytes = try raw.read(at: UInt64(first * sectorSize), count: count * sectorSize)
            let expected = Self.bytes(words[first..<first + count], sectorSize: sectorSize)
            if bytes != expected {
                let position = zip(bytes, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
                return "sector \(first + position / sectorSize)"
            }
            first += count
        }
        return nil
    }

    /// Each word repeated to a sector.
    static func bytes(_ words: ArraySlice<UInt64>, sectorSize: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: words.count * sectorSize) { buffer, initialized in
            initialized = words.count * sectorSize
            guard let start = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            for (index, word) in words.enumerated() {
                let sector = start + index * sectorSize
                sector.storeBytes(of: word.littleEndian, as: UInt64.self)
                // Twice what is there already, until the sector is full.
                var length = 8
                while length < sectorSize {
                    memcpy(sector + length, sector, length)
                    length *= 2
                }
            }
        }
    }
}
