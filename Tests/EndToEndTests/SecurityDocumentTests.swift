import Foundation
import TestSupport
import Testing

/// What `Docs/Security.md` tells people to type does what it says.
@Suite(
    "The lines of Docs/Security.md",
    .enabled(if: Programs.diskdelta.isBuilt && Programs.diskdeltad.isBuilt, Programs.absence),
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(2))
)
struct SecurityDocumentTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// The lines of the first block of shell under a heading of a document.
    private func block(_ document: String, under heading: String) throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent(document), encoding: .utf8)
        let lines = text.components(separatedBy: "\n")
        let start = try #require(lines.firstIndex { $0.hasPrefix("#") && $0.hasSuffix(" " + heading) })
        let block = lines[start...].drop { $0 != "```sh" }.dropFirst().prefix { $0 != "```" }
        return Array(block)
    }

    /// The shell, with the programs of this package in its path.
    private func shell(_ line: String) throws -> RunningProgram {
        let folders = [Programs.diskdelta.path, Programs.diskdeltad.path].compactMap { path in
            path.map { ($0 as NSString).deletingLastPathComponent }
        }
        let path = folders + [ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
        return try BuiltProgram("sh", candidates: ["/bin/sh"])
            .start(["-c", line], environment: ["PATH": path.joined(separator: ":")], in: folder)
    }

    private func run(_ line: String) throws -> BuiltProgram.Outcome {
        let program = try shell(line)
        guard program.wait(seconds: 60) else {
            program.kill()
            throw BuiltProgram.Failure(description: "\(line) did not end: \(try program.outcome())")
        }
        return try program.outcome()
    }

    /// Starts a server by its line, without the `&`, and returns when it listens.
    private func start(_ line: String) throws -> RunningProgram {
        #expect(line.hasSuffix(" &"))
        let program = try shell("exec " + line.dropLast(2))
        for _ in 0..<3_000 {
            if try program.outcome().output.contains("listening on ") { return program }
            guard program.isRunning else { break }
            Thread.sleep(forTimeInterval: 0.01)
        }
        throw BuiltProgram.Failure(description: "\(line): \(try program.outcome())")
    }

    /// Whether the command line can prove who asks.
    private static let clientCanProve: Bool = {
        guard let folder = try? TemporaryFolder() else { return false }
        return (try? Programs.diskdelta.run(["--help"], in: folder))?.output.contains("--token-file") ?? false
    }()

    /// A port that nobody listens on.
    private func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard bind(descriptor, address, length) == 0 else { return Int32(-1) }
                return getsockname(descriptor, address, &length)
            }
        }
        try #require(status == 0)
        return UInt16(bigEndian: address.sin_port)
    }

    @Test(
        "TLS and client certificates, in less than ten lines",
        arguments: [
            ("Docs/Security.md", "TLS and client certificates in seven lines"),
            ("README.md", "Where others can connect"),
        ]
    )
    func mutualTLS(document: String, heading: String) throws {
        let port = try freePort()
        let lines = try block(document, under: heading).map { $0.replacing(":7420", with: ":\(port)") }
        #expect((3..<10).contains(lines.count))
        for line in lines.dropLast(2) {
            let outcome = try run(line)
            #expect(outcome.status == 0, "\(line): \(outcome.error)")
        }
        for key in ["ca.key", "server.key", "client.key"] {
            let mode = try FileManager.default.attributesOfItem(atPath: folder.file(key))[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
        let server = try start(lines[lines.count - 2])
        defer { server.kill() }

        // By somebody else's TLS: a client with the certificate, and one without.
        let ask = "openssl s_client -connect localhost:\(port) -alpn diskdelta/1 -CAfile ca.pem -verify_return_error"
        let mutual = try run("\(ask) -cert client.pem -key client.key </dev/null")
        #expect(mutual.output.contains("ALPN protocol: diskdelta/1"), "\(mutual)")
        #expect(mutual.output.contains("TLSv1.3"))
        #expect(mutual.output.contains("Verify return code: 0 (ok)"))
        let without = try run("sleep 1 | \(ask)")
        #expect((without.output + without.error).contains("certificate required"), "\(without)")
        let old = try run("\(ask) -tls1_2 </dev/null")
        #expect((old.output + old.error).contains("alert protocol version"), "\(old)")

        if Self.clientCanProve { try askOnce(lines[lines.count - 1], server) }
    }

    /// Asks by the last line, and looks into the log.
    private func askOnce(_ client: String, _ server: RunningProgram) throws {
        let check = try run(client)
        #expect(check.status == 0, "\(check)")
        #expect(check.output.contains(#""identity":"spiffe://example.com/backup""#), "\(check.output)")
        let anonymous = try run(client.replacing(" --certificate client.pem --key client.key", with: ""))
        #expect(anonymous.status == 4, "\(anonymous)")
        server.terminate()
        #expect(server.wait(seconds: 20))
        let log = try server.outcome().error
        #expect(log.contains("identity=\"spiffe://example.com/backup\""), "\(log)")
    }

    @Test(
        "A token, its hash, and SIGHUP",
        .enabled(if: Self.clientCanProve, "this diskdelta has no --token-file")
    )
    func token() throws {
        for line in try block("Docs/Security.md", under: "Tokens") { #expect(try run(line).status == 0, "\(line)") }
        let address = "unix:\(folder.file("socket"))"
        let server = try start("diskdeltad --root vms=. --listen \(address) --token-file tokens &")
        defer { server.kill() }
        let check = "diskdelta --server \(address) --token-file token check"
        let good = try run(check)
        #expect(good.status == 0, "\(good)")
        #expect(good.output.contains(#""identity":"backup-east""#))
        let none = try run("diskdelta --server \(address) check")
        #expect(none.status == 4)
        #expect(none.output.contains("UNAUTHENTICATED"))

        try FileManager.default.moveItem(atPath: folder.file("tokens"), toPath: folder.file("old"))
        try "".write(toFile: folder.file("tokens"), atomically: true, encoding: .utf8)
        server.send(SIGHUP)
        for _ in 0..<500 {
            guard try run(check).status == 0 else { break }
            Thread.sleep(forTimeInterval: 0.01)
        }
        #expect(try run(check).status == 4)
        #expect(server.isRunning)
        let log = try server.outcome().error
        let token = try String(contentsOfFile: folder.file("token"), encoding: .utf8).prefix(64)
        #expect(token.count == 64)
        #expect(!log.contains(token))
    }
}
