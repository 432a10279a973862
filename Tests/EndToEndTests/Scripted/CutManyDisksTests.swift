import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import TestSupport
import Testing

/// Answers about many disks over connections that break: of every disk the whole answer, or a failure.
@Suite(
    "Answers about many disks that are cut",
    .enabled(if: Programs.diskdelta.isBuilt, "\(Programs.diskdelta.absence)"),
    .timeLimit(.minutes(5))
)
struct CutManyDisksTests {
    private static let names = ["a", "missing", "b"]
    private static let ranges = (1...3).map { ChangedRange(offset: $0 * 65_536, length: 512 * $0, kind: .data) }

    private let folder: TemporaryFolder
    private let images = ScriptedImages(["a", "b"].map { ScriptedRanges(disk: $0, ranges) })

    init() throws { folder = try TemporaryFolder() }

    /// What became of each disk; nil where nothing came at all, because the server was away.
    private func read(_ address: String) async throws -> [(
        ranges: [ChangedRange], end: Result<AnswerTotals, CallError>?
    )]? {
        var options = ClientOptions()
        let waiting = BackoffPolicy(initial: .milliseconds(1), multiplier: 1.6, maximum: .milliseconds(50), jitter: 0.2)
        options.reconnecting = waiting
        options.ranges.resuming.waiting = waiting
        var disks: [(ranges: [ChangedRange], end: Result<AnswerTotals, CallError>?)] = Self.names.map { _ in ([], nil) }
        do {
            try await withDiskDeltaClient(to: address, options: options) { client in
                let questions = Self.names.map { GetVirtualDiskChangesRequest(path: $0, limitID: "b") }
                for try await message in try await client.changes(ofMany: questions) {
                    switch message.content {
                    case .header: break
                    case .batch(let batch): disks[message.disk].ranges += batch.ranges
                    case .end(let end): disks[message.disk].end = end
                    }
                }
            }
            return disks
        } catch let error as CallError {
            #expect(error.reason == .serverUnavailable, "\(error)")
            #expect(disks.allSatisfy { $0.end == nil && $0.ranges.isEmpty })
            return nil
        }
    }

    @Test("Cut once, at every byte")
    func cutAtEveryByte() async throws {
        try await ScriptedServer.with(images.router()) { address in
            var resumed = 0
            for cut in 0..<100_000 {
                let proxy = try CuttingProxy(to: address, cuts: [cut])
                guard let disks = try await read(proxy.address) else { continue }
                for (name, disk) in zip(Self.names, disks) {
                    guard name != "missing" else {
                        guard case .failure(let error)? = disk.end, error.reason == .fileNotFound else {
                            Issue.record("cut at \(cut): \(String(describing: disk.end))")
                            continue
                        }
                        continue
                    }
                    #expect(disk.ranges == Self.ranges, "cut at \(cut): \(name)")
                    #expect((try? disk.end?.get())?.ranges == 3, "cut at \(cut): \(name)")
                }
                // The answer was whole before the cut.
                if proxy.connections == 1 { break }
                resumed += 1
            }
            #expect(resumed > 200)
        }
    }

    @Test("Cut at some bytes, the command line tells the same", arguments: ["0s", "5s"])
    func commandLine(patience: String) async throws {
        let list = folder.file("list")
        let lines = Self.names.map { #"{"disk":"\#($0)","since":"b"}"# }
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: list))
        try await ScriptedServer.with(images.router()) { address in
            var isWhole = false
            for cut in stride(from: 0, to: 100_000, by: 97) where !isWhole {
                let proxy = try CuttingProxy(to: address, cuts: [cut])
                let outcome = try await Programs.diskdelta.runAside(
                    ["--server", proxy.address, "--patience", patience, "changes", "--batch", list],
                    in: folder
                )
                var complete = 0
                for name in Self.names {
                    let own = outcome.lines.filter { $0.contains(#""disk":"\#(name)""#) }
                    let disk = ScriptedRanges(disk: name, Self.ranges)
                    let whole = [disk.headerLine()] + disk.lines(disk: name)
                    if own.last?.hasPrefix(#"{"type":"end""#) == true {
                        #expect(own == whole, "cut at \(cut): \(name)")
                        complete += 1
                    } else {
                        #expect(own.last?.hasPrefix(#"{"type":"error""#) == true, "cut at \(cut): \(name)")
                        #expect(own.dropLast() == whole.prefix(own.count - 1), "cut at \(cut): \(name)")
                    }
                }
                #expect(outcome.error.filter { $0 == "\n" }.count == 1)
                // The one that is not there fails with 3; where others fail too, it is by the connection.
                let expected: Set<Int32> = complete == 2 ? [3] : [1, 7]
                #expect(expected.contains(outcome.status), "cut at \(cut): \(outcome.error)")
                if patience != "0s" { #expect(complete == 2 || complete == 0, "cut at \(cut): \(outcome.output)") }
                isWhole = complete == 2 && proxy.connections == 1
            }
            #expect(isWhole)
        }
    }
}
