internal import Foundation

/// Standard output, written in large pieces.
///
/// Where nobody reads any more (`| head`), the program ends at once and quietly: that is no failure of its own to tell.
final class StandardOutput {
    private static let pieceSize = 64 * 1024
    private var buffer: [UInt8] = []

    init() {
        buffer.reserveCapacity(Self.pieceSize + 4096)
    }

    /// Adds what `body` appends.
    func write(_ body: (inout [UInt8]) -> Void) {
        body(&buffer)
        if buffer.count >= Self.pieceSize { flush() }
    }

    func write(_ text: String) {
        write { $0.append(contentsOf: text.utf8) }
    }

    func flush() {
        var start = 0
        while start < buffer.count {
            let written = buffer.withUnsafeBytes { bytes in
                Foundation.write(STDOUT_FILENO, bytes.baseAddress.map { $0 + start }, bytes.count - start)
            }
            if written >= 0 {
                start += written
            } else if errno == EPIPE {
                exit(ExitStatus.failure)
            } else if errno != EINTR {
                StandardError.write("standard output cannot be written: \(String(cString: strerror(errno)))")
                exit(ExitStatus.failure)
            }
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

enum StandardError {
    /// Writes one line with the program's name.
    static func write(_ message: String) {
        let line = message.replacingOccurrences(of: "\n", with: " ")
        // Not through FileHandle, which ends the program where standard error is closed.
        let bytes = Array("diskdelta: \(line)\n".utf8)
        _ = Foundation.write(STDERR_FILENO, bytes, bytes.count)
    }
}
