internal import ArgumentParser
internal import DiskDeltaProtocol
internal import Foundation

/// Runs the command. A failure is told on standard output by the command itself, and here on standard error and by the
/// exit code.
@main
enum Main {
    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try DiskDelta.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await Interruption.guarding { try await asynchronous.run() }
            } else {
                try command.run()
            }
            exit(ExitStatus.complete)
        } catch let failure as ToldFailure {
            StandardError.write(failure.message)
            exit(failure.exitCode)
        } catch let status as ExitCode {
            exit(status.rawValue)
        } catch {
            // Help and the version go to standard output and are no failure; what is wrong with the arguments is.
            let code = DiskDelta.exitCode(for: error)
            guard code.isSuccess else {
                StandardError.write(DiskDelta.message(for: error))
                exit(code == .validationFailure ? ExitStatus.usage : ExitStatus.failure)
            }
            DiskDelta.exit(withError: error)
        }
    }
}
