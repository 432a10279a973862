internal import ArgumentParser
internal import DiskImages

/// The commands that make and show catalogues of VHD Sets. They are always local.
struct SetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Make and show the catalogue of a VHD Set: a disk with named snapshots.",
        subcommands: [SetInit.self, SetAdd.self, SetList.self]
    )

    @ParentCommand var program: DiskDelta

    /// Changes the catalogue as `body` says, and prints what the set is then.
    func run(
        on catalogue: String,
        _ output: FormatOptions,
        _ body: () throws(ImageError) -> Void = {}
    ) async throws {
        try LocalCommand.validate("set", program.connection)
        let opened = try await output.format.telling {
            try LocalCommand.telling { () throws(ImageError) in
                try body()
                return try VHDSet(LocalFiles().open(catalogue), in: LocalFiles())
            }
        }
        let standardOutput = StandardOutput()
        let description = SetDescription(catalogue: catalogue, opened: opened)
        switch output.format {
        case .ndjson, .json: standardOutput.write { $0 += description.object + [UInt8(ascii: "\n")] }
        case .table: standardOutput.write(description.table)
        }
        standardOutput.flush()
    }

    /// Throws where the name is not that of a catalogue.
    static func validate(_ catalogue: String) throws {
        guard catalogue.lowercased().hasSuffix(".vhdset.json") else {
            throw ValidationError("The name of a catalogue ends in .vhdset.json, and \(catalogue) does not")
        }
    }
}
