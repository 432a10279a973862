import ChangeQuery
import DiskImages

/// Walks over all that changed in a disk since its base, as the server does for one call, and counts.
enum Scan {
    static func run(disk: String) throws {
        // Once for the page cache and the clock of the processor.
        _ = try scan(disk)
        let clock = ContinuousClock()
        let start = clock.now
        let (ranges, blocks) = try scan(disk)
        let seconds = (clock.now - start) / .seconds(1)
        let bitmap = Double(blocks) * Double(Disks.blockSize) / 512 / 8
        // ranges, bytes of sector bitmap, seconds, GiB of bitmap per second, ranges per second
        print(ranges, Int(bitmap), seconds, bitmap / seconds / Double(1 << 30), Double(ranges) / seconds)
    }

    private static func scan(_ disk: String) throws -> (ranges: UInt64, blocks: Int) {
        let chain = try DiskChain.open(disk, in: LocalFiles())
        let since = Baseline.all(of: chain).first?.id ?? ""
        let cursor = RangeCursor(try Plan(Question(.changes(since: since, target: nil)), about: chain))
        while try cursor.next() != nil {}
        return (cursor.totals.ranges, disk.contains("dense") ? Disks.denseBlocks : Disks.sparseBlocks)
    }
}
