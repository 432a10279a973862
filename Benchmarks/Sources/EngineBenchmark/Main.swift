import Foundation

/// `EngineBenchmark prepare FOLDER` makes the disks; `scan FOLDER DISK` walks over one and prints what it measured;
/// `window FOLDER` opens the chain of 64 TiB and asks for the first ranges of a window in its middle. `Benchmarks/run` calls
/// them, each in a process of its own.
@main
enum Main {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("prepare", 2): try Disks.make(in: arguments[1])
        case ("scan", 3): try Scan.run(disk: "\(arguments[1])/\(arguments[2]).avhdx")
        case ("window", 2): try WindowInTheMiddle.run(disk: "\(arguments[1])/huge.avhdx")
        default:
            FileHandle.standardError.write(
                Data("usage: EngineBenchmark prepare FOLDER | scan FOLDER sparse|dense | window FOLDER\n".utf8)
            )
            exit(2)
        }
    }
}
