internal import ArgumentParser
internal import Foundation

/// The questions of a file about many disks: on each line a JSON object, `{"disk":"…","since":"…"}`, with `"target"` where one
/// is wanted. Lines of nothing but spaces are passed over.
enum BatchFile {
    struct Question: Hashable, Sendable {
        var disk: String
        var since: String
        var target: String?
    }

    /// Some hundred thousand disks. A file that has no end, say, is not read into memory.
    private static let longest = 16 << 20

    /// - Parameter path: `-` for standard input.
    /// - Throws: ValidationError where the file cannot be read, or a line of it is no question; it names the line.
    static func questions(in path: String) throws -> [Question] {
        let name = path == "-" ? "standard input" : path
        let lines = try read(path, name).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var questions: [Question] = []
        for (index, line) in lines.enumerated() where !line.allSatisfy(isSpace) {
            guard let question = question(in: line) else {
                throw ValidationError(
                    #"line \#(index + 1) of \#(name) is not an object with the texts "disk", "since" and at most "target""#
                )
            }
            questions.append(question)
        }
        return questions
    }

    /// Nil where the line is anything else: a word that is misspelt must not be passed over, for it may be the target.
    private static func question(in line: ArraySlice<UInt8>) -> Question? {
        guard let object = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any],
            let disk = object["disk"] as? String, let since = object["since"] as? String
        else { return nil }
        var question = Question(disk: disk, since: since)
        if let target = object["target"] {
            guard let target = target as? String else { return nil }
            question.target = target
        }
        return object.count == (question.target == nil ? 2 : 3) ? question : nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }

    private static func read(_ path: String, _ name: String) throws -> [UInt8] {
        guard let file = path == "-" ? fdopen(dup(STDIN_FILENO), "r") : fopen(path, "re") else {
            throw ValidationError("\(name) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = fread(&piece, 1, piece.count, file), count > 0 {
            guard bytes.count + count <= longest else {
                throw ValidationError("\(name) is longer than \(UInt64(longest).asSize)")
            }
            bytes += piece.prefix(count)
        }
        guard ferror(file) == 0 else {
            throw ValidationError("\(name) cannot be read: \(String(cString: strerror(errno)))")
        }
        return bytes
    }
}
