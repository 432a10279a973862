internal import DiskImages

/// What a set is, as it is printed.
struct SetDescription {
    let catalogue: String
    let opened: VHDSet

    private var layers: [any DiskImage] { opened.chain?.layers ?? [] }
    private var snapshots: [ChainSnapshot] { opened.chain?.snapshots ?? [] }

    var object: [UInt8] {
        JSONWriter.object { line in
            line.field("type", "set")
            line.field("schema", 1)
            line.field("path", catalogue)
            line.field("leaf", layers.first?.file.name ?? "")
            line.field("chain", objects: layers) { line, layer in
                line.field("path", layer.file.name)
                line.field("format", layer.description.format.rawValue)
                line.field("identifier", layer.description.identifier?.description ?? "")
            }
            line.field("snapshots", objects: snapshots) { line, snapshot in
                line.field("id", snapshot.id.description)
                line.field("path", snapshot.path)
                line.field("created", snapshot.created)
                line.field("usable", snapshot.place != .nowhere)
                line.field("target", layerIndex(of: snapshot) != nil)
                line.field("layer", bound(of: snapshot))
                line.field("message", snapshot.explanation)
            }
        }
    }

    var table: String {
        var lines = [
            "set   \(catalogue)", "leaf  \(layers.first?.file.name ?? "none yet: name it with set add --leaf")",
        ]
        if layers.count > 1 {
            lines += ["", "below it"] + layers.dropFirst().map { "  \($0.file.name)" }
        }
        lines += ["", snapshots.isEmpty ? "no snapshots" : "snapshots, newest first (--since ID)"]
        lines += snapshots.map { snapshot in
            let what =
                switch snapshot.place {
                case .layer: snapshot.path
                case .above: "a baseline, no target: \(snapshot.explanation)"
                case .nowhere: "not usable: \(snapshot.explanation)"
                }
            return "  \(snapshot.id)  \(snapshot.created)  \(what)"
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func layerIndex(of snapshot: ChainSnapshot) -> Int? {
        if case .layer(let index) = snapshot.place { index } else { nil }
    }

    /// The file that has the snapshot's state, or above which all lies that was written since.
    private func bound(of snapshot: ChainSnapshot) -> String {
        switch snapshot.place {
        case .layer(let index), .above(let index): index < layers.count ? layers[index].file.name : ""
        case .nowhere: ""
        }
    }
}
