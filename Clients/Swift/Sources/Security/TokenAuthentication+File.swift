public import DiskDeltaProtocol
internal import Foundation

extension TokenAuthentication {
    /// The token in a file: one line of text, with spaces around it or not.
    ///
    /// - Throws: INVALID_PARAMETER where the file cannot be read, or holds something else. The message names the file and does
    ///   not repeat what it holds.
    public init(file: String) throws(CallError) {
        let data: Data
        do {
            data = try Self.read(file)
        } catch {
            throw CallError(.invalidParameter, "the token in \(file) cannot be read: \(error.message)")
        }
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !text.isEmpty else { throw CallError(.invalidParameter, "\(file) holds no token: it is empty") }
        guard !text.contains(where: \.isNewline) else {
            throw CallError(.invalidParameter, "\(file) holds more than a token: it has more than one line")
        }
        do throws(CallError) {
            try self.init(text)
        } catch {
            throw CallError(.invalidParameter, "\(file): \(error.message)")
        }
    }

    /// At most so much that it cannot be a token, so that no file is too long to be read.
    private static func read(_ file: String) throws(CallError) -> Data {
        guard let handle = fopen(file, "re") else {
            throw CallError(.invalidParameter, String(cString: strerror(errno)))
        }
        defer { fclose(handle) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = fread(&bytes, 1, bytes.count, handle)
        guard ferror(handle) == 0 else { throw CallError(.invalidParameter, String(cString: strerror(errno))) }
        return Data(bytes.prefix(count))
    }
}
