internal import CDiskDeltaProto

/// A message laid out for protobuf-c, ready to be packed.
///
/// It holds the message, whose columns are packed from where they lie.
public final class MessageEncoding {
    /// The length of the message on the wire in bytes.
    public let byteCount: Int

    /// What is laid out beside the message: pointers and strings, no columns.
    let arena: MessageArena

    private let structure: UnsafePointer<ProtobufCMessage>
    private let message: any Message

    init<M: StructuredMessage>(_ message: M) throws(MessageError) {
        // Nothing bounds it but the message itself.
        let arena = MessageArena(budget: .max)
        let pointer = try arena.store(message, subject: M.fullName)
        structure = UnsafeRawPointer(pointer).assumingMemoryBound(to: ProtobufCMessage.self)
        byteCount = protobuf_c_message_get_packed_size(structure)
        self.arena = arena
        self.message = message
    }

    /// Packs the message to the start of `buffer` and returns its length. A buffer shorter than `byteCount` is a
    /// programmer's mistake and stops the program.
    @discardableResult
    public func write(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        precondition(buffer.count >= byteCount, "the buffer is shorter than the message")
        guard let start = buffer.baseAddress else { return 0 }
        return withExtendedLifetime(self) {
            protobuf_c_message_pack(structure, start.assumingMemoryBound(to: UInt8.self))
        }
    }
}

/// Nothing of it changes after `init`.
extension MessageEncoding: @unchecked Sendable {}
