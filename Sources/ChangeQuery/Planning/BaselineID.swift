public import DiskImages

/// The id of a point in the history of a disk, as a request gives it (LimitId, TargetSnapshotId).
public enum BaselineID: Hashable, Sendable {
    /// A layer of the chain by its identity, or a snapshot of a VHD Set: `{GUID}`, braces optional, any case.
    case guid(GUID)
    /// A reference point of resilient change tracking: `rctX:xxxxxxxx:xxxx:xxxx:xxxx:xxxxxxxxxxxx:nnnnnnnn`.
    case referencePoint(branch: GUID, sequence: UInt32)
    /// A persistent dirty bitmap: `bitmap:NAME`.
    case bitmap(ExactName)
    /// An internal snapshot: `snapshot:ID-or-NAME`.
    case snapshot(ExactName)
    /// A file of a backing chain: `backing:PATH`.
    case backing(ExactName)

    /// Reads an id.
    ///
    /// - Throws: `baselineMalformed` where the text has none of the forms.
    public init(_ text: String) throws(QueryError) {
        if let guid = GUID(text) {
            self = .guid(guid)
            return
        }
        guard let colon = text.firstIndex(of: ":") else { throw Self.malformed(text) }
        let name = String(text[text.index(after: colon)...])
        guard !name.isEmpty else { throw Self.malformed(text) }
        switch text[..<colon] {
        case "bitmap": self = .bitmap(ExactName(name))
        case "snapshot": self = .snapshot(ExactName(name))
        case "backing": self = .backing(ExactName(name))
        case "rctX":
            // The GUID's own dashes are colons here, and the sequence number follows the last of them.
            let parts = name.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 6, !name.hasPrefix("{"), let branch = GUID(parts[..<5].joined(separator: "-")),
                parts[5].count == 8, parts[5].allSatisfy(\.isHexDigit), let sequence = UInt32(parts[5], radix: 16)
            else { throw Self.malformed(text) }
            self = .referencePoint(branch: branch, sequence: sequence)
        default: throw Self.malformed(text)
        }
    }

    private static func malformed(_ text: String) -> QueryError {
        let shown = text.count > 80 ? text.prefix(80) + "…" : text[...]
        return QueryError(
            .baselineMalformed,
            "\"\(shown)\" is not an id: an id is a GUID, or starts with rctX:, bitmap:, snapshot: or backing:"
        )
    }
}
