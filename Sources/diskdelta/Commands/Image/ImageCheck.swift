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
        let problems = try await output.format.telling {
            try Image.telling { () throws(ImageError) in try DiskChain.problems(of: path, in: LocalFiles()) }
        }
        let standardOutput = StandardOutput()
        switch output.format {
        case .ndjson, .json: standardOutput.write { $0 += object(problems) + [UInt8(ascii: "\n")] }
        case .table: standardOutput.write(table(problems))
        }
        standardOutput.flush()
        guard problems.isEmpty else { throw ExitCode(ExitStatus.untrustworthy) }
    }

    private func object(_ problems: [ImageError]) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "image-check")
            line.field("schema", 1)
            line.field("path", path)
            line.field("ok", problems.isEmpty)
            line.field("problems", objects: problems) { line, problem in
                line.field("reason", CallError(problem).reason.name)
                line.field("path", problem.path)
                line.field("offset", problem.offset ?? 0)
                line.field("message", problem.message)
            }
        }
    }

    private func table(_ problems: [ImageError]) -> String {
        guard !problems.isEmpty else { return "\(path): no problems\n" }
        return problems.map { "\(CallError($0).reason.name)  \($0)\n" }.joined()
    }
}
