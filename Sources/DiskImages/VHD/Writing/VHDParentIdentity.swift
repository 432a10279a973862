internal import ByteReading

/// The identity that a VHD gets when a child is merged into it.
///
/// A VHD child can record one identity of its parent, and two files cannot be changed at once. So the identity after a
/// merge follows from the parent's before and the child's own: the child knows it without being told, and takes a parent
/// that has it for its own, while no sibling does.
enum VHDParentIdentity {
    /// - Parameters:
    ///   - parent: the parent's UniqueId before the merge, which the child has recorded.
    ///   - child: the child's UniqueId.
    static func afterMerge(of child: GUID, into parent: GUID) -> GUID {
        var state: UInt64 = 0
        for word in [parent.high, parent.low, child.high, child.low] { state = mixed(state ^ word) }
        let high = mixed(state &+ parent.high)
        let low = mixed(high ^ child.low &+ parent.low)
        // Version 8 of RFC 9562: made in a way of one's own.
        return GUID(high: high & ~0xF000 | 0x8000, low: low & ~(0b11 << 62) | 0b10 << 62)
    }

    /// Every bit of the result depends on every bit of `word` (the finalizer of SplitMix64).
    private static func mixed(_ word: UInt64) -> UInt64 {
        var word = word &+ 0x9E37_79B9_7F4A_7C15
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

extension VHDFooterUpdater {
    /// Gives the disk of `structure` another UniqueId, and returns what the file has then.
    ///
    /// A footer and a copy that differ in it are of different disks. So the footer at the end goes first: readers use the
    /// copy, which is a sector of the medium and changes as a whole or not at all; then the footer is made again.
    static func replaceIdentity(
        of structure: VHDStructure,
        with identifier: GUID,
        in storage: any ImageStorage,
        path: String
    ) throws(ImageError) -> VHDStructure {
        var structure = structure
        do {
            structure.current.footer = try structure.footer.with(uniqueID: identifier)
        } catch {
            throw ImageError(.writeFailed, "The footer cannot be written: \(error).", path: path)
        }
        let bytes = structure.footer.bytes
        if structure.dynamic != nil {
            if let end = structure.current.end {
                try storage.writeZeroes(at: end, count: storage.size - end)
                try storage.synchronize()
            }
            try storage.write(bytes, at: 0)
            try storage.synchronize()
        }
        let unit = VHDFormat.sectorSize
        let end = structure.current.end ?? (storage.size + unit - 1) / unit * unit
        try storage.grow(to: end + VHDFormat.footerLength)
        try storage.write(bytes, at: end)
        try storage.synchronize()
        structure.current.end = end
        structure.dataEnd = end
        return structure
    }
}

extension VHDHeader {
    /// Makes the child of `structure` know its parent by another identity, in one sector of the medium.
    static func replaceParent(
        of structure: VHDStructure,
        with identifier: GUID,
        in storage: any ImageStorage,
        path: String
    ) throws(ImageError) {
        let offset = structure.footer.dataOffset
        var bytes = BigEndianBytes(try storage.bytes(at: offset, count: Int(VHDFormat.headerLength)))
        bytes.set(identifier, at: 40)
        do { try bytes.setChecksum(at: checksumField) } catch {
            throw ImageError(.writeFailed, "The header cannot be written: \(error).", path: path)
        }
        try storage.write(Array(bytes.bytes.prefix(Int(VHDFormat.sectorSize))), at: offset)
        try storage.synchronize()
    }
}
