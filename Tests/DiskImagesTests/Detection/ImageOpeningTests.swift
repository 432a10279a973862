import Foundation
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
    private func refusal(
        _ content: Content,
        named name: String,
        saidFormat: ImageDescription.Format? = nil
    ) throws -> ImageError.Code? {
        let file = try LocalFiles().open(try write(content, to: name))
        do throws(ImageError) {
            _ = try file.openImage(in: LocalFiles(), saidFormat: saidFormat)
            return nil
        } catch {
            return error.code
        }
    }

    /// What is said of a file of these bytes; nil where it opens.
    private func message(_ bytes: [UInt8], named name: String) throws -> String? {
        try? FileManager.default.removeItem(atPath: folder.file(name))
        try RawFile(folder.file(name), create: true).write(bytes, at: 0)
        do throws(ImageError) {
            _ = try LocalFiles().open(folder.file(name)).openImage(in: LocalFiles())
            return nil
        } catch {
            #expect(error.code == .notADisk, "\(error)")
            return error.message
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
        // A raw disk may hold anything but what would make another disk of it; nothing is known of the layout of .vhds.
        let isRaw = [Content.damagedVHDX, .beginningOfVHDX, .json, .text, .empty].contains(content)
        for name in ["a.raw", "a.img", "A.IMG"] {
            #expect(try refusal(content, named: name) == (isRaw ? nil : .notADisk), "\(content)")
            // Who names it may know better.
            #expect(try refusal(content, named: name, saidFormat: .raw) == nil, "\(content)")
        }
        #expect(try refusal(content, named: "a.vhds") == .unsupported, "\(content)")
    }

    @Test(
        "A file that is raw by its name alone and shows another format is refused, and the format is named",
        arguments: [
            ([0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 2], 0, "a qcow2 file", ".qcow2"),
            ([0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3], 0, "a qcow2 file", ".qcow2"),
            ([0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 1], 0, "a qcow file of version 1", "convert it"),
            (Array("vhdxfile".utf8), 0, "a VHDX file", ".vhdx"), (Array("conectix".utf8), 0, "a VHD file", ".vhd"),
            (Array("conectix".utf8), 3_584, "a VHD file", ".vhd"), (Array("KDMV".utf8), 0, "a VMDK file", "convert it"),
            (Array("COWD".utf8), 0, "a VMDK file", "convert it"),
            (Array("# Disk DescriptorFile".utf8), 0, "a VMDK file", "convert it"),
            ([0x7F, 0x10, 0xDA, 0xBE], 64, "a VDI file of VirtualBox", "convert it"),
            (Array("QED\0".utf8), 0, "a QED file", "convert it"),
            (Array("WithoutFreeSpace".utf8), 0, "a disk of Parallels", "convert it"),
            (Array("WithouFreSpacExt".utf8), 0, "a disk of Parallels", "convert it"),
            (Array("Bochs Virtual HD Image".utf8), 0, "a disk of Bochs", "convert it"),
            ([0x3A, 0xFF, 0x26, 0xED], 0, "a sparse image of Android", "convert it"),
        ] as [([UInt8], Int, String, String)]
    )
    func marks(mark: [UInt8], place: Int, what: String, advice: String) throws {
        var disk = [UInt8](repeating: 0, count: 4_096)
        disk.replaceSubrange(place..<place + mark.count, with: mark)
        let said = try message(disk, named: "a.img")
        #expect(said?.contains("by its content \(what). ") == true, "\(String(describing: said))")
        #expect(said?.contains(advice) == true && said?.contains("--image-format raw") == true)
        if advice == "convert it", !what.contains("qcow") {
            let said = try message(disk, named: "a.bin")
            #expect(said?.contains("looks like \(what), a format that this program does not read") == true)
        }
        let misnamed = try message(disk, named: what.contains("VHDX") ? "a.qcow2" : "a.vhdx")
        #expect(misnamed?.contains("its content is that of \(what)") == true, "\(String(describing: misnamed))")
        // Anywhere else it is what a disk may hold.
        for place in [1, 512, 1_024, 4_096 - mark.count] {
            disk = [UInt8](repeating: 0, count: 4_096)
            disk.replaceSubrange(place..<place + mark.count, with: mark)
            #expect(try message(disk, named: "a.img") == nil, "\(what) at \(place)")
        }
        // So is a part of it.
        disk = Array(mark.dropLast(mark.count > 4 && mark[3] == 0xFB ? 5 : 1))
        #expect(try message(disk, named: "a.img") == nil, "\(what)")
    }

    @Test("What a disk holds of its own is no other format")
    func rawContents() throws {
        let boot = [UInt8](repeating: 0, count: 510) + [0x55, 0xAA]
        let contents: [[UInt8]] = [
            [], [0], boot, Array("LUKS".utf8) + [0xBA, 0xBE, 0, 1], Array("SKUL".utf8) + [0xBA, 0xBE, 0, 2],
            [UInt8](repeating: 0, count: 512) + Array("EFI PART".utf8), [0xEB, 0x52, 0x90] + Array("NTFS    ".utf8),
            [0x1F, 0x8B, 8], Array("XFSB".utf8), [UInt8](repeating: 0, count: 32_769) + Array("CD001".utf8),
        ]
        for content in contents { #expect(try message(content, named: "a.raw") == nil, "\(content.prefix(16))") }
    }

    @Test("What is said of the format counts for a name that claims none, and never against one that does")
    func saidFormats() throws {
        for name in ["a", "disk.bin", "vm.snap1"] {
            #expect(try refusal(.vhdx, named: name, saidFormat: .vhdx) == nil)
            #expect(try refusal(.vhd, named: name, saidFormat: .vhd) == nil)
            #expect(try refusal(.fixedVHD, named: name, saidFormat: .vhd) == nil)
            #expect(try refusal(.damagedVHDX, named: name, saidFormat: .vhdx) == .corrupt)
            #expect(try refusal(.qcow2, named: name, saidFormat: .qcow2) == .corrupt)
            for content in Content.allCases { #expect(try refusal(content, named: name, saidFormat: .raw) == nil) }
            for format in [ImageDescription.Format.vhd, .qcow2] {
                #expect(try refusal(.vhdx, named: name, saidFormat: format) == .notADisk)
            }
            #expect(try refusal(.json, named: name, saidFormat: .vhdset) == .invalidParameter)
        }
        let claims: [(String, ImageDescription.Format)] = [
            ("a.vhdx", .vhdx), ("a.avhd", .vhd), ("A.QCOW2", .qcow2), ("a.img", .raw), ("a.vhdset.json", .vhdset),
        ]
        for (name, claim) in claims {
            for format in ImageDescription.Format.allCases where format != claim {
                #expect(try refusal(.vhdx, named: name, saidFormat: format) == .invalidParameter, "\(name) \(format)")
            }
        }
        #expect(try refusal(.vhdx, named: "a.vhdx", saidFormat: .vhdx) == nil)
        #expect(try refusal(.vhdx, named: "a.vhds", saidFormat: .vhdx) == .unsupported)
        // It is about the file that is named, by a chain and by a check alike.
        let path = try write(.vhdx, to: "a.img")
        func code(_ open: () throws(ImageError) -> ImageError?) -> ImageError.Code? {
            do throws(ImageError) { return try open()?.code } catch { return error.code }
        }
        for format in [nil, ImageDescription.Format.raw, .vhdx] {
            let expected: ImageError.Code? = format == .raw ? nil : format == nil ? .notADisk : .invalidParameter
            let opened = code { () throws(ImageError) in
                _ = try DiskChain.open(path, in: LocalFiles(), saidFormat: format)
                return nil
            }
            let checked = code { () throws(ImageError) in
                try DiskChain.check(path, in: LocalFiles(), saidFormat: format).problems.first
            }
            #expect(opened == expected && checked == expected)
        }
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
