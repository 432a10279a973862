/// Everything of a VHD file but its blocks: read when it is opened, and checked.
struct VHDStructure {
    /// What a disk has that is not fixed.
    struct Dynamic {
        var header: VHDHeader
        var geometry: VHDGeometry
        var parent: ParentReference?
        /// Where no block can be, beside the footer at the end.
        var occupied: [Range<UInt64>]
    }

    var current: VHDCurrentFooter
    /// Where the part of the file ends in which data can be.
    var dataEnd: UInt64
    /// Nil for a fixed disk.
    var dynamic: Dynamic?

    var footer: VHDFooter { current.footer }
    var virtualSize: UInt64 { footer.currentSize }

    /// - Throws: `corrupt`; `unsupported` for what this program does not know; `readFailed`.
    static func read(from file: ImageFile) throws(ImageError) -> VHDStructure {
        let current = try VHDCurrentFooter.read(from: file)
        let footer = current.footer
        let dataEnd = current.end ?? file.size
        let place = current.end ?? 0
        try check(footer, in: file, at: place)
        guard let type = VHDFooter.DiskType(rawValue: footer.type) else {
            throw file.error(
                .unsupported,
                "The disk is of type \(footer.type); this program knows fixed, dynamic and differencing disks.",
                at: place,
                detailCode: VHDDetailCode.invalidType
            )
        }
        var structure = VHDStructure(current: current, dataEnd: dataEnd, dynamic: nil)
        switch type {
        case .fixed:
            // The data, and the footer: nothing else. Another length is that of a file that was cut off where its content
            // has the end of a fixed disk.
            guard footer.currentSize == dataEnd else {
                throw file.corrupt(
                    "The file holds \(dataEnd) bytes of data, and the footer of the fixed disk says \(footer.currentSize).",
                    at: place,
                    detailCode: VHDDetailCode.footerCorrupt
                )
            }
        case .dynamic, .differencing:
            let dynamic = try dynamic(in: file, footer: footer, isDifferencing: type == .differencing)
            structure.dynamic = dynamic
            try VHDSizeByGeometry(footer)?.check(dynamic, in: file, dataEnd: dataEnd)
        }
        return structure
    }

    private static func check(_ footer: VHDFooter, in file: ImageFile, at place: UInt64) throws(ImageError) {
        guard footer.version >> 16 == VHDFormat.version >> 16 else {
            throw file.error(
                .unsupported,
                "The file has version \(footer.version >> 16) of the VHD format; this program knows version 1.",
                at: place,
                detailCode: VHDDetailCode.unsupportedVersion
            )
        }
        guard footer.features & ~0b11 == 0 else {
            throw file.error(
                .unsupported,
                "The file has features that this program does not know.",
                at: place,
                detailCode: VHDDetailCode.unsupportedVersion
            )
        }
        let size = footer.currentSize
        guard size > 0, size <= VHDFormat.maximumVirtualSize, size % VHDFormat.sectorSize == 0 else {
            throw file.corrupt(
                "The footer says that the disk has \(size) bytes; no VHD disk can have that.",
                at: place,
                detailCode: VHDDetailCode.footerCorrupt
            )
        }
    }

    private static func dynamic(
        in file: ImageFile,
        footer: VHDFooter,
        isDifferencing: Bool
    ) throws(ImageError) -> Dynamic {
        let header = try VHDHeader.read(from: file, at: footer.dataOffset)
        func corrupt(_ message: String, detailCode: UInt32 = VHDDetailCode.headerCorrupt) -> ImageError {
            file.corrupt(message, at: footer.dataOffset, detailCode: detailCode)
        }
        guard header.blockSize.nonzeroBitCount == 1, header.blockSize >= VHDFormat.blockSizes.lowerBound else {
            throw corrupt(
                "The header says that blocks have \(header.blockSize) bytes; none can have that.",
                detailCode: VHDDetailCode.invalidBlockSize
            )
        }
        guard VHDFormat.blockSizes.contains(header.blockSize) else {
            throw file.error(
                .unsupported,
                "The disk has blocks of \(header.blockSize) bytes; this program reads up to 256 MiB.",
                at: footer.dataOffset,
                detailCode: VHDDetailCode.invalidBlockSize
            )
        }
        let geometry = VHDGeometry(
            virtualSize: footer.currentSize,
            blockSize: header.blockSize,
            isDifferencing: isDifferencing
        )
        guard geometry.blockCount <= UInt64(header.maximumEntryCount) else {
            throw corrupt("The block allocation table has fewer entries than the disk has blocks.")
        }
        // Only the entries that the disk has are ever read.
        let tableLength = geometry.blockCount * 4
        guard header.tableOffset >= VHDFormat.footerLength, header.tableOffset % VHDFormat.sectorSize == 0,
            header.tableOffset <= file.size, tableLength <= file.size - header.tableOffset
        else {
            throw corrupt("The header places the block allocation table where none can be.")
        }
        let headerRange = footer.dataOffset..<footer.dataOffset + VHDFormat.headerLength
        let tableRange = header.tableOffset..<header.tableOffset + tableLength
        guard !headerRange.overlaps(tableRange) else {
            throw corrupt("The block allocation table lies over the dynamic disk header.")
        }
        return Dynamic(
            header: header,
            geometry: geometry,
            parent: isDifferencing
                ? try VHDParentLocator.read(header, uniqueID: footer.uniqueID, in: file, at: footer.dataOffset) : nil,
            occupied: [0..<VHDFormat.footerLength, headerRange, tableRange]
        )
    }

    var description: ImageDescription {
        let diskType: ImageDescription.DiskType =
            switch dynamic {
            case nil: .fixed
            case let dynamic? where dynamic.geometry.isDifferencing: .differencing
            case _?: .dynamic
            }
        var description = ImageDescription(
            format: .vhd,
            diskType: diskType,
            virtualSize: virtualSize,
            blockSize: dynamic?.header.blockSize ?? 0,
            logicalSectorSize: UInt32(VHDFormat.sectorSize),
            physicalSectorSize: UInt32(VHDFormat.sectorSize),
            virtualDiskID: nil,
            identifier: footer.uniqueID == .zero ? nil : footer.uniqueID,
            revision: "\(footer.uniqueID)\(footer.timestamp)",
            parent: dynamic?.parent
        )
        if let dynamic, dynamic.geometry.isDifferencing, dynamic.header.parentTimestamp != 0 {
            description.parentModificationTime = Int64(dynamic.header.parentTimestamp) + Int64(VHDTime.start)
        }
        return description
    }
}

extension VHDStructure.Dynamic {
    /// What is wrong with the place of block `block`, whose bitmap begins at sector `entry`; nil where nothing is.
    func problem(withPlaceOf entry: UInt32, block: UInt64, dataEnd: UInt64) -> String? {
        let offset = UInt64(entry) << VHDFormat.sectorShift
        // The last block's tail beyond the virtual disk's end need not be in the file.
        let end = offset + geometry.bitmapLength + geometry.length(ofBlock: block)
        guard end <= dataEnd else {
            return "Block \(block) is said to lie at offset \(offset), beyond the end of the file's data."
        }
        guard !occupied.contains(where: { $0.overlaps(offset..<end) }) else {
            return "Block \(block) is said to lie at offset \(offset), where the file has another structure."
        }
        return nil
    }
}
