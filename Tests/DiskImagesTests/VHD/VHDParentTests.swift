import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// How the parents of VHD files are found and recognised.
@Suite("Parents of VHD images")
struct VHDParentTests {
    let folder: TemporaryFolder
    private let identifier = GUID(high: 0x5555_5555_5555_4555, low: 0x8555_5555_5555_5555)

    init() throws { folder = try TemporaryFolder() }

    private func writeChild(_ locators: [VHDBuilder.Locator], name: String = "", to path: String = "c.vhd") throws {
        var child = VHDBuilder(virtualSize: 1 << 20)
        child.setParent(identifier, path: "")
        child.locators = locators
        child.parentName = name
        try child.write(to: folder.file(path))
    }

    private func writeParent(_ name: String, _ identifier: GUID? = nil) throws {
        var parent = VHDBuilder(virtualSize: 1 << 20)
        parent.uniqueID = identifier ?? self.identifier
        try parent.write(to: folder.file(name))
    }

    private func candidates(_ path: String = "c.vhd") throws -> [String] {
        try VHDImage(LocalFiles().open(folder.file(path))).description.parent?.candidates ?? []
    }

    private func open() throws(ImageError) -> [String] {
        try DiskChain.open(folder.file("c.vhd"), in: LocalFiles()).layers.map {
            String($0.file.name.dropFirst(folder.path.count + 1))
        }
    }

    private func refusal() -> ImageError.Code? {
        do throws(ImageError) {
            _ = try open()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func everyFormOfLocatorLeadsToTheParent() throws {
        let forms: [(VHDBuilder.Locator, String)] = [
            (.init("W2ru", ".\\p.vhd"), "p.vhd"), (.init("W2ru", "..\\x\\p.vhd"), "../x/p.vhd"),
            (.init("W2ru", "p.vhd\0\0"), "p.vhd"), (.init("W2ku", "C:\\x\\Ünder p.vhd"), "Ünder p.vhd"),
            (.init("W2ku", "\\\\server\\share\\p.vhd"), "p.vhd"), (.init("Wi2r", Array(".\\x\\p.vhd".utf8)), "x/p.vhd"),
            (.init("Wi2k", Array("D:\\x\\p.vhd\0".utf8)), "p.vhd"),
            (.init("MacX", Array("file://localhost/x/a%20p.vhd".utf8)), "a p.vhd"),
            (.init("MacX", Array("file:///x/p.vhd".utf8)), "p.vhd"),
            (.init("MacX", Array("file://./p.vhd".utf8)), "p.vhd"),
            (.init("MacX", Array("file://../x/p.vhd".utf8)), "../x/p.vhd"),
        ]
        for (locator, expected) in forms {
            try writeChild([locator])
            #expect(try candidates() == [expected], "\(locator)")
        }
        // An eighth is as good as a first.
        let unknown = VHDBuilder.Locator("Zzzz", "q.vhd")
        try writeChild(Array(repeating: unknown, count: 7) + [.init("W2ru", "p.vhd")])
        #expect(try candidates() == ["p.vhd"])
        // The header's name is stored the other way round, and may be a path.
        try writeChild([], name: "C:\\x\\p.vhd")
        #expect(try candidates() == ["p.vhd"])
    }

    @Test func whatIsDamagedCountsAsMissing() throws {
        let good = VHDBuilder.Locator("W2ku", "C:\\p.vhd")
        let bad: [VHDBuilder.Locator] = [
            .init("W2ru", "q.vhd").with(length: 0), .init("W2ru", "q.vhd").with(length: 9),
            .init("W2ru", "q.vhd").with(length: .max), .init("W2ru", "q.vhd").with(offset: .max),
            .init("W2ru", "q.vhd").with(offset: 1 << 40), .init("W2ru", "a\0q.vhd"), .init("W2ru", ".."),
            .init("W2ru", [0x00, 0xD8]), .init("Wi2r", [0xFF, 0x41]), .init("MacX", Array("file:///%zz.vhd".utf8)),
            .init("MacX", Array("file:///%2".utf8)), .init("MacX", Array("file:///a%2Fp.vhd".utf8)),
            .init("MacX", Array("http://x/p.vhd".utf8)), .init("MacX", Array("file:///%00".utf8)),
            .init("Mac ", Array("p.vhd".utf8)), .init("Zzzz", "p.vhd"), .init("\0\0\0\0", "p.vhd"),
        ]
        for locator in bad {
            try writeChild([locator, good])
            #expect(try candidates() == ["p.vhd"], "\(locator)")
        }
    }

    /// Relative ones first, the header's name last, whatever their order in the file.
    @Test func theFirstRightCandidateWins() throws {
        try writeChild(
            [
                .init("MacX", Array("file:///5.vhd".utf8)), .init("Wi2k", Array("C:\\4.vhd".utf8)),
                .init("Wi2r", Array("3.vhd".utf8)), .init("W2ku", "C:\\2.vhd"), .init("W2ru", "1.vhd"),
            ],
            name: "6.vhd"
        )
        #expect(try candidates() == (1...6).map { "\($0).vhd" })
        #expect(refusal() == .parentNotFound)
        for index in (1...6).reversed() {
            try writeParent("\(index).vhd", GUID(high: 9, low: 9))
            #expect(refusal() == (index == 6 ? .parentMismatch : nil))
            try writeParent("\(index).vhd")
            #expect(try open() == ["c.vhd", "\(index).vhd"])
        }
    }

    @Test func aParentIsAVHDWhateverItsName() throws {
        try writeChild([.init("W2ru", "parent")])
        try writeParent("parent")
        #expect(try open() == ["c.vhd", "parent"])
        try writeChild([.init("W2ru", "parent.vhdx")])
        try VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20).write(to: folder.file("parent.vhdx"))
        #expect(refusal() == .notADisk)
    }

    @Test func theIdentityDecidesAndTheTimeDoesNot() throws {
        try writeChild([.init("W2ru", "p.vhd")])
        try writeParent("p.vhd", .zero)
        #expect(refusal() == .parentMismatch)
        #expect(try VHDImage(LocalFiles().open(folder.file("p.vhd"))).description.identifier == nil)
        var parent = VHDBuilder(virtualSize: 1 << 20)
        parent.uniqueID = identifier
        parent.timestamp = 1
        try parent.write(to: folder.file("p.vhd"))
        #expect(try open().count == 2)
    }

    @Test func aDiskThatIsItsOwnAncestorIsACycle() throws {
        var child = VHDBuilder(virtualSize: 1 << 20)
        child.uniqueID = identifier
        child.setParent(identifier, path: "c.vhd")
        try child.write(to: folder.file("c.vhd"))
        #expect(refusal() == .chainCycle)
    }
}

extension VHDBuilder.Locator {
    fileprivate func with(length: UInt32? = nil, offset: UInt64? = nil) -> VHDBuilder.Locator {
        var changed = self
        changed.length = length ?? self.length
        changed.offset = offset ?? self.offset
        return changed
    }
}
