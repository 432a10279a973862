internal import ArgumentParser

/// The commands that make, write, check and merge images. They are always local.
struct Image: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, write, check and merge local images.",
        subcommands: [ImageCreate.self, ImageWrite.self, ImageZero.self, ImageCheck.self, ImageMergeCommand.self]
    )

    @ParentCommand var program: DiskDelta

    /// Throws where a server was named.
    func validateIsLocal() throws { try LocalCommand.validate("image", program.connection) }
}
