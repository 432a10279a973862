import Foundation

/// `RangeBenchmark prepare FOLDER` makes the disks; `RangeBenchmark ask ADDRESS DISK LIMIT_ID` asks once and prints what it
/// measured. `Benchmarks/run` puts the two together with a server.
@main
enum Main {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("prepare", 2): try Disks.make(in: arguments[1])
        case ("ask", 4): try await Asking.run(address: arguments[1], disk: arguments[2], limitID: arguments[3])
        default:
            FileHandle.standardError.write(
                Data("usage: RangeBenchmark prepare FOLDER | RangeBenchmark ask ADDRESS DISK LIMIT_ID\n".utf8)
            )
            exit(2)
        }
    }
}
