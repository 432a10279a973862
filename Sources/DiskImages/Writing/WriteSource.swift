/// What is written to a virtual disk.
enum WriteSource {
    /// As many bytes as are written in all.
    case bytes(UnsafeRawBufferPointer)
    case zeroes

    var isZeroes: Bool {
        if case .zeroes = self { true } else { false }
    }
}
