internal import Foundation

/// Real disk images that are not part of the project.
public enum Corpus {
    /// The folder with the images, from `DISKDELTA_CORPUS`, else beside the project; nil where there is none.
    public static let folder: String? = {
        let path = ProcessInfo.processInfo.environment["DISKDELTA_CORPUS"] ?? "../shared/corpus"
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    public static var isPresent: Bool { folder != nil }

    /// What a test that is skipped says.
    public static let absence = "there are no disk images to test with: set DISKDELTA_CORPUS to their folder"

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// A file of the corpus as it is stored.
    public static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: (folder ?? "") + "/" + name)))
    }

    /// Decompresses the file `name`, which ends in `.gz` or `.bz2`, to `path`. Holes stay holes.
    public static func unpack(_ name: String, to path: String) throws {
        let source = (folder ?? "") + "/" + name
        let tool = name.hasSuffix(".bz2") ? "bzip2" : "gzip"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [tool, "-dc", source]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let file = try RawFile(path, create: true)
        var offset: UInt64 = 0
        let zeroes = Data(count: 65_536)
        while case let piece = pipe.fileHandleForReading.readData(ofLength: zeroes.count), !piece.isEmpty {
            if piece != zeroes.prefix(piece.count) { try file.write([UInt8](piece), at: offset) }
            offset += UInt64(piece.count)
        }
        try file.truncate(to: offset)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: "\(source) cannot be unpacked") }
    }
}
