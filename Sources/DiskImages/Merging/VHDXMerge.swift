/// Merges a VHDX file into its parent, in the order that `ImageMerge` promises:
///
/// 1. A new DataWriteGuid is chosen for the parent, and the child accepts it beside the one that the parent has.
/// 2. The parent gets it, in both headers.
/// 3. The sectors are copied, as `VHDXWriter` writes.
struct VHDXMerge {
    let child: MergedImage<VHDXImage>
    /// The parent of `child`, which was found by its identity.
    let parent: MergedImage<VHDXImage>

    func run() throws(ImageError) {
        let (child, parent) = (child.image, parent.image)
        try ImageMerge.checkSizes(of: child, and: parent)
        // Damage is found before anything changes, and not half way.
        for image in [child, parent] { try VHDXWriter.check(image) }
        // The parent has all of it, and keeps its identity.
        guard try !MergeCopy.isEmpty(child) else { return }
        let identifier = GUID.random()
        try VHDXParentUpdate(image: child, storage: self.child.storage)
            .accept(identifier, besides: parent.structure.current.header.dataWriteGUID)
        let writer = VHDXWriter(
            storage: self.parent.storage,
            path: parent.file.path,
            structure: parent.structure,
            identifier: identifier
        )
        var copy = MergeCopy(map: child, source: try VHDXSectorData(child), target: writer)
        try copy.run()
    }
}

extension VHDXWriter: MergeTarget {}
