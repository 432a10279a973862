/// The region of a disk that a question is about, in bytes, clipped to the disk.
public struct Window: Hashable, Sendable {
    public let start: UInt64
    public let end: UInt64

    public var length: UInt64 { end - start }

    /// A window of a disk of `size` bytes.
    ///
    /// - Parameters:
    ///   - offset: a multiple of `sector`. Where it equals `size`, the window is empty.
    ///   - length: a multiple of `sector`, unless the window reaches the end of the disk; nil means to the end.
    /// - Throws: `offsetOutOfRange` where `offset` is beyond `size`; `invalidParameter` where a value is not a multiple.
    init(offset: UInt64, length: UInt64?, size: UInt64, sector: UInt64) throws(QueryError) {
        guard offset <= size else {
            throw QueryError(
                .offsetOutOfRange,
                "The offset \(offset) is beyond the end of the disk, which has \(size) bytes"
            )
        }
        guard offset == size || offset % sector == 0 else {
            throw QueryError(.invalidParameter, "The offset \(offset) is not a multiple of the \(sector)-byte sector")
        }
        start = offset
        let rest = size - offset
        if let length, length < rest {
            guard length % sector == 0 else {
                throw QueryError(
                    .invalidParameter,
                    "The length \(length) is not a multiple of the \(sector)-byte sector and does not reach the end"
                )
            }
            end = offset + length
        } else {
            end = size
        }
    }
}
