internal import Foundation

/// The `openssl` command as the other side of a TLS connection: somebody else's program, with somebody else's settings.
public enum OpenSSLPeer {
    private static let openssl = BuiltProgram("openssl", candidates: [Oracles.find("openssl")].compactMap(\.self))

    /// A server under way, which ends with the last reference to it.
    public struct Server: Sendable {
        /// On 127.0.0.1.
        public let port: Int
        public let program: RunningProgram
        private let folder: TemporaryFolder

        init(port: Int, program: RunningProgram, folder: TemporaryFolder) {
            self.port = port
            self.program = program
            self.folder = folder
        }
    }

    /// Starts a server on a free port of this machine.
    ///
    /// - Parameter options: of `openssl s_server`.
    public static func server(_ identity: IssuedCertificate, _ options: [String]) throws -> Server {
        let folder = try TemporaryFolder()
        let program = try openssl.start(
            ["s_server", "-accept", "127.0.0.1:0", "-cert", identity.certificate, "-key", identity.key] + options,
            in: folder
        )
        let deadline = Date(timeIntervalSinceNow: 20)
        while Date() < deadline, program.isRunning {
            // The line that says where it listens: ACCEPT 127.0.0.1:40123
            if let line = try program.outcome().lines.first(where: { $0.hasPrefix("ACCEPT 127.0.0.1:") }),
                let port = Int(line.drop { $0 != ":" }.dropFirst())
            {
                return Server(port: port, program: program, folder: folder)
            }
            Thread.sleep(forTimeInterval: 0.01)
        }
        throw BuiltProgram.Failure(description: "openssl s_server does not listen: \(try program.outcome())")
    }

    /// Connects to a port of this machine, sends `input`, and returns what was printed when the server has closed.
    ///
    /// - Parameter options: of `openssl s_client`.
    public static func client(
        to port: Int,
        _ options: [String],
        _ input: [UInt8],
        seconds: Double = 20
    ) throws -> BuiltProgram.Outcome {
        let folder = try TemporaryFolder()
        try Data(input).write(to: URL(fileURLWithPath: folder.file("input")))
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.file("input")))
        let program = try openssl.start(
            ["s_client", "-connect", "127.0.0.1:\(port)", "-nocommands"] + options,
            input: handle,
            in: folder
        )
        if !program.wait(seconds: seconds) { program.kill() }
        return try program.outcome()
    }
}
