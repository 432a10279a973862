extension ImageFile {
    /// Makes `words` the `count` little-endian numbers from `offset`. Its storage is kept from call to call.
    func readWords(at offset: UInt64, count: Int, into words: inout [UInt64]) throws(ImageError) {
        guard count <= Self.maximumStructureLength / 8 else {
            throw corrupt("A structure of \(count) words is longer than any that the format has.", at: offset)
        }
        if words.count < count { words = [UInt64](repeating: 0, count: count) }
        var span = words.mutableSpan
        try span.withUnsafeMutableBytes { (buffer) throws(ImageError) in
            try read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * 8)]))
        }
        #if _endian(big)
            for index in 0..<count { words[index] = words[index].byteSwapped }
        #endif
    }
}
