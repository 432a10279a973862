internal import CDiskDeltaProto

/// A message that has a structure of protobuf-c. The generated messages are that.
protocol StructuredMessage: Message {
    /// The structure; its first member is a `ProtobufCMessage`.
    associatedtype Structure

    /// Sets every member of the structure to its default.
    static func initialize(_ structure: UnsafeMutablePointer<Structure>)

    /// Unpacks the bytes; nil where they are malformed or the allocator has no more memory.
    static func unpack(
        _ bytes: UnsafeRawBufferPointer,
        _ allocator: UnsafeMutablePointer<ProtobufCAllocator>
    ) -> UnsafeMutablePointer<Structure>?

    /// The message of a structure that was unpacked into `arena`.
    init(_ structure: UnsafePointer<Structure>, in arena: MessageArena) throws(MessageError)

    /// Sets the members of an initialised structure. What they point to is put into `arena` or belongs to `self`.
    func store(in structure: UnsafeMutablePointer<Structure>, _ arena: MessageArena) throws(MessageError)
}

extension StructuredMessage {
    /// The message that the bytes encode.
    static func decoded(_ bytes: UnsafeRawBufferPointer) throws(MessageError) -> Self {
        guard let budget = MessageArena.budget(forPayloadOf: bytes.count) else {
            throw MessageError(.tooLarge, in: fullName)
        }
        return try decoded(bytes, in: MessageArena(budget: budget))
    }

    /// The message that the bytes encode. Its columns lie in the arena and keep it.
    static func decoded(_ bytes: UnsafeRawBufferPointer, in arena: MessageArena) throws(MessageError) -> Self {
        guard let structure = arena.withAllocator({ unpack(bytes, $0) }) else {
            throw MessageError(arena.isExhausted ? .tooLarge : .malformed, in: fullName)
        }
        return try withExtendedLifetime(arena) { () throws(MessageError) in
            try Self(structure, in: arena)
        }
    }
}

/// An enum of a schema. A number that the schema does not know is kept.
protocol StructuredEnum: RawRepresentable<Int32> {
    init(rawValue: Int32)
}
