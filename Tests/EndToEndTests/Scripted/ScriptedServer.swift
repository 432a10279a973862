import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaTransport
import Foundation
import TestSupport

/// A server in this process whose services a test scripts.
enum ScriptedServer {
    /// Lends `body` the address of a server that answers by `router`, and stops it.
    static func with<Result>(_ router: ServiceRouter, _ body: (String) async throws -> Result) async throws -> Result {
        let server = try await RPCServer.bind(to: [Endpoint("127.0.0.1:0")], router: router)
        do {
            let result = try await body("\(server.endpoints[0])")
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }
}

extension BuiltProgram {
    /// Runs the program to its end, while this process goes on serving it.
    func runAside(_ arguments: [String], input: String? = nil, in folder: TemporaryFolder) async throws -> Outcome {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Swift.Result { try runWithInput(arguments, input, in: folder) })
            }
        }
    }

    private func runWithInput(_ arguments: [String], _ input: String?, in folder: TemporaryFolder) throws -> Outcome {
        guard let input else { return try run(arguments, in: folder) }
        let file = URL(fileURLWithPath: folder.file("input-\(UUID().uuidString)"))
        try Data(input.utf8).write(to: file)
        let running = try start(arguments, input: try FileHandle(forReadingFrom: file), in: folder)
        guard running.wait(seconds: 60) else {
            running.kill()
            throw Failure(description: "\(name) \(arguments) did not end: \(try running.outcome())")
        }
        return try running.outcome()
    }
}

/// Messages that are known beforehand, as the answer of a service.
final class ScriptedAnswer<Response: Message>: ResponseStream {
    private var messages: ArraySlice<Response>
    private let end: CallError?
    let totals: AnswerTotals?
    let resumeOffset: UInt64?

    /// - Parameter end: how it ends; nil for success.
    init(_ messages: [Response], end: CallError? = nil, totals: AnswerTotals? = nil, resumeOffset: UInt64? = nil) {
        self.messages = messages[...]
        self.end = end
        self.totals = totals
        self.resumeOffset = resumeOffset
    }

    func next() async throws(CallError) -> Response? {
        if let message = messages.popFirst() { return message }
        if let end { throw end }
        return nil
    }
}

/// A range answer in a header and batches, each of which ends with a range, and a last one without.
struct ScriptedRanges: Sendable {
    var header: AnswerHeader
    var ranges: [ChangedRange]

    /// An answer about a whole disk of 1 MiB, or about what comes after `offset`.
    init(disk: String, _ ranges: [ChangedRange], since: String = "{b}", from offset: UInt64 = 0) {
        let size: UInt64 = 1 << 20
        header = AnswerHeader(
            disk: disk,
            format: .vhdx,
            size: size,
            since: since,
            epoch: "e",
            granularity: 512,
            basis: .changes,
            unit: 512,
            windowOffset: offset,
            windowLength: size - offset
        )
        self.ranges = ranges.filter { $0.offset >= offset }
    }

    /// Answers something else than the changes.
    mutating func fallBack(to basis: AnswerBasis, _ reason: Reason, _ message: String) {
        header.since = ""
        header.basis = basis
        header.basisReason = reason
        header.basisMessage = message
    }

    var messages: [RangeAnswer] {
        var messages = [RangeAnswer(part: .header(header))]
        var position = header.windowOffset
        for range in ranges {
            let gap = UInt64Column([(range.offset - position) / 512])
            let length = UInt64Column([range.length / 512])
            messages.append(RangeAnswer(part: .runs(RangeRuns(processedEnd: range.end, gap: gap, length: length))))
            position = range.end
        }
        if position < header.size {
            messages.append(RangeAnswer(part: .runs(RangeRuns(processedEnd: header.size))))
        }
        return messages
    }

    var totals: AnswerTotals {
        let bytes = ranges.reduce(0) { $0 + $1.length }
        return AnswerTotals(
            processed: header.windowLength,
            ranges: UInt64(ranges.count),
            bytes: bytes,
            dataBytes: bytes,
            offsetSum: ranges.reduce(0) { $0 &+ $1.offset }
        )
    }

    var answer: ScriptedAnswer<RangeAnswer> {
        ScriptedAnswer(messages, totals: totals, resumeOffset: header.size)
    }

    /// The lines of `diskdelta changes`, but the header's.
    ///
    /// - Parameter disk: the name that each carries, where it is one of many.
    func lines(disk: String? = nil) -> [String] {
        let lines = Asking.lines(ranges, offset: header.windowOffset, processed: header.windowLength)
        guard let disk else { return lines }
        return lines.map { line in
            line.replacingOccurrences(of: #""type":"range","#, with: #""type":"range","disk":"\#(disk)","#)
                .replacingOccurrences(of: #""type":"end","#, with: #""type":"end","disk":"\#(disk)","#)
        }
    }

    /// The header's line.
    func headerLine(more: String = "") -> String {
        #"{"type":"header","schema":1,"disk":"\#(header.disk)","format":"vhdx","size":\#(header.size),"since":"\#(header.since)","#
            + #""target":"","epoch":"e","granularity":512,"basis":"\#(header.basis.name.lowercased())"\#(more)}"#
    }
}
