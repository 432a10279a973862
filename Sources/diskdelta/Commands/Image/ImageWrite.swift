internal import ArgumentParser
internal import DiskDeltaProtocol
internal import DiskImages
internal import Foundation

struct ImageWrite: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "write",
        abstract: "Write data into an image: the content of a file, or one byte again and again."
    )

    /// How much is read and written at a time.
    private static let pieceSize = 4 << 20

    @ParentCommand var image: Image

    @Argument(help: "The image to write to.")
    var path: String

    @Option(help: "Where to write on the virtual disk: a multiple of the logical sector.")
    var offset: ByteCount

    @Option(help: "The file whose content to write; its length must be a multiple of the logical sector.")
    var from: String?

    @Option(help: "The byte to write: 0 to 255, or 0x00 to 0xFF.")
    var fill: FillByte?

    @Option(help: "How much to fill.")
    var length: ByteCount?

    func validate() throws {
        switch (from, fill, length) {
        case (_?, nil, nil), (nil, _?, _?): break
        default: throw ValidationError("Say either --from FILE, or --fill BYTE and --length N")
        }
    }

    func run() async throws {
        try image.validateIsLocal()
        try await OutputFormat.standard.telling {
            if let from {
                try write(contentsOf: from)
            } else if let fill, let length {
                try write(fill.value, count: length.bytes)
            }
        }
    }

    private func write(_ byte: UInt8, count: UInt64) throws {
        let writer = try openWriter(count: count)
        let piece = [UInt8](repeating: byte, count: Int(min(count, UInt64(Self.pieceSize))))
        var done: UInt64 = 0
        while done < count {
            let part = Int(min(count - done, UInt64(piece.count)))
            try write(piece[..<part], to: writer, at: offset.bytes + done)
            done += UInt64(part)
        }
    }

    private func write(contentsOf name: String) throws {
        guard let file = FileHandle(forReadingAtPath: name) else {
            throw CallError(.fileNotFound, "\(name): There is no such file, or it cannot be read.")
        }
        defer { try? file.close() }
        let count: UInt64
        do {
            count = try file.seekToEnd()
            try file.seek(toOffset: 0)
        } catch {
            throw CallError(.invalidParameter, "\(name): The file to write from must be a regular file.")
        }
        let writer = try openWriter(count: count)
        var done: UInt64 = 0
        while done < count {
            let part = Int(min(count - done, UInt64(Self.pieceSize)))
            guard let piece = try? file.read(upToCount: part), piece.count == part else {
                throw CallError(.readFailed, "\(name): The file became shorter while it was read.")
            }
            try write(ArraySlice(piece), to: writer, at: offset.bytes + done)
            done += UInt64(part)
        }
    }

    /// Opens the image, and refuses what would not fit before the first byte is written.
    private func openWriter(count: UInt64) throws -> any ImageWriter {
        let writer = try LocalCommand.telling { () throws(ImageError) in try ImageWriting.open(path) }
        let sector = writer.logicalSectorSize
        guard offset.bytes % sector == 0, count % sector == 0 else {
            throw CallError(
                .invalidParameter,
                "\(path): Offset and length must be multiples of the \(sector)-byte sector."
            )
        }
        guard offset.bytes <= writer.virtualSize, count <= writer.virtualSize - offset.bytes else {
            throw CallError(.invalidParameter, "\(path): The disk ends at \(writer.virtualSize) bytes.")
        }
        return writer
    }

    private func write(_ bytes: ArraySlice<UInt8>, to writer: any ImageWriter, at offset: UInt64) throws {
        try LocalCommand.telling { () throws(ImageError) in try writer.write(bytes.span.bytes, at: offset) }
    }
}

/// A byte on the command line: decimal, or hexadecimal after `0x`.
struct FillByte: ExpressibleByArgument {
    let value: UInt8

    init?(argument: String) {
        let hex = argument.lowercased().hasPrefix("0x")
        guard let value = UInt8(hex ? String(argument.dropFirst(2)) : argument, radix: hex ? 16 : 10) else {
            return nil
        }
        self.value = value
    }
}
