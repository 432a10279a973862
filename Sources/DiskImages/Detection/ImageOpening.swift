extension ImageFile {
    /// The image that this file is.
    ///
    /// What a child recorded of its parent, `format`, counts whatever the name is. Else the name's extension claims a format. In
    /// both cases the content must agree. Without a known extension the content decides among the formats that have marks.
    /// Nothing is ever taken for a raw disk by its content: a guest could have written it. Nor is a file taken for one by its name
    /// alone that shows another format: it would be a disk of another size and of other bytes. Who names the file may say that
    /// it is one, `saidFormat`, and which format a file has whose name claims none.
    ///
    /// - Parameter files: where an image that keeps a part of itself in another file finds that.
    /// - Throws: `corrupt` where the marks of the claimed format are damaged, `notADisk` where the content is plainly
    ///   something else, `unsupported` for a format that this version does not read, `invalidParameter` where `saidFormat` is
    ///   another than the name claims; and what the format's own reader throws.
    public func openImage(
        in files: some ImageFiles,
        as format: ImageDescription.Format? = nil,
        saidFormat: ImageDescription.Format? = nil
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
        try checkThatNameAllows(saidFormat)
        let claim = format ?? NameClaim.format(of: name) ?? saidFormat
        // Where somebody knows it for one, a raw disk may hold anything, and nothing in it is looked at.
        if claim == .raw {
            if format == nil, saidFormat == nil { try checkThatContentAllowsRaw() }
            return RawImage(self)
        }
        let marks = try FormatMarks.read(from: self)
        switch claim {
        case .vhdx:
            guard marks.hasVHDXIdentifier || marks.hasOtherVHDXMark else { throw try isNot("a VHDX file") }
            return try VHDXImage(self)
        case .vhd:
            guard marks.hasVHDMark else { throw try isNot("a VHD file") }
            return try VHDImage(self)
        case .qcow2:
            guard marks.hasQcow2Mark || marks.hasOtherQcow2Mark else { throw try isNot("a qcow2 file") }
            return try Qcow2Image(self, in: files)
        case .vhdset:
            guard marks.looksLikeJSON else { throw try isNot("the catalogue of a VHD Set") }
            throw error(.unsupported, "This is the catalogue of a VHD Set and no image: name one of the set's files.")
        case .raw, nil:
            if marks.hasVHDXIdentifier { return try VHDXImage(self) }
            if marks.hasQcow2Mark { return try Qcow2Image(self, in: files) }
            if marks.hasVHDMark { return try VHDImage(self) }
            if let shown = try ContainerFormat.shown(by: self) {
                throw error(
                    .notADisk,
                    "This looks like \(shown.file), a format that this program does not read: convert it."
                )
            }
            throw error(
                .notADisk,
                "Neither the name nor the content is that of a disk image. If it is a raw disk, say so: \(Self.sayingRaw)."
            )
        }
    }

    /// Refuses what somebody says of the format where the name claims another: the name is what everybody goes by.
    func checkThatNameAllows(_ saidFormat: ImageDescription.Format?) throws(ImageError) {
        guard let saidFormat else { return }
        guard let claim = NameClaim.format(of: name) else {
            guard saidFormat != .vhdset else {
                throw error(.invalidParameter, "The name of the catalogue of a VHD Set ends in .vhdset.json.")
            }
            return
        }
        guard claim == saidFormat else {
            throw error(
                .invalidParameter,
                "By its name the format is \(claim.rawValue), and no question can say that it is \(saidFormat.rawValue): "
                    + "leave the format out, or rename the file."
            )
        }
    }

    /// Refuses a file that is a raw disk by nothing but its name and shows another format.
    private func checkThatContentAllowsRaw() throws(ImageError) {
        guard let shown = try ContainerFormat.shown(by: self) else { return }
        let advice =
            shown.nameExtension.map { "If it is one, give it a name that ends in \($0)." }
            ?? "That is a format that this program does not read: convert it."
        throw error(
            .notADisk,
            "By its name this is a raw disk, and by its content \(shown.file). \(advice) If it is a raw disk that holds "
                + "such bytes, say so: \(Self.sayingRaw)."
        )
    }

    /// How who names a file says that it is a raw disk: on the command line, and in a request.
    private static let sayingRaw = "--image-format raw, or image_format RAW"

    private func isNot(_ what: String) throws(ImageError) -> ImageError {
        let content = try ContainerFormat.shown(by: self).map { "that of \($0.file)" } ?? "something else"
        return error(.notADisk, "This should be \(what), and its content is \(content).")
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
