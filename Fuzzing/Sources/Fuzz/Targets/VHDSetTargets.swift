internal import DiskImages
internal import TestSupport

/// The catalogue of a VHD Set: a text whose bytes are the input's, beside three images that it can name.
enum VHDSetTargets {
    static var all: [FuzzTarget] { [catalogue] }

    /// Longer than any input, and filled up with spaces.
    private static let length = 4_096

    private static let text = #"""
        [{"Path":"C:\\sets\\web.vhds","AllPaths":["C:\\sets\\web.avhdx","base.vhdx"],"SnapshotIdList":["{ABCD0000-0000-4000-8000-000000000001}"],"LeafPath":null},
        {"SnapshotId":"{ABCD0000-0000-4000-8000-000000000001}","FilePath":"web.vhds","SnapshotPath":"base.vhdx","ParentPathsList":[],
        "CreationTime":"2023-11-23T20:58:45.12+01:00","ResilientChangeTrackingId":"","Identifier":"{00000000-0000-ABCD-0000-000000001234}"},
        {"SnapshotId":"{ABCD0000-0000-4000-8000-000000000002}","SnapshotPath":"gone.avhdx","ParentPathsList":["base.vhdx"],"CreationTime":"20231123205845.000000+060"}]
        """#

    private static var catalogue: FuzzTarget {
        var content = Array(text.utf8)
        content += [UInt8](repeating: 0x20, count: length - content.count)
        var base = VHDXBuilder(virtualSize: 2 << 20, blockSize: 1 << 20)
        base.dataWriteGUID = GUID(high: 0xABCD, low: 0x1234)
        var leaf = VHDXBuilder(virtualSize: 2 << 20, blockSize: 1 << 20)
        leaf.setParent(base.dataWriteGUID, path: "base.vhdx")
        return FuzzTarget(
            name: "vhdset-catalogue",
            files: [
                MemoryFile(name: "set.vhdset.json", content: content),
                MemoryFile(name: "web.avhdx", content: Templates.content(leaf.write)),
                MemoryFile(name: "base.vhdx", content: Templates.content(base.write)),
            ],
            places: [.init(offset: 0, length: text.utf8.count + 256)],
            test: .disk
        )
    }
}
