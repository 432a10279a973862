import TestSupport
import Testing

@testable import DiskImages

/// Images that Windows and QEMU wrote.
@Suite("VHD images of other programs")
struct VHDCorpusTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func image(_ name: String) throws -> VHDImage {
        let path = folder.file("disk.vhd")
        try Corpus.unpack("vhd/" + name, to: path)
        return try #require(LocalFiles().open(path).openImage(in: LocalFiles()) as? VHDImage)
    }

    private func sectors(_ image: any DiskImage) throws -> [Int] {
        let codes = try LayerWalk.codes(of: image)
        return codes.indices.filter { codes[$0] == LayerWalk.code(.data) }
    }

    @Test(.enabled(if: Corpus.isPresent, "\(Corpus.absence)")) func aDifferencingDiskOfWindows() throws {
        let leaf = folder.file("child.vhd")
        try Corpus.unpack("vhd/fat-differential.vhd.gz", to: leaf)
        do throws(ImageError) {
            _ = try DiskChain.open(leaf, in: LocalFiles())
            Issue.record("a chain without its parent is opened")
        } catch {
            #expect(error.code == .parentNotFound)
        }
        var parent = VHDBuilder(virtualSize: 4 << 20)
        try parent.write(to: folder.file("fat-parent.vhd"))
        do throws(ImageError) {
            _ = try DiskChain.open(leaf, in: LocalFiles())
            Issue.record("a chain with another parent is opened")
        } catch {
            #expect(error.code == .parentMismatch)
        }
        parent.uniqueID = try #require(GUID("5fa21a55-f394-aa4d-9958-1951a67d5540"))
        try parent.write(to: folder.file("fat-parent.vhd"))
        let chain = try DiskChain.open(leaf, in: LocalFiles())
        #expect(chain.layers.map(\.description.diskType) == [.differencing, .dynamic])
        #expect(chain.layers[1].description.identifier == parent.uniqueID)
        #expect(chain.layers[0].description.blockSize == 2 << 20)
        #expect(chain.layers[0].description.virtualSize == 4 << 20)
        let expected: [Int] = [134, 143] + Array(152...159) + [184, 185, 188] + Array(190...192) + [194, 196]
        #expect(try sectors(chain.layers[0]) == expected)
        #expect(try DiskChain.check(leaf, in: LocalFiles()).problems.isEmpty)
    }

    @Test(.enabled(if: Corpus.isPresent, "\(Corpus.absence)")) func aDynamicDiskOfWindows() throws {
        let image = try image("dynamic.vhd.gz")
        #expect(image.description.diskType == .dynamic)
        // What the footer says, and not the 10,479,616 bytes of its geometry.
        #expect(image.description.virtualSize == 10_485_760)
        #expect(image.description.identifier == GUID("4b6a0d04-f946-d74e-836f-d3dc87e1816b"))
        #expect(image.description.parent == nil && image.description.virtualDiskID == nil)
        #expect(try sectors(image) == Array(0..<8_192) + Array(12_288..<16_384))
        #expect(try DiskChain.check(folder.file("disk.vhd"), in: LocalFiles()).problems.isEmpty)
    }

    @Test(.enabled(if: Corpus.isPresent, "\(Corpus.absence)")) func aFixedDiskOfWindows() throws {
        let image = try image("fixed.vhd.gz")
        #expect(image.description.diskType == .fixed)
        #expect(image.description.virtualSize == 10_485_760)
        #expect(image.description.blockSize == 0)
        #expect(try sectors(image).count == 20_480)
    }

    /// Each of the sizes that QEMU can mean, as QEMU itself reads them.
    @Test(.enabled(if: Oracles.qemuImage != nil, "qemu-img is not installed"))
    func disksOfQEMU() throws {
        let program = try #require(Oracles.qemuImage)
        for format in ["dynamic", "fixed"] {
            for options in ["", ",force_size=on"] {
                for size in [5 << 20, 8 << 20, 12_345_344] {
                    let path = folder.file("q.vhd")
                    let arguments = ["create", "-f", "vpc", "-o", "subformat=\(format)\(options)", path, "\(size)"]
                    #expect(try Oracles.run(program, arguments).status == 0)
                    let measured = try Oracles.run(program, ["convert", "-f", "vpc", "-O", "raw", path, path + ".raw"])
                    #expect(measured.status == 0)
                    let image = try VHDImage(LocalFiles().open(path))
                    #expect(image.description.virtualSize == (try RawFile(path + ".raw").size), "\(arguments)")
                    #expect(image.description.diskType == (format == "fixed" ? .fixed : .dynamic))
                }
            }
        }
    }
}
