internal import DiskImages

/// What an answer rests on: the layers of its target and of everything below it, and the catalogue that names them. Layers
/// above the target are no part of it, and may be written to meanwhile.
struct Evidence {
    let layers: [any DiskImage]
    let catalogue: ImageFile?
    /// Whether the caller knows that whoever has a file open for writing is quiet.
    let assumesRest: Bool

    private let files: [ImageFile]

    init(layers: [any DiskImage], catalogue: ImageFile?, assumesRest: Bool) {
        self.layers = layers
        self.catalogue = catalogue
        self.assumesRest = assumesRest
        files = layers.flatMap(\.files) + [catalogue].compactMap { $0 }
    }

    var epoch: Epoch { Epoch(of: layers, catalogue: catalogue) }

    /// Throws where something of it is not, or may not be, what it was when it was opened.
    ///
    /// - Throws: `diskInUse` where somebody has a file open for writing, `epochChanged`.
    func check() throws(QueryError) {
        if !assumesRest, let file = files.first(where: { $0.rest == .inUse || $0.isOpenForWriting }) {
            throw Self.inUse(file)
        }
        // Of a file whose rest is shown by its times alone, those are looked at for so long that this does not matter.
        if let file = files.first(where: { $0.isFresh && $0.rest != .unproved }) { throw Self.changed(file) }
        if let layer = layers.first(where: { !$0.isUnchanged }) { throw Self.changed(layer.file) }
        if let catalogue, (try? catalogue.isUnchanged()) != true { throw Self.changed(catalogue) }
    }

    /// How long to wait before the files may be opened anew, where only that shows that they are at rest; nil where they are.
    func wait(by looks: FileLooks) -> Duration? {
        guard !assumesRest else { return nil }
        return files.compactMap { $0.rest == .unproved ? looks.look(at: $0) : nil }.max()
    }

    private static func changed(_ file: ImageFile) -> QueryError {
        QueryError(.epochChanged, "\(file.name) changed while it was read: start again from the beginning")
    }

    private static func inUse(_ file: ImageFile) -> QueryError {
        QueryError(
            .image(.inUse),
            """
            \(file.name) is open for writing, so that what it holds may not be settled: ask with a --target below it, ask again \
            when it is closed, or give --assume-at-rest if you know that nothing is written to it
            """
        )
    }
}
