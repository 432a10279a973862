/// A qcow2 file that QEMU's tools made, as a seed says: cluster and disk size, features, a backing file, and a history of
/// writes, snapshots, bitmaps and changes of size.
public struct Qcow2RandomImage {
    public let seed: UInt64
    public let path: String
    /// In bytes.
    public private(set) var size: UInt64
    /// What the file is, for messages.
    public private(set) var story: [String] = []
    /// In the order in which they were made.
    public private(set) var snapshots: [String] = []
    /// Whether each bitmap is enabled.
    public private(set) var bitmaps: [String: Bool] = [:]
    /// From the backing file down to the base.
    public private(set) var backing: [String] = []

    private var generator: RepeatableGenerator
    private let tools: Qcow2Tools
    private let clusterSize: UInt64
    private var isOldVersion = false
    private var hasDataFile = false

    public static func make(seed: UInt64, in folder: TemporaryFolder, with tools: Qcow2Tools) throws -> Self {
        var generator = RepeatableGenerator(seed: seed)
        var below: Qcow2RandomImage?
        if generator.chance(40) {
            for depth in 0..<Int.random(in: 1...2, using: &generator) {
                var layer = Qcow2RandomImage(
                    seed: seed,
                    path: folder.file("base\(depth).\(depth == 0 && generator.chance(50) ? "raw" : "qcow2")"),
                    generator: generator,
                    tools: tools
                )
                try layer.create(onto: below, in: folder)
                try layer.write()
                generator = layer.generator
                below = layer
            }
        }
        var image = Qcow2RandomImage(seed: seed, path: folder.file("disk.qcow2"), generator: generator, tools: tools)
        try image.create(onto: below, in: folder)
        for _ in 0..<Int.random(in: 2...8, using: &image.generator) { try image.live() }
        return image
    }

    private init(seed: UInt64, path: String, generator: RepeatableGenerator, tools: Qcow2Tools) {
        self.seed = seed
        self.path = path
        self.generator = generator
        self.tools = tools
        clusterSize = 512 << UInt64.random(in: 0...12, using: &self.generator)
        let largest: UInt64 = clusterSize < 4_096 ? 2 << 20 : clusterSize < 65_536 ? 40 << 20 : 24 << 20
        size = UInt64.random(in: 1...largest / 512, using: &self.generator) * 512
    }

    /// Whether the file has the incompatible feature bit 1.
    public var isMarkedAsCorrupt: Bool {
        get throws { try RawFile(path).read(at: 76, count: 4)[3] & 2 != 0 && !isOldVersion }
    }

    private var isRaw: Bool { path.hasSuffix(".raw") }

    private mutating func create(onto below: Qcow2RandomImage?, in folder: TemporaryFolder) throws {
        if isRaw {
            story = ["raw \(size)"]
            return try tools.image(["create", "-q", "-f", "raw", path, "\(size)"])
        }
        var options = ["cluster_size=\(clusterSize)"]
        isOldVersion = generator.chance(10)
        options.append(isOldVersion ? "compat=0.10" : "compat=1.1")
        if !isOldVersion {
            if clusterSize >= 16_384, generator.chance(40) { options.append("extended_l2=on") }
            if generator.chance(10) { options.append("lazy_refcounts=on") }
            if generator.chance(20) { options.append("compression_type=zstd") }
            if generator.chance(15) { options.append("refcount_bits=\([1, 8, 64][Int(seed % 3)])") }
            // A count of one bit leaves no room for snapshots; qemu-img then refuses them.
            if generator.chance(12) {
                hasDataFile = true
                options.append("data_file=\(path).data")
                if below == nil, generator.chance(40) { options.append("data_file_raw=on") }
            }
        }
        if below == nil, generator.chance(12) { options.append("preallocation=metadata") }
        var arguments = ["create", "-q", "-f", "qcow2", "-o", options.joined(separator: ",")]
        if let below {
            // By a relative name, as it is done; beside the file.
            let name = below.path.dropFirst(folder.path.count + 1)
            arguments += ["-b", String(name), "-F", below.isRaw ? "raw" : "qcow2"]
            backing = [below.path] + below.backing
        }
        try tools.image(arguments + [path, "\(size)"])
        story = below.map(\.story) ?? []
        story.append("\(options) \(size)")
    }

    /// One thing that happens in the life of a disk.
    private mutating func live() throws {
        switch Int.random(in: 0..<100, using: &generator) {
        case ..<45: try write()
        case ..<62: try snapshot()
        case ..<90: try changeBitmaps()
        default: try resize()
        }
    }

    private mutating func write() throws {
        var commands: [String] = []
        let sectors = size / 512
        for _ in 0..<Int.random(in: 1...7, using: &generator) {
            let isAligned = generator.chance(40)
            let unit = isAligned ? max(1, clusterSize / 512) : 1
            let most = max(1, min(sectors, [8, 64, 512, 4_096].randomElement(using: &generator) ?? 8) / unit)
            let start = UInt64.random(in: 0..<sectors, using: &generator) / unit * unit
            let count = min(UInt64.random(in: 1...most, using: &generator) * unit, sectors - start)
            let place = "\(start * 512) \(count * 512)"
            let pattern = Int.random(in: 1...255, using: &generator)
            let command =
                switch Int.random(in: 0..<100, using: &generator) {
                case ..<55: "write -P \(pattern) \(place)"
                case ..<65: "write -z \(place)"
                case ..<72: "write -z -u \(place)"
                case ..<85: "discard \(place)"
                default: isRaw ? "write -P \(pattern) \(place)" : "write -c -P \(pattern) \(compressible(start))"
                }
            commands.append(command)
        }
        story += commands
        try tools.write(commands, to: path, format: isRaw ? "raw" : "qcow2")
    }

    /// The place and length of the cluster with `sector`.
    private func compressible(_ sector: UInt64) -> String {
        let start = sector * 512 / clusterSize * clusterSize
        return "\(start) \(min(clusterSize, size - start))"
    }

    private mutating func snapshot() throws {
        guard !hasDataFile else { return }
        if let victim = snapshots.randomElement(using: &generator), generator.chance(15) {
            guard try tools.tryImage(["snapshot", "-d", victim, path]) else { return }
            snapshots.removeAll { $0 == victim }
            story.append("delete snapshot \(victim)")
        } else if let wanted = snapshots.randomElement(using: &generator), generator.chance(15), bitmaps.isEmpty {
            guard try tools.tryImage(["snapshot", "-a", wanted, path]) else { return }
            story.append("return to snapshot \(wanted)")
            size = try Qcow2Model(path).current.size
        } else {
            let name = "state-\(story.count)"
            guard try tools.tryImage(["snapshot", "-c", name, path]) else { return }
            snapshots.append(name)
            story.append("snapshot \(name)")
        }
    }

    private mutating func changeBitmaps() throws {
        guard !isOldVersion else { return }
        let some = bitmaps.keys.sorted().randomElement(using: &generator)
        let other = bitmaps.keys.sorted().randomElement(using: &generator)
        switch Int.random(in: 0..<100, using: &generator) {
        case ..<10 where some != nil:
            try changeBitmap(some, ["--disable"]) { $0[$1] = false }
        case ..<20 where some != nil:
            try changeBitmap(some, ["--enable"]) { $0[$1] = true }
        case ..<28 where some != nil:
            try changeBitmap(some, ["--clear"]) { _, _ in }
        case ..<33 where some != nil:
            try changeBitmap(some, ["--remove"]) { $0[$1] = nil }
        case ..<48 where some != other:
            try changeBitmap(some, ["--merge", other ?? ""]) { _, _ in }
        default:
            let granularity = 512 << UInt64.random(in: 0...14, using: &generator)
            let isEnabled = generator.chance(80)
            let options = ["--add", "-g", "\(granularity)"] + (isEnabled ? [] : ["--disable"])
            try changeBitmap("bitmap-\(story.count)", options) { $0[$1] = isEnabled }
        }
    }

    private mutating func changeBitmap(
        _ name: String?,
        _ options: [String],
        _ body: (inout [String: Bool], String) -> Void
    ) throws {
        guard let name, try tools.tryImage(["bitmap", "-f", "qcow2"] + options + [path, name]) else { return }
        body(&bitmaps, name)
        story.append("bitmap \(options) \(name)")
    }

    private mutating func resize() throws {
        let sectors = UInt64.random(in: 1...size / 512 + 4_096, using: &generator)
        guard try tools.tryImage(["resize", "-q", "--shrink", "-f", "qcow2", path, "\(sectors * 512)"]) else { return }
        size = sectors * 512
        story.append("resize \(size)")
    }
}
