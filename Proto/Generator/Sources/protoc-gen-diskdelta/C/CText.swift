internal import SwiftProtobufPluginLibrary

/// Lines of C, written one after another.
struct CText {
    private(set) var content = ""
    private var depth = 0
    private static let width = 120

    /// Adds a line at the current depth; an empty one carries no spaces.
    mutating func line(_ text: String = "") {
        if !text.isEmpty { content += String(repeating: "    ", count: depth) + text }
        content += "\n"
    }

    /// Adds a function's declaration up to `end`, over several lines where it is long.
    mutating func function(_ start: String, _ arguments: [String], end: String) {
        let whole = "\(start)(\(arguments.joined(separator: ", ")))\(end)"
        guard whole.count > Self.width else { return line(whole) }
        line("\(start)(")
        var rest = arguments[...]
        while let first = rest.popFirst() {
            var row = "    " + first
            while let next = rest.first, row.count + next.count + 4 <= Self.width {
                row += ", " + next
                rest.removeFirst()
            }
            line(row + (rest.isEmpty ? ")\(end)" : ","))
        }
    }

    /// Adds what `body` writes one step deeper.
    mutating func indented(_ body: (inout CText) -> Void) {
        depth += 1
        body(&self)
        depth -= 1
    }

    /// Adds a comment block, or nothing for an empty comment.
    mutating func comment(_ lines: [String]) {
        // What stands in a .proto file can't end the comment early.
        let lines = lines.map { $0.split(separator: "*/", omittingEmptySubsequences: false).joined(separator: "* /") }
        guard let first = lines.first else { return }
        guard lines.count > 1 else { return line("/* \(first) */") }
        line("/*")
        for text in lines { line(text.isEmpty ? " *" : " * \(text)") }
        line(" */")
    }

    /// Adds the comment that stands above a declaration in its .proto file.
    mutating func comment(of declaration: some ProvidesSourceCodeLocation) {
        comment(Self.comment(of: declaration))
    }

    /// The lines of the comment above a declaration in its .proto file.
    static func comment(of declaration: some ProvidesSourceCodeLocation) -> [String] {
        var lines = declaration.protoSourceComments(commentPrefix: "")
            .split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.first == " " ? String($0.dropFirst()) : String($0) }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
