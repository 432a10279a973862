/// Something that says of every cluster of a disk what it holds, and of which the extents of a `SectorMap` are made.
protocol Qcow2ClusterSource {
    var geometry: Qcow2Geometry { get }

    /// Makes cluster `index`, which is inside the disk, and its neighbours ready.
    mutating func load(_ index: UInt64) throws(ImageError) -> Qcow2Stretch

    /// What a cluster that is ready holds; nil where its entry is damaged.
    func content(ofCluster index: UInt64) -> Qcow2Content?

    /// The error for a cluster that is ready and whose entry is damaged.
    func damage(ofCluster index: UInt64) -> ImageError
}

/// What is known of the clusters from the one that was loaded on. It ends where an L2 table or a page of one does, which is on
/// a multiple of 64 sectors.
enum Qcow2Stretch {
    /// All clusters up to `end` hold the same.
    case uniform(SectorContent, end: UInt64)
    /// The clusters up to `end` are ready.
    case ready(end: UInt64)
}

extension Qcow2ClusterSource {
    /// In bytes: what the boundaries of extents are multiples of. Clusters and subclusters can be smaller.
    private static var alignment: UInt64 { 64 * 512 }

    /// `SectorMap.extent`.
    mutating func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let cluster = offset >> geometry.clusterBits
        switch try load(cluster) {
        case .uniform(let content, let end):
            return .uniform(content, end: min(limit, end << geometry.clusterBits))
        case .ready(let end):
            let limit = min(limit, end << geometry.clusterBits)
            guard let first = content(ofCluster: cluster) else { throw damage(ofCluster: cluster) }
            let content = first.part(part(at: offset))
            let runEnd = endOfRun(of: content, from: offset, limit: limit)
            let uniformEnd = runEnd == limit ? limit : runEnd & ~(Self.alignment - 1)
            if uniformEnd > offset { return .uniform(content, end: uniformEnd) }
            return .mixed(end: try fill(&mask, from: offset, limit: limit))
        }
    }

    /// Which 32nd part of its cluster the byte at `offset` is in, where clusters have parts.
    private func part(at offset: UInt64) -> UInt64 {
        geometry.hasSubclusters ? offset >> geometry.unitBits & 31 : 0
    }

    /// Where what follows `offset` is no longer `content`: at `limit`, or before a damaged cluster at the latest, so that what
    /// comes before it can be told.
    private func endOfRun(of content: SectorContent, from offset: UInt64, limit: UInt64) -> UInt64 {
        var cluster = offset >> geometry.clusterBits
        var part = part(at: offset)
        while cluster << geometry.clusterBits < limit, let next = self.content(ofCluster: cluster) {
            let length = next.runLength(of: content, from: part)
            if part + length < 32 {
                return min(limit, cluster << geometry.clusterBits + (part + length) << geometry.unitBits)
            }
            cluster += 1
            part = 0
        }
        return min(limit, cluster << geometry.clusterBits)
    }

    /// Fills `mask` from `offset` on, with units of less than 64 sectors, and returns where it ends.
    private func fill(
        _ mask: inout SectorMask,
        from offset: UInt64,
        limit: UInt64
    ) throws(ImageError) -> UInt64 {
        let end = try endOfSoundClusters(
            from: offset,
            limit: min(limit, offset + UInt64(SectorMask.capacity) * 512)
        )
        let sectorsPerUnitBits = geometry.unitBits - 9
        let unitsPerWord: UInt64 = 64 >> sectorsPerUnitBits
        let unitEnd = (end - 1) >> geometry.unitBits + 1
        let partBits = geometry.clusterBits - geometry.unitBits
        let ones: UInt64 = (1 << (1 << sectorsPerUnitBits)) - 1
        try mask.fillWithZeroes(count: Int((end - offset) / 512)) {
            (data, zeroes, wordCount) throws(ImageError) in
            var unit = offset >> geometry.unitBits
            var cluster = UInt64.max
            var content = Qcow2Content(data: 0, zeroes: 0)
            for word in 0..<wordCount {
                var dataBits: UInt64 = 0
                var zeroBits: UInt64 = 0
                for place in 0..<min(unitsPerWord, unitEnd - unit) {
                    if unit >> partBits != cluster {
                        cluster = unit >> partBits
                        guard let next = self.content(ofCluster: cluster) else { throw damage(ofCluster: cluster) }
                        content = next
                    }
                    switch content.part(geometry.hasSubclusters ? unit & 31 : 0) {
                    case .data: dataBits |= ones << (place << sectorsPerUnitBits)
                    case .unmapped, .zero: zeroBits |= ones << (place << sectorsPerUnitBits)
                    case .absent: break
                    }
                    unit += 1
                }
                data[word] = dataBits
                zeroes[word] = zeroBits
            }
        }
        return end
    }

    /// The last place up to `limit` at which an extent from `offset` may end and before which no entry is damaged.
    private func endOfSoundClusters(from offset: UInt64, limit: UInt64) throws(ImageError) -> UInt64 {
        for cluster in offset >> geometry.clusterBits...(limit - 1) >> geometry.clusterBits
        where content(ofCluster: cluster) == nil {
            let end = (cluster << geometry.clusterBits) & ~(Self.alignment - 1)
            guard end > offset else { throw damage(ofCluster: cluster) }
            return end
        }
        return limit
    }
}
