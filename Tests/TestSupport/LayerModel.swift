public import DiskImages
internal import Foundation

/// What one layer of a chain must hold, by the calls that were made to write it.
///
/// It knows what the format promises for each call, and nothing of how a file is laid out.
public struct LayerModel: Sendable {
    /// What has been made of a block.
    private enum Block: Sendable {
        case absent, partial, full, other
    }

    public let sectorSize: Int
    public let sectorCount: Int
    public let sectorsPerBlock: Int
    public let hasParent: Bool
    /// Whether the format has a state for blocks that read as zeroes.
    public let hasZeroState: Bool

    /// Each sector's content, as `LayerWalk.code(_:)` numbers it.
    public private(set) var codes: [UInt8]

    /// What a sector with data holds: 0 for zeroes, else the number of the write that made it.
    public private(set) var patterns: [UInt8]

    /// Whether some sector's bytes are for the reader to choose.
    public private(set) var hasUndefinedBytes = false

    private var blocks: [Block]

    public init(virtualSize: UInt64, blockSize: UInt32, sectorSize: Int, hasParent: Bool, hasZeroState: Bool = true) {
        self.sectorSize = sectorSize
        self.hasParent = hasParent
        self.hasZeroState = hasZeroState
        sectorCount = Int(virtualSize) / sectorSize
        sectorsPerBlock = Int(blockSize) / sectorSize
        codes = [UInt8](repeating: LayerWalk.code(.absent), count: sectorCount)
        patterns = [UInt8](repeating: 0, count: sectorCount)
        blocks = [Block](repeating: .absent, count: (sectorCount + sectorsPerBlock - 1) / sectorsPerBlock)
    }

    public var blockCount: Int { blocks.count }

    /// The sectors of a block; the last one's end with the disk.
    public func sectors(ofBlock block: Int) -> Range<Int> {
        block * sectorsPerBlock..<min((block + 1) * sectorsPerBlock, sectorCount)
    }

    /// `pattern` is written to `sectors`.
    public mutating func write(_ pattern: UInt8, to sectors: Range<Int>) {
        forEachBlock(of: sectors) { model, block, part, isWhole in
            model.put(pattern, to: part, block: block, isWhole: isWhole)
        }
    }

    /// Zeroes are written to `sectors`: blocks that are covered wholly get a state of their own where the format has one. Where
    /// it has none, they are data, but for a block that reads as zeroes because it is nowhere.
    public mutating func writeZeroes(to sectors: Range<Int>) {
        forEachBlock(of: sectors) { model, block, part, isWhole in
            if !model.hasZeroState {
                guard model.hasParent || model.blocks[block] != .absent else { return }
                model.put(0, to: part, block: block, isWhole: isWhole)
            } else if isWhole {
                model.set(.zero, block: block)
            } else if model.codes[part.lowerBound] != LayerWalk.code(.zero) {
                model.put(0, to: part, block: block, isWhole: false)
            }
        }
    }

    /// A block gets a state that holds for all of it.
    ///
    /// - Parameter isUndefined: whether its bytes are for the reader to choose.
    public mutating func set(_ content: SectorContent, block: Int, isUndefined: Bool = false) {
        blocks[block] = content == .absent ? .absent : .other
        fill(sectors(ofBlock: block), code: content, pattern: 0)
        if isUndefined { hasUndefinedBytes = true }
    }

    private mutating func put(_ pattern: UInt8, to part: Range<Int>, block: Int, isWhole: Bool) {
        switch blocks[block] {
        case .absent where hasParent && !isWhole: blocks[block] = .partial
        case .full: break
        case .partial: if isWhole { blocks[block] = .full }
        case .absent, .other:
            // The block is there from now on, and what is not written of it is zero.
            blocks[block] = .full
            fill(sectors(ofBlock: block), code: .data, pattern: 0)
        }
        fill(part, code: .data, pattern: pattern)
    }

    private mutating func fill(_ sectors: Range<Int>, code: SectorContent, pattern: UInt8) {
        codes.fill(sectors, with: LayerWalk.code(code))
        patterns.fill(sectors, with: pattern)
    }

    private mutating func forEachBlock(
        of sectors: Range<Int>,
        _ body: (inout LayerModel, _ block: Int, _ part: Range<Int>, _ isWhole: Bool) -> Void
    ) {
        guard !sectors.isEmpty else { return }
        for block in sectors.lowerBound / sectorsPerBlock...(sectors.upperBound - 1) / sectorsPerBlock {
            let whole = self.sectors(ofBlock: block)
            body(&self, block, sectors.clamped(to: whole), sectors.clamped(to: whole) == whole)
        }
    }
}

extension [UInt8] {
    /// Sets the elements at `positions`; fast also where nothing is optimised.
    mutating func fill(_ positions: Range<Int>, with value: UInt8) {
        withUnsafeMutableBytes { buffer in
            guard let start = UnsafeMutableRawBufferPointer(rebasing: buffer[positions]).baseAddress else { return }
            memset(start, Int32(value), positions.count)
        }
    }
}
