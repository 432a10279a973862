/// A qcow2 file walked over one cluster after the other, as its specification says and without any of the code under test:
/// slow, and short enough to be seen to be right.
public struct Qcow2Model {
    /// What an L2 entry says of a cluster or a subcluster.
    public struct Unit: Equatable, Sendable {
        public enum Kind: UInt8, Sendable {
            /// As the codes of `LayerWalk`.
            case absent = 0
            case data = 1
            case zeroes = 3
        }

        public var kind: Kind
        /// The descriptor without what does not tell where the data is.
        public var place: UInt64
    }

    public struct State {
        public var id: String
        public var l1Offset: UInt64
        public var l1Count: Int
        /// In bytes.
        public var size: UInt64
    }

    /// The file ends inside a table.
    public struct Unreadable: Error {}

    private let file: RawFile
    private let version: UInt64
    private let clusterSize: UInt64
    private let hasSubclusters: Bool
    private let hasDataFile: Bool
    private let hasBackingFile: Bool
    public let current: State
    public private(set) var snapshots: [State] = []

    public init(_ path: String) throws {
        file = try RawFile(path)
        version = try Self.number(file, 4, 4)
        hasBackingFile = try Self.number(file, 8, 8) != 0
        clusterSize = 1 << (try Self.number(file, 20, 4))
        let features = version == 2 ? 0 : try Self.number(file, 72, 8)
        hasDataFile = features & 4 != 0
        hasSubclusters = features & 16 != 0
        current = State(
            id: "",
            l1Offset: try Self.number(file, 40, 8),
            l1Count: Int(try Self.number(file, 36, 4)),
            size: try Self.number(file, 24, 8)
        )
        var place = try Self.number(file, 64, 8)
        for _ in 0..<(try Self.number(file, 60, 4)) {
            let idLength = try Self.number(file, place + 12, 2)
            let nameLength = try Self.number(file, place + 14, 2)
            let extraLength = try Self.number(file, place + 36, 4)
            let id = try file.read(at: place + 40 + extraLength, count: Int(idLength))
            snapshots.append(
                State(
                    id: String(decoding: id, as: UTF8.self),
                    l1Offset: try Self.number(file, place, 8),
                    l1Count: Int(try Self.number(file, place + 8, 4)),
                    size: extraLength >= 16 ? try Self.number(file, place + 48, 8) : current.size
                )
            )
            place += (40 + extraLength + idLength + nameLength + 7) / 8 * 8
        }
    }

    private static func number(_ file: RawFile, _ offset: UInt64, _ length: Int) throws -> UInt64 {
        try file.read(at: offset, count: length).reduce(0) { $0 << 8 | UInt64($1) }
    }

    public var unitSize: UInt64 { hasSubclusters ? clusterSize / 32 : clusterSize }

    /// Each unit of the disk in one of its states, up to `size`; those behind the end of that state are not there.
    public func units(of state: State, size: UInt64) throws -> [Unit] {
        let entryLength: UInt64 = hasSubclusters ? 16 : 8
        let entriesPerTable = clusterSize / entryLength
        let perCluster = hasSubclusters ? 32 : 1
        var units: [Unit] = []
        var table: [UInt8] = []
        for cluster in 0..<(size + clusterSize - 1) / clusterSize {
            let nothing = repeatElement(Unit(kind: .absent, place: 0), count: perCluster)
            let l1Index = cluster / entriesPerTable
            if cluster % entriesPerTable == 0 {
                let entry =
                    l1Index < UInt64(state.l1Count) ? try Self.number(file, state.l1Offset + l1Index * 8, 8) : 0
                let offset = entry & 0x00FF_FFFF_FFFF_FE00
                table = offset == 0 ? [] : try file.read(at: offset, count: Int(clusterSize))
                guard offset == 0 || table.count == Int(clusterSize) else { throw Unreadable() }
            }
            guard !table.isEmpty, cluster * clusterSize < state.size else {
                units += nothing
                continue
            }
            func word(_ index: UInt64) -> UInt64 {
                table[Int(index)..<Int(index) + 8].reduce(0) { $0 << 8 | UInt64($1) }
            }
            let start = cluster % entriesPerTable * entryLength
            let descriptor = word(start)
            if descriptor >> 62 & 1 == 1 {
                let place = descriptor & 0x7FFF_FFFF_FFFF_FFFF
                units += repeatElement(Unit(kind: .data, place: place), count: perCluster)
                continue
            }
            let place = descriptor & 0x00FF_FFFF_FFFF_FE00
            if hasSubclusters {
                let bitmap = word(start + 8)
                for part in 0..<UInt64(32) {
                    let isZero = bitmap >> (part + 32) & 1 == 1
                    let isData = bitmap >> part & 1 == 1
                    units.append(Unit(kind: isZero ? .zeroes : isData ? .data : .absent, place: place))
                }
            } else if descriptor & 1 == 1 {
                units.append(Unit(kind: .zeroes, place: place))
            } else {
                let isThere = place != 0 || hasDataFile && descriptor >> 63 == 1
                units.append(Unit(kind: isThere ? .data : .absent, place: place))
            }
        }
        return units
    }

    /// The codes, as `LayerWalk` has them, of a state.
    public func codes(of state: State) throws -> [UInt8] {
        sectors(try units(of: state, size: state.size).map(\.kind.rawValue), size: state.size)
    }

    /// The codes of what changed from `earlier` to `later`.
    public func changes(from earlier: State, to later: State) throws -> [UInt8] {
        let old = try units(of: earlier, size: later.size)
        let new = try units(of: later, size: later.size)
        let codes = zip(old, new).enumerated().map { index, pair -> UInt8 in
            let (old, new) = pair
            let isAdded = min(UInt64(index + 1) * unitSize, later.size) > earlier.size
            if !isAdded, old == new || old.kind == .absent && new.kind == .absent { return Unit.Kind.absent.rawValue }
            if new.kind != .absent { return new.kind.rawValue }
            return (hasBackingFile ? Unit.Kind.data : .zeroes).rawValue
        }
        return sectors(codes, size: later.size)
    }

    /// The codes of the pieces that a dirty bitmap has marked, by its place in the directory.
    public func marked(byBitmap index: Int) throws -> [UInt8] {
        var place = version == 2 ? 72 : try Self.number(file, 100, 4)
        while try Self.number(file, place, 4) != 0x2385_2875 {
            guard try Self.number(file, place, 4) != 0 else { throw Unreadable() }
            place += 8 + (try Self.number(file, place + 4, 4) + 7) / 8 * 8
        }
        place = try Self.number(file, place + 24, 8)
        for _ in 0..<index {
            let length = try Self.number(file, place + 18, 2) + Self.number(file, place + 20, 4)
            place += (24 + length + 7) / 8 * 8
        }
        let table = try Self.number(file, place, 8)
        let granularity = UInt64(1) << (try Self.number(file, place + 17, 1))
        return try (0..<current.size / 512).map { sector in
            let bit = sector * 512 / granularity
            let entry = try Self.number(file, table + bit / 8 / clusterSize * 8, 8)
            guard entry & 0x00FF_FFFF_FFFF_FE00 != 0 else { return UInt8(entry & 1) }
            return UInt8(try Self.number(file, entry + bit / 8 % clusterSize, 1) >> (bit % 8) & 1)
        }
    }

    private func sectors(_ codes: [UInt8], size: UInt64) -> [UInt8] {
        var sectors: [UInt8] = []
        sectors.reserveCapacity(codes.count * Int(unitSize / 512))
        for code in codes { sectors.append(contentsOf: repeatElement(code, count: Int(unitSize / 512))) }
        return Array(sectors.prefix(Int(size / 512)))
    }
}
