internal import ArgumentParser
internal import DiskImages

struct SetInit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a catalogue without snapshots."
    )

    @ParentCommand var set: SetCommand
    @OptionGroup var output: FormatOptions

    @Argument(help: "The catalogue to make: its name ends in .vhdset.json, and it must not exist.")
    var catalogue: String

    @Option(help: "The disk that the set is of: the file that is written to, a VHDX file.")
    var disk: String?

    func validate() throws { try SetCommand.validate(catalogue) }

    func run() async throws {
        try await set.run(on: catalogue, output) { () throws(ImageError) in
            try VHDSetUpkeep(catalogue).create(disk: disk)
        }
    }
}
