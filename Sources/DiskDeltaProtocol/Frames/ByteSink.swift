/// Something that bytes of the protocol are appended to: an array, or a buffer of the transport.
public protocol ByteSink {
    mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger)
    mutating func append(contentsOf bytes: [UInt8])
    mutating func append(utf8 text: Substring.UTF8View)
}

extension [UInt8]: ByteSink {
    public mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    public mutating func append(utf8 text: Substring.UTF8View) {
        append(contentsOf: text)
    }
}
