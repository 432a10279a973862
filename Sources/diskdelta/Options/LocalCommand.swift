internal import ArgumentParser
internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskImages

/// What holds for the commands that work on local files alone.
enum LocalCommand {
    /// Throws where something about a server, or a deadline, was said for the command `name`. The variables of the
    /// environment are ignored: they were not meant for this command.
    static func validate(_ name: String, _ connection: ConnectionOptions) throws {
        if let flag = connection.flagAboutServer {
            throw ValidationError("\(name) works on local files: \(flag) has no meaning here")
        }
        guard connection.deadline == nil else {
            throw ValidationError("\(name) works on local files: --deadline has no meaning here")
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
