internal import ArgumentParser
internal import DiskDeltaService

/// `diskdelta`: asks which ranges of a virtual disk changed, and makes and checks local images.
struct DiskDelta: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diskdelta",
        abstract: "Ask which byte ranges of a virtual disk changed since a baseline.",
        discussion: """
            With a server (--server, or DISKDELTA_SERVER) disks are named ROOT/relative/path; without one, DISK is a local \
            file. Exit codes: 0 complete, 2 usage, 3 not found, 4 not allowed, 5 take a full backup, 6 incomplete but \
            resumable, 7 try later, 8 deadline, 9 not to be trusted, 130 interrupted, 1 any other failure.
            """,
        version: ServerDescription.version,
        subcommands: [
            Info.self, Changes.self, Allocated.self, Summary.self, Check.self, JobCommand.self, Image.self,
            SetCommand.self,
        ]
    )

    @OptionGroup var connection: ConnectionOptions
}
