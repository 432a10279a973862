/// Merges a VHDX file into its parent, in the order that `ImageMerge` promises:
///
/// 1. A new DataWriteGuid is chosen for the parent, and the child accepts it beside the one that the parent has.
/// 2. The parent gets it, in both headers.
/// 3. The sectors are copied, as `VHDXWriter` writes.
struct VHDXMerge {
    private let child: VHDXImage
    private let childStorage: any ImageStorage
    private let parent: VHDXImage
    private let parentStorage: any ImageStorage

    /// - Parameters:
    ///   - childStorage: the same file as `child`, open for writing; so `parentStorage` for `parent`.
    ///   - parent: the parent of `child`, which was found by its identity.
    init(
        child: VHDXImage,
        childStorage: any ImageStorage,
        parent: VHDXImage,
        parentStorage: any ImageStorage
    ) {
        self.child = child
        self.childStorage = childStorage
        self.parent = parent
        self.parentStorage = parentStorage
    }

    func run() throws(ImageError) {
        try ImageMerge.checkSizes(of: child, and: parent)
        for image in [child, parent] {
            try image.checkLogIsEmpty()
            // Damage is found before anything changes, and not half way.
            if let problem = try VHDXBlockCheck(image).problems(limit: 1).first { throw problem }
        }
        // The parent has all of it, and keeps its identity.
        guard try !MergeCopy.isEmpty(child) else { return }
        let identifier = GUID.random()
        try VHDXParentUpdate(image: child, storage: childStorage)
            .accept(identifier, besides: parent.structure.current.header.dataWriteGUID)
        let writer = VHDXWriter(
            storage: parentStorage,
            path: parent.file.path,
            structure: parent.structure,
            identifier: identifier
        )
        var copy = MergeCopy(map: child, source: try VHDXSectorData(child), target: writer)
        try copy.run()
    }
}
