import TestSupport
import Testing

@testable import DiskImages

/// Entries of L2 tables with anything in them: each is what the specification says, or damaged, and a damaged one is neither
/// data nor zeroes.
@Suite("qcow2 entries")
struct Qcow2EntryTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.qcow2")
    }

    /// Numbers for an entry of a file of `length` bytes with clusters of 64 KiB, each kind of them and each fault often.
    private func randomEntry(
        hasSubclusters: Bool,
        length: UInt64,
        _ random: inout RepeatableGenerator
    ) -> Qcow2Builder.Entry {
        let cluster: UInt64 = 1 << 16
        let end = (length + cluster - 1) / cluster * cluster
        var offset = UInt64.random(in: 1..<max(2, length / cluster), using: &random) * cluster
        switch Int.random(in: 0..<10, using: &random) {
        case 0...2: offset = 0
        case 3: offset = end
        case 4: offset = 1 << UInt64.random(in: 40...55, using: &random)
        case 5: offset += 1 << UInt64.random(in: 9...15, using: &random)
        default: break
        }
        var entry = Qcow2Builder.Entry(offset)
        if random.chance(25) {
            // A compressed cluster begins anywhere, and is as long as its sectors say; far behind the end, or not at all.
            if offset == 0 || offset == end { offset = length - UInt64.random(in: 1...4_096, using: &random) }
            offset &= 1 << 50 - 1
            entry.descriptor = 1 << 62 | offset | UInt64.random(in: 0...255, using: &random) << 54
        } else {
            if !hasSubclusters, random.chance(50) { entry.descriptor |= 1 }
            if random.chance(10) {
                let reserved = Array(UInt64(1)..<9) + Array(56..<62)
                entry.descriptor |= 1 << (reserved.randomElement(using: &random) ?? 1)
            }
        }
        if random.chance(40) { entry.descriptor |= 1 << 63 }
        if hasSubclusters {
            let data = UInt64(UInt32.random(in: 0...UInt32.max, using: &random))
            let zeroes = UInt64(UInt32.random(in: 0...UInt32.max, using: &random))
            entry.subclusters =
                switch Int.random(in: 0..<8, using: &random) {
                case 0: data
                case 1: data | zeroes << 32
                case 2, 3: zeroes << 32
                case 4: data | (zeroes & ~data) << 32
                case 5: 0xFFFF_FFFF
                default: 0
                }
        }
        return entry
    }

    /// Whether the specification lets an entry be in a file of `length` bytes with clusters of 64 KiB (docs/interop/qcow2,
    /// "L2 table entry", "Standard Cluster Descriptor", "Compressed Clusters Descriptor", "Extended L2 Entries").
    private func isSound(_ entry: Qcow2Builder.Entry, hasSubclusters: Bool, length: UInt64) -> Bool {
        func bits(_ range: ClosedRange<UInt64>, of word: UInt64) -> UInt64 {
            (word << (63 - range.upperBound)) >> (63 - range.upperBound + range.lowerBound)
        }
        let word = entry.descriptor
        if bits(62...62, of: word) == 1 {
            let offset = bits(0...53, of: word)
            let last = offset / 512 + bits(54...61, of: word)
            return bits(63...63, of: word) == 0 && entry.subclusters == 0 && offset < length
                && (last + 1) * 512 < length + 1 << 16
        }
        let offset = bits(9...55, of: word) << 9
        guard bits(1...8, of: word) == 0, bits(56...61, of: word) == 0, offset % (1 << 16) == 0 else { return false }
        guard offset == 0 || offset < length else { return false }
        guard hasSubclusters else { return true }
        let (data, zeroes) = (bits(0...31, of: entry.subclusters), bits(32...63, of: entry.subclusters))
        return bits(0...0, of: word) == 0 && data & zeroes == 0 && (data == 0 || offset != 0)
    }

    private func codes(ofCluster cluster: Int, of map: any SectorMap) throws(ImageError) -> [UInt8] {
        var mask = SectorMask()
        var offset = UInt64(cluster) << 16
        let end = offset + 1 << 16
        var codes: [UInt8] = []
        while offset < end {
            switch try map.extent(at: offset, limit: end, into: &mask) {
            case .uniform(let content, let next):
                codes += [UInt8](repeating: LayerWalk.code(content), count: Int((next - offset) / 512))
                offset = next
            case .mixed(let next):
                for sector in 0..<mask.count {
                    let (word, bit) = (sector / 64, UInt64(sector % 64))
                    let isZero = mask.hasZeroes && mask.zeroWords[word] >> bit & 1 == 1
                    codes.append(mask.words[word] >> bit & 1 == 1 ? 1 : isZero ? 3 : 0)
                }
                offset = next
            }
        }
        return codes
    }

    /// Tables full of such entries, now and at a snapshot, against the specification and a model of the tables.
    @Test(arguments: UInt64(1)...30) func tablesOfAnything(seed: UInt64) throws {
        print("random qcow2 entries with the seed \(seed)")
        var random = RepeatableGenerator(seed: seed)
        let hasSubclusters = seed % 2 == 0
        var builder = Qcow2Builder(size: 64 << 16)
        builder.incompatible = hasSubclusters ? 16 : 0
        for _ in 0..<8 { _ = builder.reserve() }
        builder.snapshots = [.init(id: "1", name: "then", size: builder.size, entries: [0: .init(1 << 62 | 1 << 16)])]
        builder.setData(63)
        let length = try builder.write(to: path).end
        for cluster in 0..<64 where cluster < 63 && random.chance(80) {
            builder.entries[cluster] = randomEntry(hasSubclusters: hasSubclusters, length: length, &random)
            if random.chance(50) {
                let other = randomEntry(hasSubclusters: hasSubclusters, length: length, &random)
                builder.snapshots[0].entries[cluster] = random.chance(50) ? builder.entries[cluster] : other
            }
        }
        // As many tables as before, so that the file has the same length.
        #expect(try builder.write(to: path).end == length)
        let image = try Qcow2Image(LocalFiles().open(path), in: LocalFiles())
        let model = try Qcow2Model(path)
        let point = try #require(image.recordedPoints.first)
        func damaged(_ entries: [Int: Qcow2Builder.Entry]) -> Set<Int> {
            Set(entries.filter { !isSound($0.value, hasSubclusters: hasSubclusters, length: length) }.keys)
        }
        let now = damaged(builder.entries)
        let then = damaged(builder.snapshots[0].entries)
        func compare(_ map: any SectorMap, _ expected: [UInt8], damaged: Set<Int>, _ what: String) {
            for cluster in 0..<64 {
                do throws(ImageError) {
                    let codes = try codes(ofCluster: cluster, of: map)
                    #expect(!damaged.contains(cluster), "seed \(seed), \(what), cluster \(cluster) is damaged")
                    let isEqual = codes == Array(expected[cluster * 128..<cluster * 128 + 128])
                    #expect(isEqual, "seed \(seed), \(what), cluster \(cluster)")
                } catch {
                    #expect(error.code == .corrupt && damaged.contains(cluster), "seed \(seed), \(what): \(error)")
                }
            }
        }
        compare(image, try model.codes(of: model.current), damaged: now, "now")
        compare(try image.state(at: point), try model.codes(of: model.snapshots[0]), damaged: then, "then")
        let changes = try model.changes(from: model.snapshots[0], to: model.current)
        compare(try image.changes(since: point, upTo: nil), changes, damaged: now.union(then), "since then")
        // Each state is told of by itself.
        let problems = try DiskChain.check(path, in: LocalFiles()).problems
        let numbers = problems.map { $0.message.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
        let expected = now.sorted() + then.sorted()
        let isKnown = numbers == expected || numbers == expected + now.union(then).sorted()
        #expect(isKnown, "seed \(seed): \(problems.map(\.message))")
    }

    /// What `qemu-img check` says of an entry that cannot be, in any file.
    private static let faults = [
        "exceeding the end of the file", "not properly aligned", "reserved bits set", "copied flag must never be set",
        "non-zero subcluster allocation", "corrupted subcluster allocation",
    ]

    @Test(.enabled(if: Qcow2Tools.installed != nil, "\(Qcow2Tools.absence)"), arguments: [false, true])
    func anEntryIsDamagedWhereQEMUSaysIt(hasSubclusters: Bool) throws {
        let tools = try #require(Qcow2Tools.installed)
        let program = try #require(Oracles.qemuImage)
        let options = ["-o", hasSubclusters ? "extended_l2=on" : "extended_l2=off"]
        try tools.image(["create", "-q", "-f", "qcow2"] + options + [path, "4M"])
        try tools.write(
            ["write -P 1 0 256k", "write -z 256k 64k", "write -P 3 512k 128k", "write -z 512k 64k"],
            to: path
        )
        let file = try RawFile(path)
        let length = (file.size + 0xFFFF) & ~0xFFFF
        try file.truncate(to: length)
        let l1 = try file.number(UInt64.self, at: 40).byteSwapped
        let l2 = try file.number(UInt64.self, at: l1).byteSwapped & 0xFF_FFFF_FFFF_FE00
        var random = RepeatableGenerator(seed: hasSubclusters ? 2 : 1)
        var counts = [false: 0, true: 0]
        for round in 0..<120 {
            let entry = randomEntry(hasSubclusters: hasSubclusters, length: length, &random)
            let cluster = UInt64.random(in: 0..<12, using: &random)
            let entryLength: UInt64 = hasSubclusters ? 16 : 8
            let place = l2 + cluster * entryLength
            let before = try file.read(at: place, count: Int(entryLength))
            try file.write(number: entry.descriptor.byteSwapped, at: place)
            if hasSubclusters { try file.write(number: entry.subclusters.byteSwapped, at: place + 8) }
            let verdict = try Oracles.run(program, ["check", "-f", "qcow2", path]).text
            let isDamaged = Self.faults.contains { verdict.contains($0) }
            let image = try Qcow2Image(LocalFiles().open(path), in: LocalFiles())
            let isRefused = (try? codes(ofCluster: Int(cluster), of: image)) == nil
            let what = "round \(round), \(String(entry.descriptor, radix: 16)), \(String(entry.subclusters, radix: 16))"
            #expect(isRefused == isDamaged, "\(what): \(verdict)")
            #expect(try DiskChain.check(path, in: LocalFiles()).isSound == !isDamaged, "\(what): \(verdict)")
            counts[isDamaged, default: 0] += 1
            try file.write(before, at: place)
        }
        #expect(counts[false, default: 0] > 20 && counts[true, default: 0] > 20)
    }

    /// A table that was written over with reference counts: each number has the mark of a cluster of zeroes.
    @Test func aTableWrittenOverWithReferenceCounts() throws {
        var builder = Qcow2Builder(size: 64 << 20)
        builder.setData(0)
        (builder.backingName, builder.backingFormat) = (Array("base.raw".utf8), "raw")
        let layout = try builder.write(to: path)
        let table = try #require(layout.l2Offsets[0])
        try RawFile(path).write((0..<32_768).flatMap { _ in [UInt8(0), 1] }, at: table)
        let image = try Qcow2Image(LocalFiles().open(path), in: LocalFiles())
        let error = #expect(throws: ImageError.self) { try LayerWalk.codes(of: image) }
        #expect(error?.code == .corrupt && error?.offset == table)
        try RawFile(folder.file("base.raw"), create: true).truncate(to: 64 << 20)
        #expect(try DiskChain.check(path, in: LocalFiles()).problems.count == ImageCheckReport.maximumProblemCount)
    }

    /// Clusters of zeroes and preallocated ones, which QEMU lets keep their places.
    @Test(.enabled(if: Qcow2Tools.installed != nil, "\(Qcow2Tools.absence)"), arguments: [false, true])
    func zeroesThatKeepTheirPlaces(hasSubclusters: Bool) throws {
        let tools = try #require(Qcow2Tools.installed)
        let options = "preallocation=metadata,extended_l2=\(hasSubclusters ? "on" : "off")"
        // The disk ends inside a cluster, and the file with it.
        let size = 5 << 20 + 512
        try tools.image(["create", "-q", "-f", "qcow2", "-o", options, path, "\(size)"])
        try tools.write(
            ["write -P 1 64k 64k", "write -z 0 1M", "write -z 5M 512", "write -P 1 2M 4k", "write -z 2M 64k"],
            to: path
        )
        let image = try Qcow2Image(LocalFiles().open(path), in: LocalFiles())
        #expect(try LayerWalk.codes(of: image) == (try tools.allocation(of: path, size: UInt64(size))))
        #expect(try DiskChain.check(path, in: LocalFiles()).isSound)
    }
}
