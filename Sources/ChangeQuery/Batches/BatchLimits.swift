/// When a batch is given away. A batch may pass a limit by what one stripe adds.
struct BatchLimits {
    /// The bytes that the batch would take as runs: with what one stripe can add, a frame stays within 256 KiB.
    var size = 128 * 1024
    /// The ranges of the batch: what one stripe can add must still have room in the columns.
    var count = RangeColumns.capacity / 2
    /// The stripes looked at, be there ranges in them or not: the caller can then say that it lives, or stop.
    var stripes = 4096
}
