import DiskImages
import TestSupport

/// The disks that the tests ask about.
///
/// `child.avhdx` stands on `base.vhdx`; both have 8 MiB in blocks of 1 MiB. Since the base four ranges changed, of both
/// kinds.
struct SmallDisks {
    static let mebibyte: UInt64 = 1 << 20
    static let baseID = "{22222222-2222-4222-8222-222222222222}"
    static let childID = "{33333333-3333-4333-8333-333333333333}"
    static let diskID = "{01020304-0506-4708-890a-0b0c0d0e0f10}"

    /// The ranges as the lines tell them.
    static let changes = [
        #"{"type":"range","offset":1048576,"length":2048,"kind":"data"}"#,
        #"{"type":"range","offset":1099776,"length":512,"kind":"data"}"#,
        #"{"type":"range","offset":3145728,"length":1048576,"kind":"zero"}"#,
        #"{"type":"range","offset":7340032,"length":1048576,"kind":"data"}"#,
    ]
    static let changesEnd =
        #"{"type":"end","complete":true,"return_value":0,"processed":8388608,"next_offset":8388608,"ranges":4,"#
        + #""bytes":2099712,"data_bytes":1051136,"zero_bytes":1048576}"#
    static let allocated = [
        #"{"type":"range","offset":0,"length":1050624,"kind":"data"}"#,
        #"{"type":"range","offset":1099776,"length":512,"kind":"data"}"#,
        #"{"type":"range","offset":7340032,"length":1048576,"kind":"data"}"#,
    ]

    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        var base = Self.disk("22222222-2222-4222-8222-222222222222")
        base.blocks[0] = VHDXBuilder.Block(state: 6)
        base.blocks[2] = VHDXBuilder.Block(state: 2)
        try base.write(to: folder.file("base.vhdx"))
        var child = Self.disk("33333333-3333-4333-8333-333333333333")
        child.setParent(base.dataWriteGUID, path: ".\\base.vhdx")
        child.blocks[1] = VHDXBuilder.Block(state: 7, sectors: [0, 1, 2, 3, 100])
        child.blocks[2] = VHDXBuilder.Block(state: 2)
        child.blocks[3] = VHDXBuilder.Block(state: 3)
        child.blocks[7] = VHDXBuilder.Block(state: 6)
        try child.write(to: folder.file("child.avhdx"))
    }

    static func disk(_ identifier: String) -> VHDXBuilder {
        var builder = VHDXBuilder(virtualSize: 8 * mebibyte, blockSize: UInt32(mebibyte))
        builder.dataWriteGUID = GUID(identifier) ?? .zero
        return builder
    }

    /// The disk's epoch, which no test can know beforehand.
    func epoch(_ disk: String = "child.avhdx") throws -> String {
        try Program.run("info", disk, in: folder).lastObject()["epoch"] as? String ?? ""
    }

    /// A disk that can be read up to the block that starts at 5 MiB, where its table is damaged.
    func writeDamagedDisk() throws {
        var disk = Self.disk("44444444-4444-4444-8444-444444444444")
        disk.blocks[1] = VHDXBuilder.Block(state: 6)
        disk.blocks[5] = VHDXBuilder.Block(state: 6, offset: 1 << 40)
        try disk.write(to: folder.file("damaged.vhdx"))
    }

    /// A child of `base.vhdx` with an answer of 307,200 ranges: some 17 MB of lines.
    func writeLargeAnswer() throws {
        let blocks = 300
        let size = UInt64(blocks) * Self.mebibyte
        var base = VHDXBuilder(virtualSize: size, blockSize: UInt32(Self.mebibyte))
        base.dataWriteGUID = GUID(high: 5, low: 5)
        try base.write(to: folder.file("large-base.vhdx"))
        var child = VHDXBuilder(virtualSize: size, blockSize: UInt32(Self.mebibyte))
        child.dataWriteGUID = GUID(high: 6, low: 6)
        child.setParent(base.dataWriteGUID, path: "large-base.vhdx")
        let sectors = Set(stride(from: 0, to: 2048, by: 2))
        for block in 0..<blocks { child.blocks[block] = VHDXBuilder.Block(state: 7, sectors: sectors) }
        try child.write(to: folder.file("large.avhdx"))
    }

    static let largeBaseID = GUID(high: 5, low: 5).description
}
