internal import FoundationEssentials

extension VHDSetCatalogue {
    /// The document: an array of the set and its snapshots, in UTF-8.
    func encoded() -> [UInt8] {
        let set = SetProperties(
            path: path,
            snapshotIDs: snapshots.map { $0.id.description },
            allPaths: allPaths.map(\.text),
            leafPath: leafPath?.text,
            noSnapshotApplied: noSnapshotApplied ? true : nil
        )
        let entries = [Entry.set(set)] + snapshots.map { .snapshot(SnapshotProperties($0, of: self)) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Texts and truth values cannot fail to be written.
        let bytes = (try? encoder.encode(entries)) ?? Data("[]".utf8)
        return Array(bytes) + [UInt8(ascii: "\n")]
    }

    private enum Entry: Encodable {
        case set(SetProperties)
        case snapshot(SnapshotProperties)

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .set(let set): try set.encode(to: encoder)
            case .snapshot(let snapshot): try snapshot.encode(to: encoder)
            }
        }
    }

    private struct SetProperties: Encodable {
        var path: String
        var snapshotIDs: [String]
        var allPaths: [String]
        var leafPath: String?
        var noSnapshotApplied: Bool?

        enum CodingKeys: String, CodingKey {
            case path = "Path"
            case snapshotIDs = "SnapshotIdList"
            case allPaths = "AllPaths"
            case leafPath = "LeafPath"
            case noSnapshotApplied = "NoSnapshotApplied"
        }
    }

    private struct SnapshotProperties: Encodable {
        var filePath: String
        var id: String
        var snapshotPath: String
        var parentPaths: [String]
        var created: String
        var resilientChangeTrackingID: String
        var identifier: String?
        var parentIdentifiers: [String]?

        enum CodingKeys: String, CodingKey {
            case filePath = "FilePath"
            case id = "SnapshotId"
            case snapshotPath = "SnapshotPath"
            case parentPaths = "ParentPathsList"
            case created = "CreationTime"
            case resilientChangeTrackingID = "ResilientChangeTrackingId"
            case identifier = "Identifier"
            case parentIdentifiers = "ParentIdentifiers"
        }

        init(_ snapshot: VHDSetSnapshot, of set: VHDSetCatalogue) {
            filePath = set.path
            id = snapshot.id.description
            snapshotPath = snapshot.snapshotPath?.text ?? ""
            parentPaths = snapshot.parentPaths.map(\.text)
            created = snapshot.created?.catalogueText ?? ""
            resilientChangeTrackingID = snapshot.resilientChangeTrackingID
            identifier = snapshot.identifier?.description
            parentIdentifiers =
                snapshot.parentIdentifiers.isEmpty
                ? nil : snapshot.parentIdentifiers.map { $0?.description ?? "" }
        }
    }
}
