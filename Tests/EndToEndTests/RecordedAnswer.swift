import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import TestSupport

/// All that a server sent to a client that asked one question, byte by byte.
struct RecordedAnswer: Sendable {
    /// Preface and SETTINGS.
    let opening: [UInt8]
    /// The frames of the answer: DATA, and END at last.
    let frames: [Frame]
    let request: GetVirtualDiskChangesRequest

    init(_ request: GetVirtualDiskChangesRequest, at address: String) throws {
        let connection = try RawConnection(to: address)
        connection.send(Frame.greeting() + (try Frame.open(request)).bytes)
        var opening = try connection.receive(Preface.byteCount)
        var frames: [Frame] = []
        while frames.last?.header.type != .end {
            guard let frame = try connection.receiveFrame() else {
                throw BuiltProgram.Failure(description: "the server closed the connection")
            }
            if frame.header.type == .settings { opening += frame.bytes } else { frames.append(frame) }
        }
        self.opening = opening
        self.frames = frames
        self.request = request
    }

    var bytes: [UInt8] { opening + frames.flatMap(\.bytes) }

    /// Where the first message, which is the header, ends in `bytes`.
    var headerEnd: Int { opening.count + (frames.first?.bytes.count ?? 0) }

    /// The first `count` bytes, as a listener plays them.
    func script(prefix count: Int, ending: ScriptedListener.Ending = .close) -> ScriptedListener.Script {
        script(Array(bytes.prefix(count)), ending: ending)
    }

    /// `bytes`, which start as the answer does, as a listener plays them: what follows SETTINGS comes when a stream is open.
    func script(_ bytes: [UInt8], ending: ScriptedListener.Ending = .close) -> ScriptedListener.Script {
        ScriptedListener.Script(
            opening: Array(bytes.prefix(opening.count)),
            rest: Array(bytes.dropFirst(opening.count)),
            ending: ending
        )
    }
}

/// Disks whose answers have several batches.
enum LargeAnswers {
    static let baseID = GUID(high: 7, low: 7).description
    private static let mebibyte: UInt64 = 1 << 20

    /// Writes `s.avhdx`, about which a short answer has several batches: between its few ranges the walk has to go over
    /// thousands of blocks that tell nothing, and so many only that no batch is without a range: one that is could be left
    /// out of an answer, and nothing would be missing.
    static func writeShort(in folder: TemporaryFolder) throws -> [ChangedRange] {
        let blocks = 12_800
        var base = disk(blocks: blocks, id: 7)
        var leaf = disk(blocks: blocks, id: 8)
        leaf.setParent(base.dataWriteGUID, path: "s.vhdx")
        for block in stride(from: 0, to: blocks, by: 2) {
            base.blocks[block] = VHDXBuilder.Block(state: 2)
            leaf.blocks[block] = VHDXBuilder.Block(state: 2)
        }
        var ranges: [ChangedRange] = []
        for block in [1, 3_001, 3_003, 6_001, 9_001, 12_799] {
            let isZero = block == 3_003
            leaf.blocks[block] = isZero ? VHDXBuilder.Block(state: 3) : VHDXBuilder.Block(state: 7, sectors: [3, 4])
            let start = UInt64(block) * mebibyte
            ranges.append(
                isZero
                    ? ChangedRange(offset: start, length: mebibyte, kind: .zero)
                    : ChangedRange(offset: start + 3 * 512, length: 1_024, kind: .data)
            )
        }
        try base.write(to: folder.file("s.vhdx"))
        try leaf.write(to: folder.file("s.avhdx"))
        return ranges
    }

    /// Writes `l.avhdx`, of which every other sector changed: 1,024 ranges in each of `blocks` blocks.
    static func writeLong(in folder: TemporaryFolder, blocks: Int = 300) throws {
        let base = disk(blocks: blocks, id: 7)
        var leaf = disk(blocks: blocks, id: 8)
        leaf.setParent(base.dataWriteGUID, path: "l.vhdx")
        let sectors = Set(stride(from: 0, to: 2_048, by: 2))
        for block in 0..<blocks { leaf.blocks[block] = VHDXBuilder.Block(state: 7, sectors: sectors) }
        try base.write(to: folder.file("l.vhdx"))
        try leaf.write(to: folder.file("l.avhdx"))
    }

    static let long = GetVirtualDiskChangesRequest(path: "d/l.avhdx", limitID: baseID)
    static let short = GetVirtualDiskChangesRequest(path: "d/s.avhdx", limitID: baseID)

    private static func disk(blocks: Int, id: UInt64) -> VHDXBuilder {
        var disk = VHDXBuilder(virtualSize: UInt64(blocks) * mebibyte, blockSize: UInt32(mebibyte))
        disk.dataWriteGUID = GUID(high: id, low: id)
        return disk
    }
}
