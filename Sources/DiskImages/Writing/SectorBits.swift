/// The bits of sector bitmaps, one for each sector.
enum SectorBits {
    /// Which bit of a byte is that of the first of its eight sectors.
    enum Order {
        /// VHDX.
        case leastSignificantFirst
        /// VHD.
        case mostSignificantFirst
    }

    /// Sets the bits of `sectors` in `bytes`, of which the first holds the bits of sector `first`, a multiple of eight.
    static func set(_ sectors: Range<UInt64>, in bytes: inout [UInt8], from first: UInt64, _ order: Order) {
        var sector = sectors.lowerBound
        while sector < sectors.upperBound {
            let index = Int((sector - first) / 8)
            if sector % 8 == 0, sectors.upperBound - sector >= 8 {
                bytes[index] = 0xFF
                sector += 8
            } else {
                let place = UInt8(sector % 8)
                bytes[index] |= order == .leastSignificantFirst ? 1 << place : 0x80 >> place
                sector += 1
            }
        }
    }
}
