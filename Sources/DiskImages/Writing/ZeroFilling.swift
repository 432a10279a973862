extension ImageStorage {
    /// Writes `count` zeroes inside the file from `offset`.
    func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
        var done: UInt64 = 0
        while done < count {
            let part = min(count - done, UInt64(zeroes.count))
            try zeroes.span.withUnsafeBytes { (buffer) throws(ImageError) in
                try write(UnsafeRawBufferPointer(rebasing: buffer[..<Int(part)]), at: offset + done)
            }
            done += part
        }
    }
}

private let zeroes = [UInt8](repeating: 0, count: 1 << 20)
