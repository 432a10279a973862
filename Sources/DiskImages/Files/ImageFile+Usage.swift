internal import Glibc

extension ImageFile {
    /// The storage that the file takes, in bytes; a sparse file takes less than its length.
    ///
    /// - Throws: `readFailed`.
    public func storageSize() throws(ImageError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw error(.readFailed, "The file cannot be examined: \(systemMessage(errno)).")
        }
        // stat(2): blocks of 512 bytes, whatever the file system's own are.
        let (size, overflow) = UInt64(clamping: status.st_blocks).multipliedReportingOverflow(by: 512)
        return overflow ? .max : size
    }

    /// Whether somebody holds a lock on the file now, as far as the system shows (`/proc/locks`): locks of other machines and
    /// of other containers it does not. No lock is taken to find out, so that nobody is disturbed.
    public var isLocked: Bool {
        // makedev(3): how the two numbers of a device lie in one.
        let device = identity.device
        let major = device >> 8 & 0xFFF | device >> 32 & 0xFFFF_F000
        let minor = device & 0xFF | device >> 12 & 0xFFFF_FF00
        let name = "\(hex(major)):\(hex(minor)):\(identity.inode)"
        return SystemLocks.list.contains { $0 == name }
    }

    private func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return digits.utf8.count < 2 ? "0" + digits : digits
    }
}

/// The locks of the system, as `/proc/locks` lists them.
private enum SystemLocks {
    private static let maximumLength = 1 << 20

    /// The files that are locked: device and inode, as the list has them.
    static var list: [Substring] {
        var text = ""
        let descriptor = open("/proc/locks", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        while text.utf8.count < maximumLength {
            let piece = withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 1) { buffer in
                let count = read(descriptor, buffer.baseAddress, buffer.count)
                return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
            }
            guard !piece.isEmpty else { break }
            text += piece
        }
        // "1: FLOCK  ADVISORY  WRITE 708 08:02:1234 0 EOF"; somebody who waits has "->" before the second word.
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count >= 6, words[1] != "->" else { return nil }
            return words[5]
        }
    }
}
