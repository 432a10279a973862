/// Merges a VHD file into its parent, in the order that `ImageMerge` promises:
///
/// 1. Where an earlier merge was interrupted, the child records the identity that the parent has since.
/// 2. The parent gets the identity that follows from its own and the child's (`VHDParentIdentity`), which the child accepts
///    beside the one it has recorded.
/// 3. The sectors are copied, as `VHDWriter` writes.
/// 4. The child records the parent's new identity, for programs that know only the one that is recorded.
struct VHDMerge {
    let child: MergedImage<VHDImage>
    /// The parent of `child`, which was found by its identity.
    let parent: MergedImage<VHDImage>

    func run() throws(ImageError) {
        let (child, parent) = (child.image, parent.image)
        try ImageMerge.checkSizes(of: child, and: parent)
        for image in [child, parent] { try VHDWriter.check(image) }
        guard try !MergeCopy.isEmpty(child) else { return }
        let old = parent.structure.footer.uniqueID
        if child.structure.dynamic?.header.parentID != old { try record(old) }
        let new = VHDParentIdentity.afterMerge(of: child.structure.footer.uniqueID, into: old)
        let (path, storage) = (parent.file.path, self.parent.storage)
        let structure = try VHDFooterUpdater.replaceIdentity(
            of: parent.structure,
            with: new,
            in: storage,
            path: path
        )
        let writer = VHDWriter(storage: storage, path: path, structure: structure)
        var copy = MergeCopy(map: child, source: VHDSectorData(child), target: writer)
        try copy.run()
        try record(new)
    }

    /// Makes the child know its parent by `identifier`.
    private func record(_ identifier: GUID) throws(ImageError) {
        let image = child.image
        try VHDHeader.replaceParent(
            of: image.structure,
            with: identifier,
            in: child.storage,
            path: image.file.path
        )
    }
}

extension VHDWriter: MergeTarget {
    /// The medium has them when this returns.
    func stage(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError) {
        try write(bytes.bytes, at: offset)
    }

    func stageZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
        try writeZeroes(at: offset, count: count)
    }

    func commit() throws(ImageError) {}
}
