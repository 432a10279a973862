/// When a batch is given away. A batch may pass a limit by what one stripe adds.
struct BatchLimits {
    /// The bytes that the batch would take as runs, without the bits for zeroes. One stripe can add 65,536 ranges of two
    /// bytes, and each range has a bit: together with them a message stays within a frame of 256 KiB.
    var size = 96 * 1024
    /// The ranges of the batch: what one stripe can add must still have room in the columns.
    var count = RangeColumns.capacity / 2
    /// The stripes looked at, be there ranges in them or not: the caller can then say that it lives, or stop.
    var stripes = 4096
}
