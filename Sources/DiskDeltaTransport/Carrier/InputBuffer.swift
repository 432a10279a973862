internal import NIOCore

/// What has arrived and is not yet a whole piece.
struct InputBuffer {
    private var buffer = ByteBuffer()

    /// How many bytes there are.
    var count: Int { buffer.readableBytes }

    /// Adds what was read.
    mutating func append(_ incoming: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = incoming
        } else {
            buffer.writeImmutableBuffer(incoming)
        }
    }

    /// Takes exactly `count` bytes, without copying them; nil where they are not all there.
    ///
    /// Then it makes room for the rest of them, at most once for each piece. The length is a peer's and must be checked.
    mutating func take(_ count: Int) -> ByteBuffer? {
        guard let piece = buffer.readSlice(length: count) else {
            makeRoom(count)
            return nil
        }
        return piece
    }

    private mutating func makeRoom(_ count: Int) {
        guard buffer.readableBytes > 0 else {
            buffer = ByteBuffer()
            return
        }
        guard buffer.readerIndex > 0 || buffer.capacity < count else { return }
        // What was lent from the old buffer stays as it is, and is freed with whoever holds it.
        var fresh = ByteBufferAllocator().buffer(capacity: count)
        fresh.writeBuffer(&buffer)
        buffer = fresh
    }
}

extension ByteBuffer {
    /// From this length on a message that is kept may keep the buffer alive that it arrived in.
    private static let lendingLength = 16_384

    /// The same bytes, copied where they are so few that they should not keep a large buffer alive.
    func detached() -> ByteBuffer {
        readableBytes < Self.lendingLength ? ByteBuffer(bytes: readableBytesView) : self
    }
}
