internal import ArgumentParser
internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskImages

struct ImageCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validate an image and its chain; without --repair, nothing is changed."
    )

    @ParentCommand var image: Image
    @OptionGroup var format: DiskFormatOption
    @OptionGroup var output: FormatOptions

    @Argument(help: "The image to check, or the catalogue of a VHD Set.")
    var path: String

    @Flag(help: "First write into the files of the chain what the logs of those hold that were not closed properly.")
    var repair = false

    func run() async throws {
        try image.validateIsLocal()
        let (report, repaired) = try await output.format.telling {
            try LocalCommand.telling { () throws(ImageError) in
                let format = format.imageFormat?.ofImages
                let report = try DiskChain.check(path, in: LocalFiles(), saidFormat: format)
                guard repair, report.hasDirtyLog else { return (report, [String]()) }
                // The base first: each file is then as good as what it stands on.
                for name in report.dirtyLogs.reversed() { try VHDXRepair.replay(name) }
                return (try DiskChain.check(path, in: LocalFiles(), saidFormat: format), report.dirtyLogs)
            }
        }
        let standardOutput = StandardOutput()
        switch output.format {
        case .ndjson, .json: standardOutput.write { $0 += object(report) + [UInt8(ascii: "\n")] }
        case .table: standardOutput.write(table(report, repaired))
        }
        standardOutput.flush()
        if output.format != .table { for remark in remarks(report, repaired) { StandardError.write(remark) } }
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
        }
    }

    private func table(_ report: ImageCheckReport, _ repaired: [String]) -> String {
        var lines = report.problems.map { "\(CallError($0).reason.name)  \($0)" }
        if lines.isEmpty { lines = ["\(path): no problems"] }
        return (lines + remarks(report, repaired)).joined(separator: "\n") + "\n"
    }

    /// What a person should know and no program has to act on: the image is sound all the same.
    private func remarks(_ report: ImageCheckReport, _ repaired: [String]) -> [String] {
        var lines: [String] = []
        lines += repaired.map { "\($0): repaired, its log was replayed" }
        lines += report.dirtyLogs.map { "\($0): not closed properly; --repair replays its log" }
        if report.leakedBytes > 0 {
            lines.append("\(path): \(report.leakedBytes.asSize) of the files are lost until compacted")
        }
        return lines
    }
}
