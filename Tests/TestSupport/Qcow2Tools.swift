internal import Foundation

/// QEMU's own tools, as a second opinion on qcow2 files and to make them.
public struct Qcow2Tools: Sendable {
    private let image: String
    private let inputOutput: String
    private let server: String
    private let info: String

    /// Nil where one of the tools is not installed.
    public static let installed: Qcow2Tools? = {
        guard let image = Oracles.find("qemu-img"), let inputOutput = Oracles.find("qemu-io"),
            let server = Oracles.find("qemu-nbd"), let info = Oracles.find("nbdinfo")
        else { return nil }
        return Qcow2Tools(image: image, inputOutput: inputOutput, server: server, info: info)
    }()

    /// What a test that is skipped says.
    public static let absence = "qemu-img, qemu-io, qemu-nbd (qemu-utils) or nbdinfo (libnbd-bin) is not installed"

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// Whether `qemu-img` did what it was told.
    public func tryImage(_ arguments: [String]) throws -> Bool {
        try Oracles.run(image, arguments).status == 0
    }

    /// `qemu-img`, which must succeed.
    public func image(_ arguments: [String]) throws {
        let result = try Oracles.run(image, arguments)
        guard result.status == 0 else { throw Failure(description: "qemu-img \(arguments): \(result.text)") }
    }

    /// `qemu-io` with commands of which some may be refused.
    public func write(_ commands: [String], to path: String, format: String = "qcow2") throws {
        _ = try Oracles.run(
            inputOutput,
            ["-d", "unmap", "-f", format] + commands.flatMap { ["-c", $0] } + [path]
        )
    }

    private struct MapEntry: Decodable {
        var start: UInt64
        var length: UInt64
        var depth: Int
        var present: Bool
        var data: Bool
    }

    /// What the uppermost file of a chain holds, as the codes of `LayerWalk`.
    public func allocation(of path: String, size: UInt64) throws -> [UInt8] {
        let result = try Oracles.run(image, ["map", "--output=json", "-f", "qcow2", path])
        var codes = [UInt8](repeating: 0, count: Int(size / 512))
        for entry in try JSONDecoder().decode([MapEntry].self, from: Data(result.text.utf8))
        where entry.depth == 0 && entry.present {
            let sectors = Int(entry.start / 512)..<Int((entry.start + entry.length) / 512)
            codes.replaceSubrange(sectors, with: repeatElement(entry.data ? 1 : 3, count: sectors.count))
        }
        return codes
    }

    private struct BitmapEntry: Decodable {
        var offset: UInt64
        var length: UInt64
        var type: Int
    }

    /// What a dirty bitmap has marked, as the codes of `LayerWalk`.
    public func bitmap(_ name: String, of path: String, size: UInt64) throws -> [UInt8] {
        let result = try Oracles.run(
            info,
            [
                "--json", "--map=qemu:dirty-bitmap:\(name)", "--", "[", server, "-r", "-f", "qcow2", "-B", name, path,
                "]",
            ]
        )
        guard result.status == 0 else { throw Failure(description: "nbdinfo \(name): \(result.text)") }
        var codes = [UInt8](repeating: 0, count: Int(size / 512))
        for entry in try JSONDecoder().decode([BitmapEntry].self, from: Data(result.text.utf8)) where entry.type == 1 {
            let sectors = Int(entry.offset / 512)..<Int((entry.offset + entry.length) / 512)
            codes.replaceSubrange(sectors, with: repeatElement(1, count: sectors.count))
        }
        return codes
    }

    /// What the disk holds, or held at a snapshot: each sector as a number that is the same where the content is.
    public func content(of path: String, snapshot: String? = nil, in folder: TemporaryFolder) throws -> [Int] {
        let raw = folder.file("content.raw")
        let selection = snapshot.map { ["-l", "snapshot.id=\($0)"] } ?? []
        try image(["convert", "-f", "qcow2", "-O", "raw"] + selection + [path, raw])
        let bytes = try Data(contentsOf: URL(fileURLWithPath: raw))
        return stride(from: 0, to: bytes.count, by: 512).map { start in
            bytes.withUnsafeBytes { buffer in
                // What is written is one byte over and over, so that a few bytes tell sectors apart.
                [0, 8, 256, 504].reduce(0) {
                    $0 &* 31 &+ buffer.loadUnaligned(fromByteOffset: start + $1, as: Int.self)
                }
            }
        }
    }
}
