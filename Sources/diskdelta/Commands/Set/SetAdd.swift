internal import ArgumentParser
internal import DiskImages

struct SetAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a snapshot to a catalogue, or tell it which file is written to now.",
        discussion: """
            Take a checkpoint by making a new leaf on top of the old one (image create NEW --parent OLD). Then \
            "set add CATALOGUE --snapshot-id ID --leaf NEW" records that OLD holds the state of the snapshot.
            """
    )

    @ParentCommand var set: SetCommand
    @OptionGroup var output: FormatOptions

    @Argument(help: "The catalogue to change.")
    var catalogue: String

    @Option(name: .customLong("snapshot-id"), help: "The snapshot's id, a GUID. Without it only the leaf is moved.")
    var snapshotID: GUIDArgument?

    @Option(help: "The file that holds the snapshot's state; by default the parent of the file that is written to.")
    var layer: String?

    @Option(help: "The file that is written to from now on; by default the one that the catalogue has.")
    var leaf: String?

    @Option(help: "When the snapshot was taken, such as 2023-11-23T20:58:45Z; by default now.")
    var created: TimeArgument?

    func validate() throws {
        try SetCommand.validate(catalogue)
        if snapshotID == nil {
            guard leaf != nil else { throw ValidationError("Say --snapshot-id ID, --leaf FILE or both") }
            guard layer == nil, created == nil else {
                throw ValidationError("--layer and --created are about a snapshot: say its --snapshot-id")
            }
        }
    }

    func run() async throws {
        try await set.run(on: catalogue, output) { () throws(ImageError) in
            let upkeep = VHDSetUpkeep(catalogue)
            if let snapshotID {
                try upkeep.add(snapshotID.value, layer: layer, leaf: leaf, created: created?.value ?? .now)
            } else if let leaf {
                try upkeep.moveLeaf(to: leaf)
            }
        }
    }
}

/// A GUID on the command line: braces are optional and the case does not matter.
struct GUIDArgument: ExpressibleByArgument {
    let value: GUID

    init?(argument: String) {
        guard let value = GUID(argument), value != .zero else { return nil }
        self.value = value
    }
}

/// A moment on the command line, with its zone.
struct TimeArgument: ExpressibleByArgument {
    let value: CatalogueTime

    init?(argument: String) {
        guard let value = CatalogueTime(argument), !value.text.isEmpty else { return nil }
        self.value = value
    }
}
