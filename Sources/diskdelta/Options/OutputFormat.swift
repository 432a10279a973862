internal import ArgumentParser
internal import Foundation

/// The form of what is printed.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    /// A JSON object on each line.
    case ndjson
    /// One JSON document on one line.
    case json
    /// For a person to read.
    case table

    /// A table where a person looks on, else lines for a program.
    static var standard: OutputFormat { isatty(STDOUT_FILENO) == 1 ? .table : .ndjson }
}

struct FormatOptions: ParsableArguments {
    @Option(help: "The form of the answer: ndjson, json or table. By default table on a terminal, else ndjson.")
    var format: OutputFormat = .standard
}
