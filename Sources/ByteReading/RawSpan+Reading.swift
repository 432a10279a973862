/// The one way in which DiskDelta reads bytes that it does not trust: those of a file or of a peer.
///
/// A plain subscript of `RawSpan` past the end traps. Every function here checks first and throws instead, so that no
/// number from outside can stop the process. The comparisons subtract from the length, which is known to be sane, and
/// never add to the offset, which is not.
extension RawSpan {
    /// An integer stored least significant byte first, as VHDX stores them.
    @inlinable
    public func littleEndian<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type,
        at offset: Int
    ) throws(OutOfBounds) -> T {
        T(littleEndian: try loadChecked(type, at: offset))
    }

    /// An integer stored most significant byte first, as VHD, qcow2 and the wire protocol store them.
    @inlinable
    public func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type,
        at offset: Int
    ) throws(OutOfBounds) -> T {
        T(bigEndian: try loadChecked(type, at: offset))
    }

    /// A copy of `count` bytes from `offset`.
    @inlinable
    public func copyBytes(at offset: Int, count: Int) throws(OutOfBounds) -> [UInt8] {
        try check(offset: offset, count: count)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            withUnsafeBytes { source in
                let bytes = UnsafeRawBufferPointer(rebasing: source[offset..<offset &+ count])
                UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
            }
            initialized = count
        }
    }

    /// Throws unless the `count` bytes from `offset` lie inside the span.
    @inlinable
    public func check(offset: Int, count: Int) throws(OutOfBounds) {
        guard offset >= 0, count >= 0, offset <= byteCount, count <= byteCount - offset else {
            throw OutOfBounds(offset: offset, count: count, available: byteCount)
        }
    }

    @inlinable
    func loadChecked<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) throws(OutOfBounds) -> T {
        try check(offset: offset, count: MemoryLayout<T>.size)
        return unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: type)
    }
}
