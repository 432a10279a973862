internal import ByteReading

/// The formats of disks that a file shows by a mark at its start (or, a VHD, at its end), whether this program reads them or not.
///
/// These are formats that hold a disk, so that a file of one is not the disk itself. What a disk may hold of its own, such as the
/// header of LUKS, a partition table or a file system, is not among them.
enum ContainerFormat: Hashable, Sendable {
    case qcow2, vhdx, vhd
    // Those that this program does not read.
    case qcow, vmdk, vdi, qed, parallels, bochs, androidSparse

    /// A file of this format, in words.
    var file: String {
        switch self {
        case .qcow2: "a qcow2 file"
        case .vhdx: "a VHDX file"
        case .vhd: "a VHD file"
        case .qcow: "a qcow file of version 1"
        case .vmdk: "a VMDK file"
        case .vdi: "a VDI file of VirtualBox"
        case .qed: "a QED file"
        case .parallels: "a disk of Parallels"
        case .bochs: "a disk of Bochs"
        case .androidSparse: "a sparse image of Android"
        }
    }

    /// The extension that claims the format; nil where this program does not read it.
    var nameExtension: String? {
        switch self {
        case .qcow2: ".qcow2"
        case .vhdx: ".vhdx"
        case .vhd: ".vhd"
        default: nil
        }
    }

    /// Marks by their places in the file.
    private static let marks: [(format: ContainerFormat, place: Int, bytes: [UInt8])] = [
        // The version follows: 1 is another format than 2 and above.
        (.qcow, 0, [0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 1]),
        (.qcow2, 0, [0x51, 0x46, 0x49, 0xFB]),
        (.vhdx, 0, Array("vhdxfile".utf8)),
        // A dynamic or differencing VHD; a fixed one has this at its end only.
        (.vhd, 0, Array("conectix".utf8)),
        // A sparse extent, one of ESX, and the text that names the extents.
        (.vmdk, 0, Array("KDMV".utf8)),
        (.vmdk, 0, Array("COWD".utf8)),
        (.vmdk, 0, Array("# Disk DescriptorFile".utf8)),
        // Behind a text that every writer words as it likes.
        (.vdi, 64, [0x7F, 0x10, 0xDA, 0xBE]),
        (.qed, 0, Array("QED\0".utf8)),
        (.parallels, 0, Array("WithoutFreeSpace".utf8)),
        (.parallels, 0, Array("WithouFreSpacExt".utf8)),
        (.bochs, 0, Array("Bochs Virtual HD Image".utf8)),
        (.androidSparse, 0, [0x3A, 0xFF, 0x26, 0xED]),
    ]

    /// The format whose mark a file has; nil where it has none.
    static func shown(by file: ImageFile) throws(ImageError) -> ContainerFormat? {
        let start = try file.bytes(at: 0, count: Int(min(file.size, 128)))
        if let mark = marks.first(where: { start.dropFirst($0.place).starts(with: $0.bytes) }) { return mark.format }
        guard file.size >= 512 else { return nil }
        // Some old writers left a footer of 511 bytes.
        let end = try file.bytes(at: file.size - 512, count: 9)
        let footer = Array("conectix".utf8)
        return end.starts(with: footer) || end.dropFirst().starts(with: footer) ? .vhd : nil
    }
}
