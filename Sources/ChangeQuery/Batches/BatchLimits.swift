internal import DiskImages

/// When a batch is given away. A batch may pass a limit by what one stripe adds.
struct BatchLimits {
    /// The longest message, in bytes, that every client takes unless it says otherwise.
    static let usualMessage = 256 * 1024

    /// The bytes that the batch would take as runs, without the bits for zeroes.
    var size = usualMessage / 8 * 3
    /// The most sectors that one stripe tells apart by bits. Each may add a range of two bytes, and a bit for its kind.
    var maskSectors = SectorMask.capacity
    /// The ranges of the batch: what one stripe can add must still have room in the columns.
    var count = RangeColumns.capacity / 2
    /// The stripes looked at, be there ranges in them or not: the caller can then say that it lives, or stop.
    var stripes = 4096
    /// The stripes in a row that add no range, after which a batch that has some is given away: the next may be far, and
    /// looking for it costs as much as two pages of metadata for each layer and stripe.
    var dryStripes = 16
}

extension BatchLimits {
    /// Limits under which no batch makes a message longer than `maximumMessage` bytes, which is at least 16 KiB.
    ///
    /// Three eighths of it are for what the batch has before the last stripe, half for what that stripe adds, and of the
    /// last eighth the bits for zeroes take half at most: a sixteenth of what the ranges take.
    init(maximumMessage: Int) {
        self.init()
        let message = min(max(maximumMessage, 16 * 1024), Self.usualMessage)
        size = message / 8 * 3
        maskSectors = min(message / 4, SectorMask.capacity)
    }
}
