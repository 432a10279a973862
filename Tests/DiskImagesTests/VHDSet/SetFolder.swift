import Foundation
import TestSupport

@testable import DiskImages

/// A folder with images that stand on each other, and a catalogue of them.
struct SetFolder {
    /// One entry of a catalogue, as its JSON has it.
    struct Entry {
        var id: Int
        var path: String?
        var parents: [String] = []
        var created: String?
        var identifier: GUID?
        var parentIdentifiers: [GUID] = []

        var json: String {
            var properties = [#""SnapshotId":"\#(SetFolder.id(id))""#, #""SnapshotPath":\#(Self.text(path))"#]
            properties.append(#""ParentPathsList":[\#(parents.map(Self.text).joined(separator: ","))]"#)
            properties.append(#""CreationTime":\#(Self.text(created))"#)
            if let identifier { properties.append(#""Identifier":"\#(identifier)""#) }
            let identifiers = parentIdentifiers.map { Self.text($0.description) }.joined(separator: ",")
            properties.append(#""ParentIdentifiers":[\#(identifiers)]"#)
            return "{\(properties.joined(separator: ","))}"
        }

        static func text(_ text: String?) -> String {
            text.map { #""\#($0.replacingOccurrences(of: "\\", with: #"\\"#))""# } ?? "null"
        }
    }

    let folder: TemporaryFolder
    let catalogue: String

    init() throws {
        folder = try TemporaryFolder()
        catalogue = folder.file("web.vhdset.json")
    }

    static func id(_ number: Int) -> GUID {
        GUID(high: 0xABCD_0000_0000_4000, low: 0x8000_0000_0000_0000 | UInt64(number))
    }

    /// The identity that `image` gives the file `name`.
    static func identifier(_ name: String) -> GUID {
        GUID(high: 0x1234, low: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    }

    /// Writes an image with the identity of its name.
    func image(_ name: String, on parent: String? = nil, identifier: GUID? = nil, parentIdentifier: GUID? = nil) throws
    {
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        builder.dataWriteGUID = identifier ?? Self.identifier(name)
        if let parent { builder.setParent(parentIdentifier ?? Self.identifier(parent), path: parent) }
        try builder.write(to: folder.file(name))
    }

    /// Writes a chain, leaf first.
    func chain(_ names: String...) throws {
        for (index, name) in names.enumerated() {
            try image(name, on: index + 1 < names.count ? names[index + 1] : nil)
        }
    }

    /// Sets the time of modification, in seconds since 1970.
    func touch(_ name: String, at seconds: Int) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: TimeInterval(seconds))],
            ofItemAtPath: folder.file(name)
        )
    }

    func write(all paths: [String] = [], leaf: String? = nil, vouched: Bool = false, _ entries: Entry...) throws {
        let all = paths.map(Entry.text).joined(separator: ",")
        let set =
            #"{"Path":"C:\\x\\web.vhds","SnapshotIdList":null,"AllPaths":[\#(all)],"LeafPath":\#(Entry.text(leaf)),"#
            + #""NoSnapshotApplied":\#(vouched)}"#
        try write(text: "[\(([set] + entries.map(\.json)).joined(separator: ",\n"))]")
    }

    func write(text: String) throws {
        try RawFile(catalogue, create: true).write(Array(text.utf8), at: 0)
    }

    func open() throws(ImageError) -> DiskChain { try DiskChain.open(catalogue, in: LocalFiles()) }

    /// The names of the layers, leaf first.
    func layers() throws(ImageError) -> [String] {
        try open().layers.map { String($0.file.name.dropFirst(folder.path.count + 1)) }
    }

    func refusal() -> ImageError? {
        do throws(ImageError) {
            _ = try open()
            return nil
        } catch {
            return error
        }
    }

    /// The snapshots in their order, as number and place.
    func places() throws -> [String] {
        try open().snapshots.map { snapshot in
            let place =
                switch snapshot.place {
                case .layer(let index): "layer \(index)"
                case .above(let index): "above \(index)"
                case .nowhere: "nowhere"
                }
            return "\(snapshot.id.low & 0xFFFF) \(place)"
        }
    }
}
