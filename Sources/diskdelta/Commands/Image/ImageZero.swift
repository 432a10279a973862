internal import ArgumentParser
internal import DiskImages

struct ImageZero: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zero",
        abstract: "Make a part of an image read as zeroes, as zero blocks where whole blocks are covered."
    )

    @ParentCommand var image: Image

    @Argument(help: "The image to write to.")
    var path: String

    @Option(help: "Where to start on the virtual disk: a multiple of the logical sector.")
    var offset: ByteCount

    @Option(help: "How much: a multiple of the logical sector.")
    var length: ByteCount

    func run() async throws {
        try image.validateIsLocal()
        try await OutputFormat.standard.telling {
            try LocalCommand.telling { () throws(ImageError) in
                try ImageWriting.open(path).writeZeroes(at: offset.bytes, count: length.bytes)
            }
        }
    }
}
