internal import ArgumentParser
internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskImages

/// The commands that make, write and check images. They are always local.
struct Image: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, write and check local images.",
        subcommands: [ImageCreate.self, ImageWrite.self, ImageZero.self, ImageCheck.self]
    )

    @ParentCommand var program: DiskDelta

    /// Throws where a server was named. The environment variable is ignored: it was not meant for this command.
    func validateIsLocal() throws {
        guard program.connection.server == nil else {
            throw ValidationError("image works on local files: --server has no meaning here")
        }
        guard program.connection.deadline == nil else {
            throw ValidationError("image works on local files: --deadline has no meaning here")
        }
    }

    /// Runs `body` and tells an error of an image as every other failure is told.
    static func telling<Result>(_ body: () throws(ImageError) -> Result) throws -> Result {
        do throws(ImageError) {
            return try body()
        } catch {
            throw CallError(error)
        }
    }
}
