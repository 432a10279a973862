import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import TestSupport
import Testing

/// The code that stands in the documentation of the Swift client: it is compiled and run, and the same to the letter.
@Suite("The documentation's code", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(2)))
struct SnippetTests {
    private let folder: TemporaryFolder
    private let disk = LargeAnswers.short.path
    private let baseline = LargeAnswers.short.limitID

    init() throws {
        folder = try TemporaryFolder()
        _ = try LargeAnswers.writeShort(in: folder)
    }

    private func withClient(_ body: (DiskDeltaClient) async throws -> Void) async throws {
        try await RunningServer.with(folder) { server in
            try await withDiskDeltaClient(to: server.tcp) { try await body($0) }
        }
    }

    @Test func oneQuestion() async throws {
        try await RunningServer.with(folder) { server in
            let address = server.tcp
            try await withDiskDeltaClient(to: address) { client in
                let changes = try await client.changes(of: disk, since: baseline)
                for try await range in changes.ranges {
                    print(range.offset, range.length, range.kind)
                }
            }
        }
    }

    @Test func manyRanges() async throws {
        try await withClient { client in
            let answer = try await client.changes(of: disk, since: baseline)
            var bytes: UInt64 = 0
            for try await batch in answer {
                batch.forEach { bytes += $0.length }
            }
            print(bytes, await answer.totals?.bytes ?? 0)
            let total = await answer.totals?.bytes
            #expect(bytes == total)
        }
    }

    @Test func moreThanOneLoop() async throws {
        try await withClient { client in
            let whole = try await client.changes(of: disk, since: baseline)
            var expected: UInt64 = 0
            for try await batch in whole { batch.forEach { expected += $0.length } }

            let answer = try await client.changes(of: disk, since: baseline)
            var bytes: UInt64 = 0
            for try await range in answer.ranges {
                bytes += range.length
                if bytes > 1_048_576 { break }
            }
            print("the first", bytes, "bytes of the changes lie below", await answer.position)
            for try await batch in answer {
                batch.forEach { bytes += $0.length }
            }
            #expect(bytes == expected && expected > 1_048_576)
        }
    }

    @Test func manyDisks() async throws {
        let disks = ["a", "missing", "b"]
        let ranges = [ChangedRange(offset: 512, length: 1_024, kind: .data)]
        let images = ScriptedImages(["a", "b"].map { ScriptedRanges(disk: $0, ranges) })
        try await ScriptedServer.with(images.router()) { address in
            try await withDiskDeltaClient(to: address) { client in
                let questions = disks.map { GetVirtualDiskChangesRequest(path: $0, limitID: baseline) }
                var failures: [Int: CallError] = [:]
                for try await message in try await client.changes(ofMany: questions) {
                    switch message.content {
                    case .header(let header): print(message.disk, header.size, header.epoch)
                    case .batch(let batch): batch.forEach { print(message.disk, $0.offset, $0.length, $0.kind) }
                    case .end(.success(let totals)): print(message.disk, totals.bytes)
                    case .end(.failure(let error)): failures[message.disk] = error
                    }
                }
                #expect(failures.mapValues(\.reason) == [1: .fileNotFound])
            }
        }
    }

    @Test func aJob() async throws {
        let answer = ScriptedRanges(disk: disk, [ChangedRange(offset: 512, length: 1_024, kind: .data)])
        let known = Job(id: "{new}", jobState: .completed, percentComplete: 100)
        try await ScriptedServer.with(ScriptedJobs([known], results: answer).router) { address in
            try await withDiskDeltaClient(to: address) { client in
                let job = try await client.jobs.startGetVirtualDiskChanges(
                    GetVirtualDiskChangesRequest(path: disk, limitID: baseline)
                )
                let ended = try await client.endOfJob(job.id)
                if let failure = ended.failure { throw failure }
                let results = try await client.jobResults(of: job.id)
                for try await range in results.ranges {
                    print(range.offset, range.length, range.kind)
                }
                #expect(ended == known)
                let totals = await results.totals
                #expect(totals == answer.totals)
            }
        }
    }

    @Test func time() async throws {
        try await withClient { client in
            let options = CallOptions(timeout: .seconds(60), waitForReady: true)
            let described = try await client.images.listBaselines(VirtualHardDiskRequest(path: disk), options: options)
            print(described.baselines.map(\.id))
            #expect(!described.baselines.isEmpty)
        }
    }

    @Test func resuming() {
        var options = ClientOptions()
        options.ranges.resuming.patience = .seconds(120)
        options.ranges.silenceLimit = .seconds(30)
        options.ranges.observer = { event in print(event.kind, event.position, event.attempts) }
        #expect(options.ranges.resuming.patience == .seconds(120))
    }

    @Test func byHand() {
        func rest(after error: CallError, of header: AnswerHeader) -> GetVirtualDiskChangesRequest? {
            guard error.reason == .answerIncomplete, let offset = error.resumeOffset else { return nil }
            var request = GetVirtualDiskChangesRequest(path: header.disk, limitID: header.since, byteOffset: offset)
            request.byteLength = header.windowOffset + header.windowLength - offset
            request.ifEpoch = header.epoch
            return request
        }
        let header = AnswerHeader(disk: "d", since: "s", epoch: "e", windowOffset: 512, windowLength: 4_096)
        let request = rest(after: CallError(.answerIncomplete, "broke", resumeOffset: 1_024), of: header)
        #expect(request?.byteOffset == 1_024 && request?.byteLength == 3_584 && request?.ifEpoch == "e")
        #expect(rest(after: CallError(.deadline, "late", resumeOffset: 1_024), of: header) == nil)
    }

    @Test func certificates() {
        func options(ca: String, certificate: String, key: String) -> ClientOptions {
            var options = ClientOptions()
            options.tls = TLSOptions(
                authorities: .file(ca),
                identity: .init(certificateFile: certificate, keyFile: key)
            )
            return options
        }
        let made = options(ca: "a", certificate: "b", key: "c")
        #expect(made.tls?.identity?.keyFile == "c")
    }

    @Test func tokens() throws {
        func options(tokenFile: String) throws -> ClientOptions {
            var options = ClientOptions()
            options.interceptors = [try TokenAuthentication(file: tokenFile)]
            return options
        }
        let file = folder.file("token")
        try Data("abc\n".utf8).write(to: URL(fileURLWithPath: file))
        let made = try options(tokenFile: file)
        #expect(made.interceptors.count == 1)
    }

    @Test func twoArrays() async throws {
        try await withClient { client in
            var request = GetVirtualDiskChangesRequest(path: disk, limitID: baseline)
            var size: UInt64 = 0
            repeat {
                let answer = try await client.getVirtualDiskChanges(request, maximumRanges: 4_096)
                for (offset, length) in zip(answer.changedByteOffsets, answer.changedByteLengths) {
                    print(offset, length)
                }
                request.byteOffset += answer.processedByteLength
                request.ifEpoch = answer.header.epoch
                size = answer.header.size
            } while request.byteOffset < size
            #expect(request.byteOffset == size && size > 0)
        }
    }

    @Test func theArticlesSayTheSame() throws {
        let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardizedFileURL
        func lines(_ text: String) -> String {
            text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
                .joined(separator: "\n")
        }
        let here = lines(try String(contentsOfFile: #filePath, encoding: .utf8))
        let articles = root.appendingPathComponent("Clients/Swift/Sources/Documentation.docc")
        var blocks = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: articles.path) {
            let text = try String(contentsOf: articles.appendingPathComponent(name), encoding: .utf8)
            for part in text.components(separatedBy: "```swift\n").dropFirst() {
                let code = lines(part.components(separatedBy: "```")[0])
                #expect(here.contains(code), "\(name): \(code)")
                blocks += 1
            }
        }
        #expect(blocks == 11)
    }
}
