import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Every bit of a catalogue flipped, and the document cut short everywhere.
///
/// A catalogue has no checksum, and a changed letter can make another document that is as good. But it only names things:
/// which disk there is stays with the files. So whatever happens, the answer is a refusal, or one of the chains that are in
/// the folder, whole; and no snapshot has a place that the undamaged files do not prove.
@Suite("Damaged catalogues of VHD Sets")
struct CatalogueDamageTests {
    private let set: SetFolder
    private let text: [UInt8]
    private let undamaged: DiskChain

    init() throws {
        set = try SetFolder()
        try set.chain("leaf.avhdx", "b.avhdx", "a.avhdx")
        try set.write(
            leaf: "leaf.avhdx",
            vouched: false,
            SetFolder.Entry(id: 1, path: "C:\\sets\\a.avhdx", created: "2023-11-14T22:13:20Z"),
            SetFolder.Entry(
                id: 2,
                path: "b.avhdx",
                parents: ["a.avhdx"],
                identifier: SetFolder.identifier("b.avhdx"),
                parentIdentifiers: [SetFolder.identifier("a.avhdx")]
            )
        )
        text = Array(try Data(contentsOf: URL(fileURLWithPath: set.catalogue)))
        undamaged = try DiskChain.open(set.catalogue, in: LocalFiles())
    }

    /// Nil for a refusal.
    private func open(_ bytes: [UInt8]) throws -> DiskChain? {
        try Data(bytes).write(to: URL(fileURLWithPath: set.catalogue))
        do throws(ImageError) {
            return try DiskChain.open(set.catalogue, in: LocalFiles())
        } catch {
            #expect(!error.message.isEmpty)
            return nil
        }
    }

    private func expectSound(_ bytes: [UInt8], _ what: @autoclosure () -> String) throws {
        guard let chain = try open(bytes) else { return }
        let identities = undamaged.layers.map(\.file.identity)
        #expect(chain.layers.map(\.file.identity) == Array(identities.suffix(chain.layers.count)), "\(what())")
        for snapshot in chain.snapshots {
            switch snapshot.place {
            case .layer(let index), .above(let index): #expect(index < chain.layers.count, "\(what())")
            case .nowhere: #expect(!snapshot.explanation.isEmpty, "\(what())")
            }
            // A snapshot whose own identity is recorded has its state in no other file.
            guard snapshot.id == SetFolder.id(2), case .layer(let index) = snapshot.place else { continue }
            let identifier = chain.layers[index].description.identifier
            #expect(identifier == SetFolder.identifier("b.avhdx") || bytes != text, "\(what())")
        }
    }

    @Test func theUndamagedDocument() throws {
        #expect(undamaged.layers.count == 3)
        #expect(undamaged.snapshots.map(\.place) == [.layer(1), .layer(2)])
        try expectSound(text, "nothing")
    }

    @Test func everyBit() throws {
        for index in text.indices {
            for bit in 0..<8 {
                var bytes = text
                bytes[index] ^= 1 << UInt8(bit)
                try expectSound(bytes, "bit \(bit) of byte \(index)")
            }
        }
    }

    /// Without its end a document is no document.
    @Test func everyLength() throws {
        let end = (text.lastIndex { $0 == UInt8(ascii: "}") || $0 == UInt8(ascii: "]") } ?? 0) + 1
        for length in 0..<end { #expect(try open(Array(text[..<length])) == nil, "\(length) bytes") }
        #expect(try open(Array(text[..<end])) != nil)
    }

    @Test(arguments: 0..<8) func noise(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        let pieces = [
            "\"", "{", "}", "[", "]", ",", ":", "\\", "\\u0000", "null", "true", "1e999", "\"LeafPath\":", "\u{0}",
        ]
        for round in 0..<100 {
            var bytes = text
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let start = Int.random(in: 0..<bytes.count, using: &generator)
                let end = min(bytes.count, start + Int.random(in: 0...12, using: &generator))
                let piece = generator.chance(70) ? Array((pieces.randomElement(using: &generator) ?? "").utf8) : []
                bytes.replaceSubrange(start..<end, with: piece)
            }
            try expectSound(bytes, "seed \(seed), round \(round)")
        }
    }
}
