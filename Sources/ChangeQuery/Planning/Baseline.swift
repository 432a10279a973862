public import DiskImages

/// A point of a disk's history since which changes can be asked.
public struct Baseline: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case layer
    }

    /// In the form in which a question takes it.
    public let id: String
    public let kind: Kind
    /// The file it stands for, as it is named.
    public let path: String
    /// In bytes: what an answer can tell apart.
    public let granularity: UInt64
    /// Whether no other layer of the disk has the same id. Where one has, a question is refused as ambiguous.
    public let isUnambiguous: Bool

    /// The baselines of a disk with these layers, leaf first: the nearest first, the leaf never.
    public static func all(of layers: [any DiskImage]) -> [Baseline] {
        var uses: [GUID: Int] = [:]
        for layer in layers {
            if let identifier = layer.description.identifier { uses[identifier, default: 0] += 1 }
        }
        return layers.dropFirst().compactMap { layer in
            guard let identifier = layer.description.identifier else { return nil }
            return Baseline(
                id: identifier.description,
                kind: .layer,
                path: layer.file.name,
                granularity: UInt64(layer.description.logicalSectorSize),
                isUnambiguous: uses[identifier] == 1
            )
        }
    }
}
