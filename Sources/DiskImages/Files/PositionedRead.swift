internal import Glibc

/// Reads from a file without moving a position, until the buffer is full.
enum PositionedRead {
    /// Fills `buffer` from `offset`; the caller knows that offset and length lie inside the file when it was examined.
    ///
    /// - Returns: nil, or a sentence that says why the buffer could not be filled.
    static func fill(_ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, at offset: UInt64) -> String? {
        guard let start = buffer.baseAddress else { return nil }
        var done = 0
        while done < buffer.count {
            // The sum is not above the file's size, which came from a signed number.
            let count = pread(descriptor, start + done, buffer.count - done, off_t(offset) + off_t(done))
            if count > 0 {
                done += count
            } else if count == 0 {
                return "The file became shorter while it was read."
            } else if errno != EINTR {
                return "The file cannot be read: \(systemMessage(errno))."
            }
        }
        return nil
    }
}
