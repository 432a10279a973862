internal import ArgumentParser
internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskImages

struct ImageCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validate an image and its chain, without changing anything."
    )

    @ParentCommand var image: Image
    @OptionGroup var output: FormatOptions

    @Argument(help: "The image to check.")
    var path: String

    func run() async throws {
        try image.validateIsLocal()
        let report = try await output.format.telling {
            try LocalCommand.telling { () throws(ImageError) in try DiskChain.check(path, in: LocalFiles()) }
        }
        let standardOutput = StandardOutput()
        switch output.format {
        case .ndjson, .json: standardOutput.write { $0 += object(report) + [UInt8(ascii: "\n")] }
        case .table: standardOutput.write(table(report))
        }
        standardOutput.flush()
        guard report.isSound else { throw ExitCode(ExitStatus.untrustworthy) }
    }

    private func object(_ report: ImageCheckReport) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "image-check")
            line.field("schema", 1)
            line.field("path", path)
            line.field("ok", report.isSound)
            line.field("problems", objects: report.problems) { line, problem in
                line.field("reason", CallError(problem).reason.name)
                line.field("path", problem.path)
                line.field("offset", problem.offset ?? 0)
                line.field("message", problem.message)
            }
            line.field("dirty_logs", strings: report.dirtyLogs)
            line.field("leaked_bytes", report.leakedBytes)
        }
    }

    private func table(_ report: ImageCheckReport) -> String {
        var lines = report.problems.map { "\(CallError($0).reason.name)  \($0)" }
        if lines.isEmpty { lines = ["\(path): no problems"] }
        lines += report.dirtyLogs.map { "\($0): was not closed properly; its log is replayed by whoever reads it" }
        if report.leakedBytes > 0 { lines.append("\(report.leakedBytes.asSize) of the files are lost until compacted") }
        return lines.joined(separator: "\n") + "\n"
    }
}
