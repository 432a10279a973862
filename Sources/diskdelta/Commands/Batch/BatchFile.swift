internal import ArgumentParser
internal import Foundation

/// The questions of a file about many disks: on each line a JSON object, `{"disk":"…","since":"…"}`, with `"target"`,
/// `"image_format"` and `"if_size"` where they are wanted. Lines of nothing but spaces are passed over.
enum BatchFile {
    struct Question: Hashable, Sendable {
        var disk: String
        var since: String
        var target: String?
        var imageFormat: DiskFormat?
        /// In bytes.
        var ifSize: UInt64?
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
                    #"line \#(index + 1) of \#(name) is not an object with the texts "disk", "since" and at most "target","#
                        + #" "image_format" (vhdx, vhd, qcow2 or raw) and the number "if_size""#
                )
            }
            questions.append(question)
        }
        return questions
    }

    /// Nil where the line is anything else.
    private static func question(in line: ArraySlice<UInt8>) -> Question? {
        try? JSONDecoder().decode(Question.self, from: Data(line))
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

extension BatchFile.Question: Decodable {
    private struct Key: CodingKey, Hashable {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }

        static let disk = Key(stringValue: "disk")
        static let since = Key(stringValue: "since")
        static let target = Key(stringValue: "target")
        static let imageFormat = Key(stringValue: "image_format")
        static let ifSize = Key(stringValue: "if_size")
        static let all: Set = [disk, since, target, imageFormat, ifSize]
    }

    /// A word that is misspelt is not passed over, for it may be the target; nor is a value of null.
    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: Key.self)
        if let key = object.allKeys.first(where: { !Key.all.contains($0) }) {
            throw DecodingError.dataCorruptedError(forKey: key, in: object, debugDescription: "No such field")
        }
        func value<Value: Decodable>(_ type: Value.Type, _ key: Key) throws -> Value? {
            object.contains(key) ? try object.decode(type, forKey: key) : nil
        }
        self.init(
            disk: try object.decode(String.self, forKey: .disk),
            since: try object.decode(String.self, forKey: .since),
            target: try value(String.self, .target),
            imageFormat: try value(DiskFormat.self, .imageFormat),
            ifSize: try value(UInt64.self, .ifSize)
        )
    }
}
