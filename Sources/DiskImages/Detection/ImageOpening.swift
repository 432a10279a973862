extension ImageFile {
    /// The image that this file is.
    ///
    /// What `format` says is what a child recorded of its parent, and then the name does not matter. Else the name's
    /// extension claims a format. In both cases the content must agree. Without a known extension the content decides
    /// among the formats that have marks. Nothing is ever taken for a raw disk by its content: a guest could have written
    /// it.
    ///
    /// - Parameter files: where an image that keeps a part of itself in another file finds that.
    /// - Throws: `corrupt` where the marks of the claimed format are damaged, `notADisk` where the content is plainly
    ///   something else, `unsupported` for a format that this version does not read; and what the format's own reader
    ///   throws.
    public func openImage(
        in files: some ImageFiles,
        as format: ImageDescription.Format? = nil
    ) throws(ImageError) -> any DiskImage {
        if format == nil, NameClaim.isVHDSet(name) {
            throw error(
                .unsupported,
                """
                The layout of Hyper-V's VHD Set files is not documented. Ask the host for a catalogue of the set, as \
                Docs/Formats/VHDSet.md describes, and name that instead.
                """
            )
        }
        let claim = format ?? NameClaim.format(of: name)
        // A raw disk may hold anything, the marks of another format included, so nothing in it is looked at.
        if claim == .raw { return RawImage(self) }
        let marks = try FormatMarks.read(from: self)
        switch claim {
        case .vhdx:
            guard marks.hasVHDXIdentifier || marks.hasOtherVHDXMark else { throw notWhatItsNameSays("a VHDX file") }
            return try VHDXImage(self)
        case .vhd:
            guard marks.hasVHDMark else { throw notWhatItsNameSays("a VHD file") }
            return try VHDImage(self)
        case .qcow2:
            guard marks.hasQcow2Mark || marks.hasOtherQcow2Mark else { throw notWhatItsNameSays("a qcow2 file") }
            return try Qcow2Image(self, in: files)
        case .vhdset:
            guard marks.looksLikeJSON else { throw notWhatItsNameSays("the catalogue of a VHD Set") }
            throw error(.unsupported, "This is the catalogue of a VHD Set and no image: name one of the set's files.")
        case .raw, nil:
            if marks.hasVHDXIdentifier { return try VHDXImage(self) }
            if marks.hasQcow2Mark { return try Qcow2Image(self, in: files) }
            if marks.hasVHDMark { return try VHDImage(self) }
            throw error(.notADisk, "Neither the name nor the content is that of a disk image.")
        }
    }

    private func notWhatItsNameSays(_ what: String) -> ImageError {
        error(.notADisk, "This should be \(what), and its content is something else.")
    }
}

/// What the extension of a file's name says of its format.
enum NameClaim {
    static func format(of name: String) -> ImageDescription.Format? {
        let claims: [(suffix: String, format: ImageDescription.Format)] = [
            (".vhdx", .vhdx), (".avhdx", .vhdx), (".vhd", .vhd), (".avhd", .vhd), (".vhdset.json", .vhdset),
            (".qcow2", .qcow2), (".raw", .raw), (".img", .raw),
        ]
        return claims.first { ends(name, in: $0.suffix) }?.format
    }

    /// Whether the name is that of a VHD Set as Hyper-V makes them.
    static func isVHDSet(_ name: String) -> Bool {
        ends(name, in: ".vhds")
    }

    /// Byte by byte: the point of an extension can be one `Character` with what is before it, and would not be found.
    private static func ends(_ name: String, in suffix: String) -> Bool {
        name.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) { byte, wanted in
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 == wanted : byte == wanted
        }
    }
}
