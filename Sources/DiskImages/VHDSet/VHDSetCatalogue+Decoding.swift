extension VHDSetCatalogue {
    /// Reads a document.
    ///
    /// - Parameter name: of the file, for the error.
    /// - Throws: `corrupt` where it is not JSON, describes no set or more than one, or has a property of the wrong kind.
    public init(decoding bytes: [UInt8], name: String) throws(ImageError) {
        do throws(JSONValue.Problem) {
            guard let text = CatalogueText.utf8(bytes) else {
                throw JSONValue.Problem(message: "The document is neither UTF-8 nor, with a byte order mark, UTF-16.")
            }
            var reader = CatalogueReader()
            try reader.read(try JSONValue.decode(text))
            self = try reader.result()
        } catch {
            throw ImageError(.corrupt, error.message, path: name)
        }
    }
}

/// Gathers what the objects of a document say.
private struct CatalogueReader {
    private var catalogue = VHDSetCatalogue()
    private var listedIDs: [GUID] = []
    private var knownPaths: Set<CataloguePath> = []
    private var knownIDs: Set<GUID> = []
    private var knownSnapshots: Set<VHDSetSnapshot> = []
    /// The names of the set that objects belong to, as far as they say.
    private var setNames: Set<String> = []
    private var hasFoundAny = false

    /// What the document says; a snapshot that is only listed by its id is one of which nothing is known.
    func result() throws(JSONValue.Problem) -> VHDSetCatalogue {
        guard hasFoundAny else {
            throw JSONValue.Problem(
                message: "No object of the document has the properties of a VHD Set or of one of its snapshots."
            )
        }
        guard setNames.count <= 1 else {
            throw JSONValue.Problem(
                message: "The document describes more than one set: \(setNames.sorted().joined(separator: ", "))."
            )
        }
        var result = catalogue
        let described = Set(result.snapshots.map(\.id))
        result.snapshots += listedIDs.filter { !described.contains($0) }.map { VHDSetSnapshot(id: $0) }
        try Self.checkCount(of: result.snapshots)
        return result
    }

    private static func checkCount(of snapshots: [VHDSetSnapshot]) throws(JSONValue.Problem) {
        guard snapshots.count <= VHDSetCatalogue.maximumSnapshotCount else {
            throw JSONValue.Problem(
                message: "The document has more than \(VHDSetCatalogue.maximumSnapshotCount) snapshots."
            )
        }
    }

    /// An object, or a list of them. PowerShell wraps some lists in an object of their own.
    mutating func read(_ value: JSONValue) throws(JSONValue.Problem) {
        if let values = value.listed {
            for value in values { try read(value) }
        } else if case .object(let properties) = value {
            let entry = CatalogueEntry(properties)
            if let id = try entry.guid("SnapshotId") {
                try readSnapshot(id, entry)
            } else if entry.hasAny(of: ["AllPaths", "SnapshotIdList", "LeafPath"]) {
                try readSet(entry)
            }
        }
    }

    private mutating func readSet(_ entry: CatalogueEntry) throws(JSONValue.Problem) {
        hasFoundAny = true
        let path = try entry.text("Path") ?? ""
        if !path.isEmpty { catalogue.path = path }
        note(setPath: path)
        for path in try entry.paths("AllPaths") where knownPaths.insert(path).inserted {
            catalogue.allPaths.append(path)
        }
        for id in try entry.guids("SnapshotIdList") {
            if let id, knownIDs.insert(id).inserted { listedIDs.append(id) }
            guard listedIDs.count <= VHDSetCatalogue.maximumSnapshotCount else {
                throw JSONValue.Problem(message: "The document lists too many snapshots.")
            }
        }
        if let leaf = try entry.path("LeafPath") {
            guard catalogue.leafPath == nil || catalogue.leafPath == leaf else {
                throw JSONValue.Problem(message: "The document has two values for LeafPath.")
            }
            catalogue.leafPath = leaf
        }
        if try entry.truth("NoSnapshotApplied") { catalogue.noSnapshotApplied = true }
    }

    private mutating func readSnapshot(_ id: GUID, _ entry: CatalogueEntry) throws(JSONValue.Problem) {
        hasFoundAny = true
        note(setPath: try entry.text("FilePath") ?? "")
        let snapshot = VHDSetSnapshot(
            id: id,
            snapshotPath: try entry.path("SnapshotPath"),
            parentPaths: try entry.paths("ParentPathsList"),
            created: entry.time("CreationTime"),
            resilientChangeTrackingID: try entry.text("ResilientChangeTrackingId") ?? "",
            identifier: try entry.guid("Identifier"),
            parentIdentifiers: try entry.guids("ParentIdentifiers")
        )
        // The same entry twice says no more than once.
        guard knownSnapshots.insert(snapshot).inserted else { return }
        catalogue.snapshots.append(snapshot)
        try Self.checkCount(of: catalogue.snapshots)
    }

    private mutating func note(setPath: String) {
        guard let path = CataloguePath(setPath) else { return }
        if let name = PathParts.components(of: path.location).last?.lowercased() { setNames.insert(name) }
    }
}

/// The properties of one object, told by name without regard to case.
private struct CatalogueEntry {
    private let properties: [String: JSONValue]

    init(_ properties: [String: JSONValue]) { self.properties = properties }

    func hasAny(of names: [String]) -> Bool {
        names.contains { properties[$0.lowercased()] != nil }
    }

    /// Nil where the property is absent, null or empty.
    func text(_ name: String) throws(JSONValue.Problem) -> String? {
        switch properties[name.lowercased()] {
        case nil, .null: return nil
        case .text(let text): return text.isEmpty ? nil : text
        default: throw JSONValue.Problem(message: "The property \(name) must be a text.")
        }
    }

    func truth(_ name: String) throws(JSONValue.Problem) -> Bool {
        switch properties[name.lowercased()] {
        case nil, .null: return false
        case .truth(let truth): return truth
        default: throw JSONValue.Problem(message: "The property \(name) must be true or false.")
        }
    }

    /// As `text(_:)`. The zero GUID stands for none.
    func guid(_ name: String) throws(JSONValue.Problem) -> GUID? {
        guard let text = try text(name) else { return nil }
        return try Self.guid(text, name)
    }

    func path(_ name: String) throws(JSONValue.Problem) -> CataloguePath? {
        guard let text = try text(name) else { return nil }
        return try Self.path(text, name)
    }

    func paths(_ name: String) throws(JSONValue.Problem) -> [CataloguePath] {
        var paths: [CataloguePath] = []
        for text in try texts(name) where !text.isEmpty { paths.append(try Self.path(text, name)) }
        return paths
    }

    /// Each GUID of a list; nil for an empty one.
    func guids(_ name: String) throws(JSONValue.Problem) -> [GUID?] {
        var guids: [GUID?] = []
        for text in try texts(name) { guids.append(text.isEmpty ? nil : try Self.guid(text, name)) }
        return guids
    }

    /// A time in any of its forms, PowerShell's object for one included. What cannot be read is not known.
    func time(_ name: String) -> CatalogueTime? {
        switch properties[name.lowercased()] {
        case .text(let text): CatalogueTime(text)
        case .object(let inner):
            if case .text(let text)? = inner["value"] { CatalogueTime(text) } else { nil }
        default: nil
        }
    }

    /// A list of texts. One text alone is a list of one, and null is an empty list, or an empty text inside one.
    private func texts(_ name: String) throws(JSONValue.Problem) -> [String] {
        guard let value = properties[name.lowercased()] else { return [] }
        if case .null = value { return [] }
        var texts: [String] = []
        for value in value.listed ?? [value] {
            switch value {
            case .text(let text): texts.append(text)
            case .null: texts.append("")
            default: throw JSONValue.Problem(message: "The property \(name) must be a list of texts.")
            }
        }
        return texts
    }

    private static func guid(_ text: String, _ name: String) throws(JSONValue.Problem) -> GUID? {
        guard let guid = GUID(text) else {
            throw JSONValue.Problem(message: "The property \(name) must be a GUID, not \"\(text.prefix(80))\".")
        }
        return guid == .zero ? nil : guid
    }

    private static func path(_ text: String, _ name: String) throws(JSONValue.Problem) -> CataloguePath {
        guard let path = CataloguePath(text) else {
            throw JSONValue.Problem(message: "The property \(name) must name a file, not \"\(text.prefix(80))\".")
        }
        return path
    }
}

extension JSONValue {
    /// The elements of a list, bare or in PowerShell's wrapper for one (`{"value":[…],"Count":n}`); nil for anything else.
    fileprivate var listed: [JSONValue]? {
        switch self {
        case .array(let values): values
        case .object(let properties):
            if case .array(let values)? = properties["value"], properties["count"] != nil { values } else { nil }
        default: nil
        }
    }
}
