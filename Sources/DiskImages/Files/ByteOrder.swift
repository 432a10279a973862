/// Which byte of a stored number comes first.
enum ByteOrder {
    /// The least significant: VHDX.
    case littleEndian
    /// The most significant: VHD and qcow2.
    case bigEndian

    #if _endian(big)
        static let native = bigEndian
    #else
        static let native = littleEndian
    #endif
}

extension FixedWidthInteger {
    /// The number whose bytes are `bytes`, as many as the type has.
    init(_ bytes: [UInt8], _ order: ByteOrder) {
        let bytes = bytes.prefix(MemoryLayout<Self>.size)
        let mostSignificantFirst = order == .bigEndian ? Array(bytes) : bytes.reversed()
        self = mostSignificantFirst.reduce(0) { $0 << 8 | Self(truncatingIfNeeded: $1) }
    }
}
