internal import DiskImages
internal import Foundation

/// Makes the decisions of a random chain.
struct ChainMaker {
    private let seed: UInt64
    private let directory: String
    private let limits: RandomChain.Limits
    private var random: RepeatableGenerator
    private var sectorSize = 512

    init(seed: UInt64, directory: String, limits: RandomChain.Limits) {
        self.seed = seed
        self.directory = directory
        self.limits = limits
        random = RepeatableGenerator(seed: seed)
    }

    mutating func make() throws -> RandomChain {
        sectorSize = limits.sectorSizes.randomElement(using: &random) ?? 512
        let isVHD = limits.format == .vhd
        if isVHD { sectorSize = 512 }
        let depth = Int.random(in: limits.layerCount, using: &random)
        let isEdited = limits.allowsEditing && random.chance(40) && !isVHD
        let isResized = limits.allowsResizing && random.chance(15) && !isVHD
        var size = randomSize(blockSize: randomBlockSize())
        var layers: [RandomChain.Layer] = []
        for height in 0..<depth {
            let blockSize = randomBlockSize()
            if isResized && height > 0 && random.chance(50) { size = randomSize(blockSize: blockSize) }
            let path = try place(height: height, depth: depth)
            let isFixed = isVHD && height == 0 && size <= 16 << 20 && random.chance(20)
            try create(path, over: layers.first?.path, size: size, blockSize: blockSize, isFixed: isFixed)
            var model = LayerModel(
                virtualSize: size,
                blockSize: blockSize,
                sectorSize: sectorSize,
                hasParent: height > 0,
                hasZeroState: !isVHD
            )
            if isFixed { model.write(0, to: 0..<model.sectorCount) }
            try write(path, model: &model, height: height)
            if isEdited && random.chance(70) { try edit(path, model: &model, blockSize: blockSize) }
            let layer = RandomChain.Layer(
                path: path,
                identifier: try identity(of: path),
                virtualSize: size,
                blockSize: isFixed ? 0 : blockSize,
                model: model
            )
            layers.insert(layer, at: 0)
        }
        return RandomChain(seed: seed, sectorSize: sectorSize, layers: layers)
    }

    private func create(
        _ path: String,
        over parent: String?,
        size: UInt64,
        blockSize: UInt32,
        isFixed: Bool
    ) throws {
        switch (limits.format, parent) {
        case (.vhd, let parent?):
            try VHDCreation.differencing(parent: parent, blockSize: blockSize).create(at: path, isDurable: false)
        case (.vhd, nil):
            let creation: VHDCreation =
                isFixed ? .fixed(virtualSize: size) : .dynamic(virtualSize: size, blockSize: blockSize)
            try creation.create(at: path, isDurable: false)
        case (_, let parent?):
            try VHDXCreation.differencing(parent: parent, virtualSize: size, blockSize: blockSize)
                .create(at: path, isDurable: false)
        case (_, nil):
            try VHDXCreation
                .dynamic(virtualSize: size, blockSize: blockSize, logicalSectorSize: UInt32(sectorSize))
                .create(at: path, isDurable: false)
        }
    }

    /// The identity that a child would record.
    private func identity(of path: String) throws -> GUID {
        guard limits.format == .vhd else { return GUID(try BlockTableEditor.identity(of: path)) ?? .zero }
        let file = try RawFile(path)
        let bytes = try file.read(at: file.size - 512 + 68, count: 16)
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return GUID(high: number(bytes[..<8]), low: number(bytes[8...]))
    }

    private mutating func randomBlockSize() -> UInt32 {
        if limits.format == .vhd { return 1 << UInt32.random(in: 19...23, using: &random) }
        // Small blocks are where a small disk has many.
        return 1
            << UInt32(
                random.chance(50) ? Int.random(in: 20...22, using: &random) : Int.random(in: 20...28, using: &random)
            )
    }

    private mutating func randomSize(blockSize: UInt32) -> UInt64 {
        let unit = UInt64(sectorSize * limits.sectorUnit)
        var most: UInt64 = 8 << 20
        if random.chance(25) { most = min(limits.virtualSize, 3 * UInt64(blockSize)) }
        if limits.allowsLarge && random.chance(3) { most = 3 * UInt64(blockSize) }
        var size = UInt64.random(in: 1...most / unit, using: &random) * unit
        // More than one chunk: 4 GiB of sectors of 512 bytes. With larger sectors that would be 32 GiB and more.
        if limits.allowsLarge && sectorSize == 512 && random.chance(1) { size += 4 << 30 }
        if random.chance(30) { size = (size | (1 << 20) - 1) + 1 }
        return size
    }

    /// Some layers lie in a folder of their own, so that locators lead up and down.
    private mutating func place(height: Int, depth: Int) throws -> String {
        var folder = directory
        if limits.allowsFolders && random.chance(25) {
            folder += "/folder \(height)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        return "\(folder)/layer \(height).\(height == 0 ? "" : "a")\(limits.format.rawValue)"
    }

    private mutating func write(_ path: String, model: inout LayerModel, height: Int) throws {
        var pattern: UInt8 = 0
        for _ in 0..<(random.chance(30) ? 2 : 1) {
            let count = Int.random(in: 0...6, using: &random)
            guard count > 0 else { continue }
            let writer = try ImageWriting.open(path, isDurable: false)
            for _ in 0..<count {
                pattern += 1
                if random.chance(65) {
                    let sectors = randomSectors(model)
                    let words = sectors.map {
                        RandomChain.word(seed: seed, height: height, pattern: pattern, sector: $0)
                    }
                    let bytes = RandomChain.bytes(words[...], sectorSize: sectorSize)
                    try writer.write(bytes, at: UInt64(sectors.lowerBound * sectorSize))
                    model.write(pattern, to: sectors)
                } else {
                    let sectors = random.chance(40) ? randomSectors(model) : randomBlocks(model)
                    try writer.writeZeroes(
                        at: UInt64(sectors.lowerBound * sectorSize),
                        count: UInt64(sectors.count * sectorSize)
                    )
                    model.writeZeroes(to: sectors)
                }
            }
        }
    }

    /// A run of at most 1 MiB, often at the edge of a block, and now and then a whole block if that is not long.
    private mutating func randomSectors(_ model: LayerModel) -> Range<Int> {
        aligned(anySectors(model))
    }

    private mutating func anySectors(_ model: LayerModel) -> Range<Int> {
        let block = randomBlock(model)
        let all = model.sectors(ofBlock: block)
        if random.chance(15), all.count * sectorSize <= 2 << 20 { return all }
        let most = min(random.chance(70) ? 64 : (1 << 20) / sectorSize, model.sectorCount)
        let count = Int.random(in: 1...most, using: &random)
        var start = random.chance(40) ? all.lowerBound - count / 2 : Int.random(in: all, using: &random)
        if random.chance(10) { start = model.sectorCount - count }
        start = min(max(start, 0), model.sectorCount - count)
        return start..<start + count
    }

    /// One to four whole blocks, with a few sectors more on either side.
    private mutating func randomBlocks(_ model: LayerModel) -> Range<Int> {
        let first = randomBlock(model)
        let last = min(model.blockCount - 1, first + Int.random(in: 0...3, using: &random))
        var start = model.sectors(ofBlock: first).lowerBound
        var end = model.sectors(ofBlock: last).upperBound
        if random.chance(40) { start = max(0, start - Int.random(in: 0...100, using: &random)) }
        if random.chance(40) { end = min(model.sectorCount, end + Int.random(in: 0...100, using: &random)) }
        return aligned(start..<end)
    }

    /// The run widened to the unit of the chain, in which the disk's size is.
    private func aligned(_ sectors: Range<Int>) -> Range<Int> {
        let unit = limits.sectorUnit
        return sectors.lowerBound / unit * unit..<(sectors.upperBound + unit - 1) / unit * unit
    }

    private mutating func randomBlock(_ model: LayerModel) -> Int {
        // The edges of chunks lie every sixteen blocks or more; both ends of the disk are worth a visit.
        if random.chance(20) { return model.blockCount - 1 }
        return Int.random(in: 0..<model.blockCount, using: &random)
    }

    private mutating func edit(_ path: String, model: inout LayerModel, blockSize: UInt32) throws {
        let editor = try BlockTableEditor(path: path, blockSize: blockSize, sectorSize: sectorSize)
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let block = randomBlock(model)
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                try editor.set(state: 1, block: block, keepsPlace: random.chance(30))
                model.set(.data, block: block, isUndefined: true)
            case 1:
                try editor.set(state: 3, block: block, keepsPlace: random.chance(30))
                model.set(.unmapped, block: block, isUndefined: true)
            default:
                try editor.set(state: 2, block: block)
                model.set(.zero, block: block)
            }
        }
    }
}
