import Foundation
import TestSupport
import Testing

/// Real servers and the command line, about disks that other programs write to.
@Suite(
    "Disks that other programs write to",
    .enabled(if: Programs.diskdelta.isBuilt && Programs.diskdeltad.isBuilt, "the programs are not built"),
    .timeLimit(.minutes(3))
)
struct WritersTests {
    private static let isRoot = geteuid() == 0
    private static let setpriv = BuiltProgram("setpriv", candidates: ["/usr/bin/setpriv"])
    private static let shell = BuiltProgram("sh", candidates: ["/bin/sh"])

    private let root: TemporaryFolder
    private var disk: String { root.file("disk.qcow2") }

    init() throws {
        root = try TemporaryFolder()
        var builder = Qcow2Builder(size: 8 << 20)
        builder.setData(2)
        try builder.write(to: root.file("disk.qcow2"))
    }

    private func ask(_ arguments: [String]) throws -> BuiltProgram.Outcome {
        try Programs.diskdelta.run(arguments, in: root)
    }

    private func expectAnswer(_ outcome: BuiltProgram.Outcome, assumed: Bool = false) {
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(outcome.lines.dropFirst().first == #"{"type":"range","offset":131072,"length":65536,"kind":"data"}"#)
        #expect(outcome.lines.first?.contains(#""assumed_at_rest":true"#) == assumed)
    }

    private func expectRefusal(_ outcome: BuiltProgram.Outcome) {
        #expect(outcome.status == 7)
        #expect(outcome.lastText("reason") == "DISK_IN_USE")
        #expect(outcome.error.contains("disk.qcow2") && outcome.error.contains("--assume-at-rest"))
    }

    @Test("A disk that a program has open for writing is DISK_IN_USE, embedded and asked of a server")
    func openForWriting() async throws {
        try await RunningServer.with(root) { server in
            let ways = [["allocated", disk], ["--server", server.tcp, "allocated", "d/disk.qcow2"]]
            for way in ways { expectAnswer(try ask(way)) }
            let writer = open(disk, O_RDWR)
            for way in ways {
                expectRefusal(try ask(way))
                expectAnswer(try ask(way + ["--assume-at-rest"]), assumed: true)
            }
            #expect(try ask(["image", "check", disk]).lastText("reason") == "DISK_IN_USE")
            // What the disk is can be asked: that is how one learns below which file to ask.
            #expect(try ask(["info", disk]).status == 0)
            close(writer)
            for way in ways { expectAnswer(try ask(way)) }
        }
    }

    /// A server of a user that does not own the disk, with or without the right to leases.
    private func start(withLeases: Bool) throws -> (program: RunningProgram, address: String) {
        // Whoever made the build may have put it where others cannot read.
        let copy = root.file("diskdeltad")
        try FileManager.default.copyItem(atPath: try #require(Programs.diskdeltad.path), toPath: copy)
        for path in [root.path, copy] { #expect(chmod(path, 0o755) == 0) }
        #expect(chmod(disk, 0o644) == 0)
        let capability = withLeases ? "+lease" : "-lease"
        let program = try Self.setpriv.start(
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=\(capability)",
                "--ambient-caps=\(capability)", copy, "--root", "d=\(root.path)", "--listen", "127.0.0.1:0",
                "--log-level", "error",
            ],
            in: root
        )
        return (program, try address(of: program))
    }

    private func address(of program: RunningProgram) throws -> String {
        let prefix = "listening on "
        for _ in 0..<2_000 where program.isRunning {
            let lines = try program.outcome().lines
            if let line = lines.first, line.hasPrefix(prefix), try program.outcome().output.contains("\n") {
                return String(line.dropFirst(prefix.count))
            }
            Thread.sleep(forTimeInterval: 0.01)
        }
        throw BuiltProgram.Failure(description: "the server did not start: \(try program.outcome())")
    }

    @Test(
        "A server that does not own the disk sees writers with CAP_LEASE, and looks twice without it",
        .enabled(if: isRoot && setpriv.isBuilt, "only root can run a server as somebody else"),
        arguments: [true, false]
    )
    func otherOwners(withLeases: Bool) throws {
        let server = try start(withLeases: withLeases)
        defer { server.program.terminate() }
        let question = ["--server", server.address, "allocated", "d/disk.qcow2"]
        let first = try ContinuousClock().measure { expectAnswer(try ask(question)) }
        if !withLeases { #expect(first >= .seconds(2)) }
        let writer = open(disk, O_RDWR)
        defer { close(writer) }
        if withLeases {
            expectRefusal(try ask(question))
        } else {
            // Nothing tells, and nothing was written.
            expectAnswer(try ask(question))
        }
    }

    @Test(
        "Where times are kept in whole seconds two changes within one second are told apart",
        .enabled(if: isRoot, "only root can mount a file system")
    )
    func wholeSeconds() throws {
        // Inodes of 128 bytes have room for whole seconds only. The mount is the server's own and goes with it.
        let script = """
            set -e
            truncate -s 32M image && mkdir mnt && mkfs.ext4 -q -I 128 image 2>/dev/null
            mount -o loop image mnt
            exec "$0" --root d=mnt --listen 127.0.0.1:0 --log-level error
            """
        let server = try BuiltProgram("unshare", candidates: ["/usr/bin/unshare"]).start(
            ["-m", "sh", "-c", script, try #require(Programs.diskdeltad.path)],
            in: root
        )
        guard let address = try? address(of: server) else {
            print("no file system could be mounted: whole seconds were not tried")
            return
        }
        defer { server.terminate() }
        let mounted = "/proc/\(server.processID)/root\(root.path)/mnt/disk.qcow2"
        let question = ["--server", address, "allocated", "d/disk.qcow2"]
        var builder = Qcow2Builder(size: 8 << 20)
        func change(_ cluster: Int) throws {
            builder.setData(cluster)
            try builder.write(to: root.file("new.qcow2"))
            let bytes = try Data(contentsOf: URL(fileURLWithPath: root.file("new.qcow2")))
            let file = open(mounted, O_RDWR | O_CREAT, 0o644)
            #expect(bytes.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, 0) } == bytes.count)
            close(file)
        }
        for round in 0..<2 {
            // All of this is to happen within one second.
            while Date().timeIntervalSince1970.truncatingRemainder(dividingBy: 1) > 0.3 { usleep(10_000) }
            try change(8 * round + 1)
            let between = try Programs.diskdelta.start(question, in: root)
            usleep(300_000)
            // The file keeps its length, and gets the time that it has.
            try change(8 * round + 3)
            #expect(between.wait(seconds: 30))
            let truth = try ask(["allocated", root.file("new.qcow2")])
            let answer = try ask(question)
            #expect(answer.status == 0, "\(answer.error)")
            #expect(answer.lines.dropFirst() == truth.lines.dropFirst(), "round \(round)")
            #expect(try between.outcome().lines.dropFirst() == truth.lines.dropFirst(), "round \(round)")
        }
    }
}
