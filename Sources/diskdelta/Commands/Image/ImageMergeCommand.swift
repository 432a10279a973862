internal import ArgumentParser
internal import DiskImages

struct ImageMergeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Commit a checkpoint into its parent."
    )

    @ParentCommand var image: Image

    @Argument(help: "The checkpoint: what it holds is written into its parent.")
    var path: String

    @Flag(
        name: .customLong("only-child"),
        help: "Say that no other disk depends on the parent: it would not be readable any more."
    )
    var isOnlyChild = false

    func validate() throws {
        guard isOnlyChild else {
            throw ValidationError(
                "A merge changes the parent, and every other disk that stands on it is lost: say --only-child if there is none"
            )
        }
    }

    func run() async throws {
        try image.validateIsLocal()
        try await OutputFormat.standard.telling {
            try LocalCommand.telling { () throws(ImageError) in
                try ImageMerge(path: path, isOnlyChild: isOnlyChild).run()
            }
        }
    }
}
