/// The path of a file as a catalogue has it, and where that is here.
///
/// A Windows path means nothing on this machine: it stands for its last component, beside the catalogue. Any other path
/// keeps its meaning, and a relative one counts from the folder of the catalogue.
public struct CataloguePath: Hashable, Sendable {
    /// As the catalogue has it.
    public let text: String
    /// Where to look: with `/`, absolute or relative to the folder of the catalogue.
    public let location: String
    /// Whether `text` is a Windows path, where the case of letters means nothing.
    let isWindows: Bool

    /// Nil where the text names no file.
    public init?(_ text: String) {
        guard !text.isEmpty, !text.utf8.contains(0) else { return nil }
        self.text = text
        let bytes = Array(text.utf8.prefix(2))
        let letters = UInt8(ascii: "A")...UInt8(ascii: "Z")
        let hasDrive = bytes.count == 2 && letters.contains(bytes[0] & ~0x20) && bytes[1] == UInt8(ascii: ":")
        isWindows = hasDrive || text.utf8.contains(UInt8(ascii: "\\"))
        if isWindows {
            // "D:name" has no separator.
            let parts = PathParts.windowsComponents(of: hasDrive ? String(text.dropFirst(2)) : text)
            guard parts.allSatisfy(Self.canBePart) else { return nil }
            location = parts.last ?? ""
        } else {
            let parts = PathParts.components(of: text).filter { $0 != "." }
            location = (text.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
        }
        guard let last = PathParts.components(of: location).last, last != "..", last != "." else { return nil }
    }

    /// Whether a part of a Windows path can be one.
    ///
    /// A list that PowerShell's `ConvertTo-Json` finds too deep it prints as one text, with spaces between the elements. The
    /// last of them must not be taken for all. No name on Windows has a colon or ends in a space, and `\\?\` is followed by
    /// a drive.
    private static func canBePart(_ part: String) -> Bool {
        (!part.utf8.contains(UInt8(ascii: ":")) || part.utf8.count == 2 && part.utf8.last == UInt8(ascii: ":"))
            && part.utf8.last != UInt8(ascii: " ")
    }
}

extension CataloguePath {
    public static func == (one: CataloguePath, other: CataloguePath) -> Bool {
        ExactName(one.text) == ExactName(other.text)
    }

    public func hash(into hasher: inout Hasher) {
        ExactName(text).hash(into: &hasher)
    }
}

/// Which files are named, whatever the spelling.
struct CataloguePathSet {
    private var locations: Set<ExactName> = []
    private var folded: Set<ExactName> = []
    private var foldedOfWindows: Set<ExactName> = []

    init(_ paths: some Sequence<CataloguePath>) {
        for path in paths { insert(path) }
    }

    mutating func insert(_ path: CataloguePath) {
        locations.insert(ExactName(path.location))
        folded.insert(ExactName(path.location.lowercased()))
        if path.isWindows { foldedOfWindows.insert(ExactName(path.location.lowercased())) }
    }

    /// Whether the set has `path`. Case means nothing where either of two paths is a Windows path.
    func contains(_ path: CataloguePath) -> Bool {
        locations.contains(ExactName(path.location))
            || (path.isWindows ? folded : foldedOfWindows).contains(ExactName(path.location.lowercased()))
    }
}
