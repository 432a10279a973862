internal import DiskImages

/// What an answer rests on: the layers of its target and of everything below it, and the catalogue that names them. Layers
/// above the target are no part of it, and may be written to meanwhile.
struct Evidence {
    let layers: [any DiskImage]
    let catalogue: ImageFile?

    var epoch: Epoch { Epoch(of: layers, catalogue: catalogue) }

    /// Throws where something of it is not, or may not be, what it was when it was opened.
    ///
    /// - Throws: `epochChanged`.
    func check() throws(QueryError) {
        for layer in layers {
            guard !layer.isFresh, layer.isUnchanged else { throw Self.changed(layer.file) }
        }
        guard let catalogue else { return }
        guard !catalogue.isFresh, (try? catalogue.isUnchanged()) == true else { throw Self.changed(catalogue) }
    }

    private static func changed(_ file: ImageFile) -> QueryError {
        QueryError(.epochChanged, "\(file.name) changed while it was read: start again from the beginning")
    }
}
