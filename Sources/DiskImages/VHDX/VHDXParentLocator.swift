internal import ByteReading

/// The metadata item that says where a differencing disk's parent is and how to recognise it ([MS-VHDX] 2.6.2.6).
enum VHDXParentLocator {
    /// The only type that the specification defines: the parent is a VHDX file.
    static let typeID = GUID(high: 0xB04A_EFB7_D19E_4A81, low: 0xB789_25B8_E944_5913)
    static let headerLength = 20
    static let entryLength = 12

    static let linkageKeys = ["parent_linkage", "parent_linkage2"]
    /// In the order in which they are to be tried.
    static let pathKeys = ["relative_path", "volume_path", "absolute_win32_path"]
    private static let maximumKeyLength = 64

    /// What the locator in `bytes`, which lies at `offset` of the file, says of the parent.
    ///
    /// - Throws: `corrupt` where it is damaged, has no usable identity or names no place; `unsupported` where its type is
    ///   not known.
    static func read(
        _ bytes: [UInt8],
        in file: ReplayedFile,
        at offset: UInt64
    ) throws(ImageError) -> ParentReference {
        let contents: Contents
        do { contents = try Contents(bytes.span.bytes) } catch {
            throw file.corrupt("Parent locator: \(error).", at: offset)
        }
        guard contents.type == typeID else {
            throw file.error(.unsupported, "The parent is of a kind that this program does not know.", at: offset)
        }
        guard !contents.hasUnknownFields else {
            throw file.error(
                .unsupported,
                "The parent locator uses a field that this program does not know.",
                at: offset
            )
        }
        if let key = contents.repeatedKey {
            throw file.corrupt("The parent locator has two values for \(key).", at: offset)
        }
        if let index = contents.emptyEntry {
            throw file.corrupt("The key or the value \(index) of the parent locator is empty.", at: offset)
        }
        let values = contents.values
        var identifiers: [GUID] = []
        for key in linkageKeys {
            // Hyper-V leaves a zero GUID behind in the second key: it stands for none and matches no file.
            guard let text = values[key], let identifier = GUID(text), identifier != .zero else { continue }
            if !identifiers.contains(identifier) { identifiers.append(identifier) }
        }
        // The first must be there; both count only while a merge is on its way ([MS-VHDX] note 12).
        guard !identifiers.isEmpty, let text = values[linkageKeys[0]], GUID(text) != nil else {
            throw file.corrupt("The parent locator does not say which disk the parent is.", at: offset)
        }
        var candidates: [String] = []
        for key in pathKeys {
            guard let text = values[key], let candidate = candidate(text) else { continue }
            if !candidates.contains(where: { ExactName($0) == ExactName(candidate) }) { candidates.append(candidate) }
        }
        guard !candidates.isEmpty else {
            throw file.corrupt("The parent locator does not say where the parent is.", at: offset)
        }
        return ParentReference(candidates: candidates, identifiers: identifiers)
    }

    /// Where a path of a locator leads, relative to the folder of the child.
    ///
    /// An absolute Windows path means nothing on this machine; its last component beside the child is where a copied
    /// chain has the parent.
    static func candidate(_ path: String) -> String? {
        var parts = PathParts.windowsComponents(of: path)
        let bytes = Array(path.utf8.prefix(2))
        let letters = UInt8(ascii: "A")...UInt8(ascii: "Z")
        let hasDrive = bytes.count == 2 && letters.contains(bytes[0] & ~0x20) && bytes[1] == UInt8(ascii: ":")
        if hasDrive, parts.count == 1 {
            // "D:name" has no separator.
            parts = [String(path.dropFirst(2))]
        } else if hasDrive || parts.first == "" {
            parts = Array(parts.suffix(1))
        }
        parts.removeAll { $0.isEmpty || $0 == "." }
        guard let last = parts.last, last != ".." else { return nil }
        return parts.joined(separator: "/")
    }

    /// What an item says, as far as it is known.
    private struct Contents {
        var type: GUID
        /// The values of the known keys. One that is damaged counts as missing.
        var values: [String: String] = [:]
        /// Whether a field is set that this version of the format does not have.
        var hasUnknownFields = false
        /// A key that is there more than once.
        var repeatedKey: String?
        /// The first entry without a key or a value.
        var emptyEntry: Int?

        init(_ bytes: RawSpan) throws(OutOfBounds) {
            type = try GUID(bytes, at: 0)
            guard type == typeID else { return }
            hasUnknownFields = try bytes.littleEndian(UInt16.self, at: 16) != 0
            var keys: Set<String> = []
            for index in 0..<Int(try bytes.littleEndian(UInt16.self, at: 18)) {
                let entry = headerLength + index * entryLength
                let keyOffset = Int(try bytes.littleEndian(UInt32.self, at: entry))
                let valueOffset = Int(try bytes.littleEndian(UInt32.self, at: entry + 4))
                let keyLength = Int(try bytes.littleEndian(UInt16.self, at: entry + 8))
                let valueLength = Int(try bytes.littleEndian(UInt16.self, at: entry + 10))
                guard keyOffset > 0, valueOffset > 0, keyLength > 0, valueLength > 0 else {
                    emptyEntry = index
                    return
                }
                try bytes.check(offset: keyOffset, count: keyLength)
                try bytes.check(offset: valueOffset, count: valueLength)
                // A key this long is none of ours. Without the limit, entries that share their bytes would cost much.
                guard keyLength <= maximumKeyLength, let key = try text(bytes, at: keyOffset, count: keyLength)
                else { continue }
                guard keys.insert(key).inserted else {
                    repeatedKey = key
                    return
                }
                guard linkageKeys.contains(key) || pathKeys.contains(key) else { continue }
                values[key] = try text(bytes, at: valueOffset, count: valueLength)
            }
        }
    }

    /// A string in UTF-16LE; nil where it is damaged or has a zero character, which would end a path early.
    private static func text(_ bytes: RawSpan, at offset: Int, count: Int) throws(OutOfBounds) -> String? {
        guard count > 0, count % 2 == 0 else { return nil }
        var units: [UInt16] = []
        units.reserveCapacity(count / 2)
        for index in 0..<count / 2 {
            units.append(try bytes.littleEndian(UInt16.self, at: offset + 2 * index))
        }
        guard !units.contains(0) else { return nil }
        return String(validating: units, as: UTF16.self)
    }
}
