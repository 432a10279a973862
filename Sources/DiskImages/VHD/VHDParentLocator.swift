internal import ByteReading

/// What a differencing disk says of its parent: up to eight locators, each for a platform, and a name in the header.
enum VHDParentLocator {
    /// The platform codes of paths, in the order in which they are tried.
    ///
    /// The specification gives no order but says why there are relative paths: they survive a move of the whole chain. So
    /// those come first, as [MS-VHDX] has it for its own. A Macintosh alias ("Mac ") names a file by numbers of a volume
    /// that is not here; it and codes that are not known are passed over.
    static let platforms: [UInt32] = [windowsRelative, windowsAbsolute, oldRelative, oldAbsolute, macintoshURL]
    static let windowsRelative: UInt32 = 0x5732_7275  // "W2ru"
    static let windowsAbsolute: UInt32 = 0x5732_6B75  // "W2ku"
    static let oldRelative: UInt32 = 0x5769_3272  // "Wi2r"
    static let oldAbsolute: UInt32 = 0x5769_326B  // "Wi2k"
    static let macintoshURL: UInt32 = 0x4D61_6358  // "MacX"

    /// In bytes: more than any path has.
    private static let maximumLength: UInt32 = 1 << 16

    /// - Parameter uniqueID: that of the disk itself. With it, it knows its parent also while a merge into that is under way.
    /// - Throws: `corrupt` where the header has no identity or no place for the parent; `readFailed`.
    static func read(
        _ header: VHDHeader,
        uniqueID: GUID,
        in file: ImageFile,
        at offset: UInt64
    ) throws(ImageError) -> ParentReference {
        guard header.parentID != .zero else {
            throw file.corrupt(
                "The dynamic disk header does not say which disk the parent is.",
                at: offset + 40,
                detailCode: VHDDetailCode.headerCorrupt
            )
        }
        var candidates: [String] = []
        func add(_ candidate: String?) {
            guard let candidate, !candidates.contains(where: { ExactName($0) == ExactName(candidate) }) else { return }
            candidates.append(candidate)
        }
        for platform in platforms {
            for locator in header.locators where locator.platform == platform {
                // One that is damaged counts as missing: whatever is found elsewhere must still be the right disk.
                guard locator.length > 0, locator.length <= maximumLength, locator.offset <= file.size,
                    UInt64(locator.length) <= file.size - locator.offset
                else { continue }
                let bytes = try file.bytes(at: locator.offset, count: Int(locator.length))
                add(candidate(bytes, platform: platform))
            }
        }
        add(utf16(header.parentName, isLittleEndian: false).flatMap(VHDXParentLocator.candidate))
        guard !candidates.isEmpty else {
            throw file.corrupt(
                "The dynamic disk header does not say where the parent is.",
                at: offset,
                detailCode: VHDDetailCode.headerCorrupt
            )
        }
        let merged = VHDParentIdentity.afterMerge(of: uniqueID, into: header.parentID)
        return ParentReference(candidates: candidates, identifiers: [header.parentID, merged], format: .vhd)
    }

    private static func candidate(_ bytes: [UInt8], platform: UInt32) -> String? {
        switch platform {
        // Although the format stores all else the other way round.
        case windowsRelative, windowsAbsolute:
            utf16(bytes, isLittleEndian: true).flatMap(VHDXParentLocator.candidate)
        case oldRelative, oldAbsolute:
            utf8(bytes).flatMap(VHDXParentLocator.candidate)
        case macintoshURL:
            utf8(bytes).flatMap(candidate(url:))
        default:
            nil
        }
    }

    /// Where a file URL leads, relative to the folder of the child: an absolute path stands for its last component.
    /// XenServer writes relative paths here as well.
    static func candidate(url: String) -> String? {
        let scheme = "file://"
        guard url.lowercased().hasPrefix(scheme), let path = decoded(url.utf8.dropFirst(scheme.utf8.count)) else {
            return nil
        }
        let parts = PathParts.components(of: path).filter { $0 != "." }
        guard let last = parts.last, last != ".." else { return nil }
        return path.hasPrefix(".") ? parts.joined(separator: "/") : last
    }

    /// The text without percent signs and the two digits behind each (RFC 2396, 2.4.1).
    private static func decoded(_ text: some Collection<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16), value != 0,
                value != UInt8(ascii: "/")
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Some writers fill up with zeroes; a zero anywhere else would end a path early.
    private static func utf8(_ bytes: [UInt8]) -> String? {
        let end = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        guard end > 0, !bytes[..<end].contains(0) else { return nil }
        return String(validating: bytes[..<end], as: UTF8.self)
    }

    private static func utf16(_ bytes: [UInt8], isLittleEndian: Bool) -> String? {
        guard bytes.count % 2 == 0 else { return nil }
        var units: [UInt16] = []
        do {
            let span = bytes.span.bytes
            for offset in stride(from: 0, to: bytes.count, by: 2) {
                units.append(
                    isLittleEndian
                        ? try span.littleEndian(UInt16.self, at: offset) : try span.bigEndian(UInt16.self, at: offset)
                )
            }
        } catch {
            return nil
        }
        while units.last == 0 { units.removeLast() }
        guard !units.isEmpty, !units.contains(0) else { return nil }
        return String(validating: units, as: UTF16.self)
    }
}
