import TestSupport
import Testing

@testable import DiskImages

/// How large a VHD is: CurrentSize says it, whoever made the disk and whatever its geometry says.
@Suite("Sizes of VHDs")
struct VHDSizeTests {
    /// Of which QEMU takes CurrentSize.
    private static let known = ["win ", "qem2", "d2v ", "tap\0", "CTXS", "wa\0\0"]
    private static let others = ["vpc ", "qemu", "vs  ", "vbox", "go\0\0", "\0\0\0\0", "dskd"]

    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.vhd")
    }

    private func open(_ builder: VHDBuilder) throws(ImageError) -> VHDImage {
        do { try builder.write(to: path) } catch { Issue.record("\(error)") }
        return try VHDImage(LocalFiles().open(path))
    }

    @Test(arguments: known + others) func everyCreatorHasTheSameRule(creator: String) throws {
        for geometry: (UInt16, UInt8, UInt8) in [(100, 4, 17), (0, 0, 0), (65_535, 16, 255), (65_535, 255, 255)] {
            for type: UInt32 in [2, 3] {
                var builder = VHDBuilder(virtualSize: 4 << 20)
                (builder.creator, builder.geometry, builder.type) = (creator, geometry, type)
                let image = try open(builder)
                #expect(image.description.virtualSize == 4 << 20)
                #expect(try LayerWalk.codes(of: image).count == 8_192)
                #expect(try DiskChain.check(path, in: LocalFiles()).isSound)
            }
        }
    }

    /// A disk that ends inside its second block by its size, and inside the fourth by its geometry.
    private func larger(_ creator: String) -> VHDBuilder {
        var builder = VHDBuilder(virtualSize: 2 << 20 + 2_047 * 512)
        builder.creator = creator
        builder.geometry = (1_024, 1, 13)
        builder.maximumEntryCount = 4
        builder.blocks = [1: .init(sectors: [0, 2_046])]
        return builder
    }

    @Test(arguments: known + others) func dataBehindTheEndIsRefused(creator: String) throws {
        let isKnown = Self.known.contains(creator)
        func expectRefused(_ builder: VHDBuilder, _ what: String, _ change: (RawFile) throws -> Void = { _ in }) throws
        {
            try builder.write(to: path)
            try change(RawFile(path))
            do throws(ImageError) {
                let image = try VHDImage(LocalFiles().open(path))
                #expect(isKnown && image.size == builder.virtualSize, "\(what)")
            } catch {
                #expect(!isKnown && error.code == .unsupported, "\(what): \(error)")
                for size in [builder.virtualSize, 1_024 * 13 * 512] {
                    #expect(error.message.contains("\(size)"), "\(what): \(error)")
                }
            }
        }
        var builder = larger(creator)
        #expect(try open(builder).size == builder.virtualSize)
        builder.blocks[1] = .init(sectors: [0, 2_047])
        try expectRefused(builder, "the sector behind the end")
        builder.blocks[1] = .init(sectors: [4_095])
        try expectRefused(builder, "the last sector of the last block")
        builder = larger(creator)
        for block in [2, 3] {
            try expectRefused(builder, "block \(block)") { file in
                try file.write([0, 0, 0, 5], at: builder.placeOfEntry(block: block))
            }
        }
        // What neither of both sizes has, and what the table does not have.
        try builder.write(to: path)
        try RawFile(path).write([0, 0, 0, 5], at: builder.placeOfEntry(block: 4))
        #expect(try VHDImage(LocalFiles().open(path)).size == builder.virtualSize)
        // All bits of the block are set, as most programs do it, and nothing was written.
        builder.blocks[1] = .init(sectors: Set(0..<4_096))
        builder.fill = 0
        #expect(try open(builder).size == builder.virtualSize)
        // A geometry that ends inside the last block, and before the data behind the end.
        builder.fill = 1
        builder.geometry = (6_144, 1, 1)
        builder.blocks[1] = .init(sectors: [2_048])
        #expect(try open(builder).size == builder.virtualSize)
    }

    /// A table of four thousand million entries is not looked through.
    @Test(.timeLimit(.minutes(1))) func aTableThatGoesOnForLong() throws {
        var builder = VHDBuilder(virtualSize: 1 << 20, blockSize: 512)
        builder.creator = "vpc "
        builder.geometry = (65_535, 255, 255)
        builder.maximumEntryCount = .max
        try builder.write(to: path)
        let file = try RawFile(path)
        let footer = builder.footer()
        try file.truncate(to: 20 << 30)
        try file.write(footer, at: 20 << 30 - 512)
        let error = #expect(throws: ImageError.self) { try VHDImage(LocalFiles().open(path)) }
        #expect(error?.code == .unsupported)
    }

    /// What this program makes has one size for everybody, whatever the parent's geometry is.
    @Test func aNewChildIsAsLargeAsItsParent() throws {
        for creator in Self.known + Self.others {
            var builder = VHDBuilder(virtualSize: 4 << 20)
            builder.creator = creator
            try builder.write(to: path)
            let child = folder.file("child \(creator.utf8.map { Int($0) }).avhd")
            try VHDCreation.differencing(parent: path).create(at: child, isDurable: false)
            let footer = try VHDImage(LocalFiles().open(child)).structure.footer
            #expect(footer.currentSize == 4 << 20 && footer.diskGeometry == .maximum)
        }
    }

    /// Chains of layers from many programs, written to and merged, against the model that CurrentSize counts everywhere.
    @Test(arguments: UInt64(1)...40) func chains(seed: UInt64) throws {
        print("sizes of a VHD chain with the seed \(seed)")
        var random = RepeatableGenerator(seed: seed)
        let size = UInt64.random(in: 4_000...20_000, using: &random) * 512
        var model = [UInt64](repeating: 0, count: Int(size / 512))
        var paths: [String] = []
        var parent: VHDBuilder?
        for height in 0..<Int.random(in: 1...4, using: &random) {
            var layer = VHDBuilder(virtualSize: size, blockSize: 1 << UInt32.random(in: 15...21, using: &random))
            layer.uniqueID = GUID(high: seed, low: UInt64(height) + 1)
            layer.creator = (Self.known + Self.others).randomElement(using: &random) ?? ""
            layer.geometry = geometry(of: size, using: &random)
            layer.fill = UInt8(height + 1)
            if let parent { layer.setParent(parent.uniqueID, path: ".\\\(height - 1).vhd") }
            let perBlock = Int(layer.blockSize / 512)
            var sectors: Set<Int> = []
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                // Most of them where the geometries end.
                let first = Int.random(in: (random.chance(70) ? model.count - 900 : 0)..<model.count, using: &random)
                sectors.formUnion(first..<min(model.count, first + Int.random(in: 1...700, using: &random)))
            }
            for (block, part) in Dictionary(grouping: sectors, by: { $0 / perBlock }) {
                layer.blocks[block] = .init(sectors: Set(part.map { $0 % perBlock }))
            }
            paths.append(folder.file("\(height).vhd"))
            try layer.write(to: paths[height])
            for sector in sectors { model[sector] = UInt64(layer.fill) * 0x0101_0101_0101_0101 }
            let image = try VHDImage(LocalFiles().open(paths[height]))
            let codes = try LayerWalk.codes(of: image)
            #expect(codes.count == model.count, "seed \(seed), layer \(height)")
            #expect(Set(codes.indices.filter { codes[$0] == 1 }) == sectors, "seed \(seed), layer \(height)")
            parent = layer
        }
        let leaf = try #require(paths.last)
        #expect(try ChainWords.read(leaf) == model, "seed \(seed)")
        #expect(try DiskChain.check(leaf, in: LocalFiles()).isSound, "seed \(seed)")

        let last = model.count - 1
        let words = [UInt64](repeating: 77, count: 64)
        try ImageWriting.open(leaf, isDurable: false).write(words.span.bytes, at: UInt64(last) * 512)
        model[last] = 77
        #expect(try ChainWords.read(leaf) == model, "seed \(seed), written")
        for below in paths.dropLast().reversed() {
            let child = paths[try #require(paths.firstIndex(of: below)) + 1]
            try ImageMerge(path: child, isOnlyChild: true, isDurable: false).run()
            #expect(try ChainWords.read(below) == model, "seed \(seed), merged into \(below)")
            #expect(try ChainWords.read(leaf) == model, "seed \(seed), merged into \(below)")
        }
        #expect(try DiskChain.check(leaf, in: LocalFiles()).isSound, "seed \(seed), merged")
    }

    /// Smaller than the disk as a rule, by less than a cylinder; or larger, of no size, or the largest.
    private func geometry(of size: UInt64, using random: inout RepeatableGenerator) -> (UInt16, UInt8, UInt8) {
        let heads = UInt8.random(in: 1...16, using: &random)
        let sectors = UInt8.random(in: 1...63, using: &random)
        let cylinders = size / 512 / (UInt64(heads) * UInt64(sectors))
        return switch Int.random(in: 0..<10, using: &random) {
        case 0: (0, 0, 0)
        case 1: (65_535, 16, 255)
        case 2: (UInt16(cylinders + 9), heads, sectors)
        default: (UInt16(cylinders), heads, sectors)
        }
    }

    /// QEMU reads the same, as far as it goes by default, and all of it where it is told to go by CurrentSize.
    @Test(.enabled(if: Oracles.qemuImage != nil, "qemu-img is not installed"), arguments: known + others)
    func asQEMUReadsThem(creator: String) throws {
        let program = try #require(Oracles.qemuImage)
        var builder = VHDBuilder(virtualSize: 4 << 20)
        builder.creator = creator
        builder.blocks = [0: .init(sectors: [1, 4_095]), 1: .init(sectors: [0, 2_650, 2_800, 4_095])]
        try builder.write(to: path)
        let model = try ChainWords.read(path)
        #expect(model.count == 8_192 && model.last != 0)
        func content(_ options: String) throws -> [UInt64] {
            let source = "driver=vpc,file.filename=\(path)\(options)"
            let output = folder.file("content")
            let result = try Oracles.run(program, ["convert", "--image-opts", "-O", "raw", source, output])
            #expect(result.status == 0, "\(result.text)")
            let bytes = try RawFile(output).read(at: 0, count: 4 << 20)
            return stride(from: 0, to: bytes.count, by: 512).map { UInt64(bytes[$0]) * 0x0101_0101_0101_0101 }
        }
        #expect(try content(",force_size_calc=current_size") == model)
        let byDefault = try content("")
        let byGeometry = try content(",force_size_calc=chs")
        #expect(byGeometry == Array(model.prefix(100 * 4 * 17)))
        // The version of QEMU that is installed may not know Azure's creator yet.
        #expect(byDefault == (byDefault.count == model.count ? model : byGeometry))
        if Self.others.contains(creator) { #expect(byDefault.count == byGeometry.count) }
        // Of what this program makes it reads all, whatever it is told to go by.
        let made = folder.file("made.vhd")
        try VHDCreation.dynamic(virtualSize: 4 << 20).create(at: made, isDurable: false)
        for rule in ["", ",force_size_calc=current_size", ",force_size_calc=chs"] {
            let arguments = ["convert", "--image-opts", "-O", "raw"]
            let source = "driver=vpc,file.filename=\(made)\(rule)"
            #expect(try Oracles.run(program, arguments + [source, made + ".raw"]).status == 0)
            #expect(try RawFile(made + ".raw").size == 4 << 20, "\(rule)")
        }
    }
}
