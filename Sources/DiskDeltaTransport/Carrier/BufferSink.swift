internal import DiskDeltaProtocol
internal import NIOCore

/// A buffer that the pieces of the protocol are encoded straight into.
struct BufferSink: ByteSink {
    var buffer: ByteBuffer

    init(capacity: Int) {
        buffer = ByteBufferAllocator().buffer(capacity: capacity)
    }

    mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger) {
        buffer.writeInteger(value)
    }

    mutating func append(contentsOf bytes: [UInt8]) {
        buffer.writeBytes(bytes)
    }

    mutating func append(utf8 text: Substring.UTF8View) {
        buffer.writeBytes(text)
    }

    mutating func append(_ message: MessageEncoding) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: message.byteCount) { message.write(into: $0) }
    }
}
