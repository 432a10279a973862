extension Qcow2Image: CheckedImage {
    /// Walks over the disk as it is now and as it was at each snapshot, and over the bitmaps that may be used. Reference
    /// counts are left to `qemu-img check`: no answer depends on them.
    func check(into report: inout ImageCheckReport) throws(ImageError) {
        var check = Qcow2MapCheck(file: file, step: max(UInt64(description.blockSize), 64 * 512))
        try check.walk { () throws(ImageError) in current }
        for point in recordedPoints where point.condition != .inconsistent {
            try check.walk { () throws(ImageError) in
                point.kind == .snapshot ? try state(at: point) : try changes(since: point, upTo: nil)
            }
        }
        report.problems += check.problems
    }
}

/// Walks over maps from their start to their end, and goes on behind what is damaged.
private struct Qcow2MapCheck {
    /// How often a walk goes on: a damaged entry of an L1 table can stand for many clusters.
    private static let maximumSkips = 4_096

    let file: ImageFile
    /// In bytes: what is passed over where something is damaged.
    let step: UInt64
    var problems: [ImageError] = []
    private var mask = SectorMask()

    init(file: ImageFile, step: UInt64) {
        self.file = file
        self.step = step
    }

    /// - Throws: what is no damage: `readFailed`, `unsupported`.
    mutating func walk(_ map: () throws(ImageError) -> any SectorMap) throws(ImageError) {
        do throws(ImageError) {
            try walk(try map())
        } catch {
            try note(error)
        }
    }

    private mutating func walk(_ map: any SectorMap) throws(ImageError) {
        var offset: UInt64 = 0
        var skips = 0
        while offset < map.size, skips < Self.maximumSkips, problems.count < ImageCheckReport.maximumProblemCount {
            do throws(ImageError) {
                switch try map.extent(at: offset, limit: map.size, into: &mask) {
                case .uniform(_, let end), .mixed(let end): offset = end
                }
            } catch {
                try note(error)
                skips += 1
                offset = (offset / step + 1) * step
            }
        }
    }

    private mutating func note(_ error: ImageError) throws(ImageError) {
        guard error.code == .corrupt else { throw error }
        if problems.last != error, problems.count < ImageCheckReport.maximumProblemCount { problems.append(error) }
    }
}
