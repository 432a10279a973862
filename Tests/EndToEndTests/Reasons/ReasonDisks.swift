import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport

/// A question about changes, in the words of each client.
struct ReasonQuestion {
    var disk: String
    var since: String
    var offset: UInt64 = 0
    var ifEpoch = ""

    var request: GetVirtualDiskChangesRequest {
        GetVirtualDiskChangesRequest(path: disk, limitID: since, byteOffset: offset, ifEpoch: ifEpoch)
    }

    /// As `diskdelta_ask` takes it.
    var keys: [String] {
        (offset == 0 ? [] : ["offset=\(offset)"]) + (ifEpoch.isEmpty ? [] : ["if-epoch=\(ifEpoch)"])
    }

    /// As `diskdelta` takes it.
    var flags: [String] {
        (offset == 0 ? [] : ["--offset", "\(offset)"]) + (ifEpoch.isEmpty ? [] : ["--if-epoch", ifEpoch])
    }
}

/// Disks that bring a server to say each reason that is about disks.
struct ReasonDisks {
    private static let baseID = GUID(high: 7, low: 7).description
    /// What clients keep their files in.
    let folder: TemporaryFolder
    /// What the server serves, as `d`.
    let root: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        root = try TemporaryFolder()
        let base = Self.disk(7)
        try base.write(to: root.file("base.vhdx"))
        try child(8, of: base.dataWriteGUID, path: "base.vhdx").write(to: root.file("child.avhdx"))
    }

    /// A question that can be answered.
    var good: ReasonQuestion { ReasonQuestion(disk: "d/child.avhdx", since: Self.baseID) }

    private static func disk(_ id: UInt64) -> VHDXBuilder {
        var disk = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        disk.dataWriteGUID = GUID(high: id, low: id)
        return disk
    }

    private func child(_ id: UInt64, of parent: GUID, path: String) -> VHDXBuilder {
        var child = Self.disk(id)
        child.setParent(parent, path: path)
        child.blocks[1] = VHDXBuilder.Block(state: 7, sectors: [0])
        return child
    }

    /// Reasons, and questions to which a server answers with them. The disks are written now.
    func provocations() throws -> [(reason: Reason, question: ReasonQuestion)] {
        try writeDisks()
        func ask(_ disk: String, since: String = Self.baseID) -> ReasonQuestion {
            ReasonQuestion(disk: disk, since: since)
        }
        return [
            (.fileNotFound, ask("d/nothing.vhdx")),
            (.pathNotAllowed, ask("d/../secret.vhdx")),
            (.invalidParameter, ReasonQuestion(disk: "d/child.avhdx", since: Self.baseID, offset: 1)),
            (.offsetOutOfRange, ReasonQuestion(disk: "d/child.avhdx", since: Self.baseID, offset: 9 << 20)),
            (.baselineMalformed, ask("d/child.avhdx", since: "yesterday")),
            (.baselineUnknown, ask("d/child.avhdx", since: GUID(high: 1, low: 1).description)),
            (.baselineAmbiguous, ask("d/twin.avhdx")),
            (.trackingDisabled, ask("d/bitmaps.qcow2", since: "bitmap:off")),
            (.baselineInconsistent, ask("d/bitmaps.qcow2", since: "bitmap:broken")),
            (.epochChanged, ReasonQuestion(disk: "d/child.avhdx", since: Self.baseID, ifEpoch: "0")),
            (.parentNotFound, ask("d/orphan.avhdx")),
            (.parentMismatch, ask("d/stranger.avhdx")),
            (.chainCycle, ask("d/cycle.avhdx")),
            (.imageCorrupt, ask("d/torn.vhdx")),
            (.notADisk, ask("d/text.vhdx")),
            (.unsupported, ask("d/set.vhds")),
            (.resourceLimit, ask("d/long.vhdset.json")),
        ]
    }

    private func writeDisks() throws {
        try child(7, of: Self.disk(8).dataWriteGUID, path: "child.avhdx").write(to: root.file("twin.avhdx"))
        try child(9, of: GUID(high: 1, low: 1), path: "gone.vhdx").write(to: root.file("orphan.avhdx"))
        try child(9, of: GUID(high: 1, low: 1), path: "base.vhdx").write(to: root.file("stranger.avhdx"))
        try child(9, of: GUID(high: 9, low: 9), path: "cycle.avhdx").write(to: root.file("cycle.avhdx"))
        try Self.disk(9).write(to: root.file("torn.vhdx"))
        let torn = try RawFile(root.file("torn.vhdx"))
        for offset in [UInt64(64 << 10), 128 << 10] { try torn.write([0xFF], at: offset + 100) }
        try write(Data("A text.".utf8), to: "text.vhdx")
        try write(Data(count: 4_096), to: "set.vhds")
        // A catalogue is read as a whole, and so it has a limit.
        try write(Data("[".utf8) + Data(repeating: UInt8(ascii: " "), count: 5 << 20), to: "long.vhdset.json")
        var bitmaps = Qcow2Builder(size: 8 << 20)
        var off = Qcow2Builder.Bitmap(name: "off", granularityBits: 16)
        off.flags = 0
        var broken = Qcow2Builder.Bitmap(name: "broken", granularityBits: 16)
        broken.flags = 3
        bitmaps.autoclear = 1
        bitmaps.bitmaps = [off, broken]
        try bitmaps.write(to: root.file("bitmaps.qcow2"))
    }

    private func write(_ data: Data, to name: String) throws {
        try data.write(to: URL(fileURLWithPath: root.file(name)))
    }

    /// The flags of a server that knows two tokens, of which its policy allows the second nothing.
    func guardedServer(known: String, useless: String) throws -> [String] {
        let tokens = "known \(try tokenHash(known))\nuseless \(try tokenHash(useless))\n"
        try Data(tokens.utf8).write(to: URL(fileURLWithPath: folder.file("tokens")))
        try Data("allow = known query *\n".utf8).write(to: URL(fileURLWithPath: folder.file("policy")))
        return ["--token-file", folder.file("tokens"), "--policy-file", folder.file("policy")]
    }

    // MARK: A server that is played

    /// A greeting, and `rest` when a stream is open.
    func script(_ rest: [UInt8], ending: ScriptedListener.Ending = .close) -> ScriptedListener.Script {
        ScriptedListener.Script(opening: Frame.serverGreeting(), rest: rest, ending: ending)
    }

    /// The END of the first stream: with an error, or without one and without totals.
    static func end(_ error: CallError?) -> [UInt8] {
        let details = error.map { StatusDetails($0) } ?? StatusDetails()
        var payload: [UInt8] = []
        EndPayload(text: error?.message ?? "", details: (try? details.encode()) ?? []).encode(into: &payload)
        let status = error.map { UInt32(clamping: $0.status.rawValue) } ?? 0
        return Frame(.end, stream: 1, aux: status, payload: payload).bytes
    }
}

extension Frame {
    /// What a server sends first: preface and SETTINGS.
    static func serverGreeting(_ settings: ServerSettings = .default) -> [UInt8] {
        var bytes: [UInt8] = []
        Preface.current.encode(into: &bytes)
        settings.entries.header.encode(into: &bytes)
        settings.entries.encode(into: &bytes)
        return bytes
    }
}
