internal import Foundation

/// Programs of others that read the same files.
public enum Oracles {
    /// 7-Zip.
    public static let sevenZip: String? = find("7zz")
    /// `qemu-img`, of QEMU.
    public static let qemuImage: String? = find("qemu-img")
    /// A Python that has the package dissect.hypervisor: `DISKDELTA_ORACLE_PYTHON`, else `python3` if it has.
    public static let dissectPython: String? = {
        let named = ProcessInfo.processInfo.environment["DISKDELTA_ORACLE_PYTHON"]
        for candidate in [named, find("python3")].compactMap({ $0 }) {
            let check = ["-c", "import dissect.hypervisor.disk.vhdx"]
            if let result = try? run(candidate, check), result.status == 0 { return candidate }
        }
        return nil
    }()

    public struct Result: Sendable {
        public let status: Int32
        /// What the program printed, standard output first.
        public let text: String
    }

    /// Runs a program to its end.
    ///
    /// - Parameter output: a file for its standard output; nil keeps it as text.
    public static func run(_ program: String, _ arguments: [String], output: String? = nil) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let folder = try TemporaryFolder()
        let standardOutput = output ?? folder.file("out")
        var handles: [FileHandle] = []
        for path in [standardOutput, folder.file("err")] {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
            handles.append(try FileHandle(forWritingTo: URL(fileURLWithPath: path)))
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handles[0]
        process.standardError = handles[1]
        try process.run()
        process.waitUntilExit()
        for handle in handles { try handle.close() }
        let printed = output == nil ? try String(contentsOfFile: standardOutput, encoding: .utf8) : ""
        return Result(
            status: process.terminationStatus,
            text: printed + (try String(contentsOfFile: folder.file("err"), encoding: .utf8))
        )
    }

    /// Where a program is that is found by its name; nil if there is none.
    public static func find(_ name: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
