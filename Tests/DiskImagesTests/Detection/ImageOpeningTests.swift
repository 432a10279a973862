import TestSupport
import Testing

@testable import DiskImages

/// Which format a file has, by its name and its content.
@Suite("Formats")
struct ImageOpeningTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    enum Content: String, CaseIterable {
        case vhdx, truncatedVHDX, damagedVHDX, beginningOfVHDX, vhd, fixedVHD, damagedVHD, damagedFixedVHD, qcow2, json,
            text, empty
    }

    private func write(_ content: Content, to name: String) throws -> String {
        let path = folder.file(name)
        switch content {
        case .vhdx, .truncatedVHDX, .damagedVHDX:
            try VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20).write(to: path)
            let file = try RawFile(path)
            if content == .truncatedVHDX { try file.truncate(to: 1_000) }
            if content == .damagedVHDX { try file.write([0x77], at: 0) }
        case .beginningOfVHDX: try RawFile(path, create: true).write(Array("vhdx".utf8), at: 0)
        case .vhd: try VHDBuilder(virtualSize: 1 << 20).write(to: path)
        case .fixedVHD:
            var builder = VHDBuilder(virtualSize: 4_096)
            builder.type = 2
            try builder.write(to: path)
        case .damagedVHD:
            try RawFile(path, create: true).write(Array("conectix".utf8) + Array(repeating: 0, count: 600), at: 0)
        case .damagedFixedVHD:
            let file = try RawFile(path, create: true)
            try file.write(Array("conectix".utf8) + Array(repeating: 0, count: 504), at: 4_096)
        case .qcow2: try RawFile(path, create: true).write([0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3], at: 0)
        case .json: try RawFile(path, create: true).write(Array(" {\"a\": 1}".utf8), at: 0)
        case .text: try RawFile(path, create: true).write(Array("Neither a disk nor a catalogue.\n".utf8), at: 0)
        case .empty: _ = try RawFile(path, create: true)
        }
        return path
    }

    /// Nil where the image opens.
    private func refusal(_ content: Content, named name: String) throws -> ImageError.Code? {
        let file = try LocalFiles().open(try write(content, to: name))
        do throws(ImageError) {
            _ = try file.openImage(in: LocalFiles())
            return nil
        } catch {
            return error.code
        }
    }

    @Test(arguments: ["a.vhdx", "a.avhdx", "A.VHDX", "a.b.AvhdX"]) func claimedAsVHDX(name: String) throws {
        #expect(try refusal(.vhdx, named: name) == nil)
        for content in [Content.truncatedVHDX, .damagedVHDX, .beginningOfVHDX] {
            #expect(try refusal(content, named: name) == .corrupt, "\(content)")
        }
        for content in [Content.vhd, .fixedVHD, .damagedVHD, .damagedFixedVHD, .qcow2, .json, .text, .empty] {
            #expect(try refusal(content, named: name) == .notADisk, "\(content)")
        }
    }

    @Test(arguments: Content.allCases) func claimedAsAnotherFormat(content: Content) throws {
        for name in ["a.vhd", "a.avhd", "A.VHD"] {
            let expected: ImageError.Code? =
                switch content {
                case .vhd, .fixedVHD: nil
                case .damagedVHD, .damagedFixedVHD: .corrupt
                default: .notADisk
                }
            #expect(try refusal(content, named: name) == expected, "\(content)")
        }
        // The header of the qcow2 file here ends after its version.
        #expect(try refusal(content, named: "a.qcow2") == (content == .qcow2 ? .corrupt : .notADisk), "\(content)")
        // A catalogue is no image itself; `DiskChain` opens what it names.
        let isCatalogue = content == .json
        #expect(try refusal(content, named: "a.vhdset.json") == (isCatalogue ? .unsupported : .notADisk), "\(content)")
        // A raw disk may hold anything, and nothing is known of the layout of .vhds.
        for name in ["a.raw", "a.img", "A.IMG"] { #expect(try refusal(content, named: name) == nil, "\(content)") }
        #expect(try refusal(content, named: "a.vhds") == .unsupported, "\(content)")
    }

    /// U+0600 is one `Character` with the point behind it. What is in a raw disk was written by its guest.
    @Test func anExtensionIsMadeOfBytes() throws {
        #expect(try refusal(.text, named: "a\u{600}.img") == nil)
        #expect(try refusal(.vhdx, named: "a\u{600}.vhds") == .unsupported)
        #expect(try refusal(.text, named: "a.img\u{301}") == .notADisk)
        #expect(try refusal(.text, named: "a\u{E}img") == .notADisk)
    }

    @Test func theRefusalOfARealSetSaysWhatToDoInstead() throws {
        let file = try LocalFiles().open(try write(.text, to: "a.vhds"))
        #expect {
            try file.openImage(in: LocalFiles())
        } throws: {
            ($0 as? ImageError)?.message.contains("Docs/Formats/VHDSet.md") == true
        }
    }

    @Test(arguments: ["[1]", " \n{", "\u{FEFF}[", "\u{FEFF}{}"]) func whatBeginsAsJSON(text: String) throws {
        try RawFile(folder.file("a.vhdset.json"), create: true).write(Array(text.utf8), at: 0)
        #expect(try FormatMarks.read(from: LocalFiles().open(folder.file("a.vhdset.json"))).looksLikeJSON)
    }

    @Test(arguments: ["a", "a.bin", "vhdx", "a.vhdx.bak"]) func withoutAClaimTheContentDecides(name: String) throws {
        for content in [Content.vhdx, .vhd, .fixedVHD] { #expect(try refusal(content, named: name) == nil) }
        for content in [Content.truncatedVHDX, .qcow2, .damagedVHD, .damagedFixedVHD] {
            #expect(try refusal(content, named: name) == .corrupt)
        }
        for content in [Content.damagedVHDX, .beginningOfVHDX, .json, .text, .empty] {
            #expect(try refusal(content, named: name) == .notADisk, "\(content)")
        }
    }
}
