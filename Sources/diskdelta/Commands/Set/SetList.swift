internal import ArgumentParser

struct SetList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the disk of a catalogue and its snapshots."
    )

    @ParentCommand var set: SetCommand
    @OptionGroup var output: FormatOptions

    @Argument(help: "The catalogue to show.")
    var catalogue: String

    func validate() throws { try SetCommand.validate(catalogue) }

    func run() async throws { try await set.run(on: catalogue, output) }
}
