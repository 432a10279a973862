/// A protobuf message as a Swift value. Every message of `Proto/` is generated as one.
///
/// protobuf-c does the encoding and the decoding. The columns of a message, its `repeated uint64` and `bytes` fields,
/// are not copied on either way: they are packed from where they lie, and a decoded column lies in the memory that
/// protobuf-c unpacked it to. Fields that the schema does not know are dropped; numbers that an enum does not know are
/// kept.
public protocol Message: Sendable, Hashable {
    /// The name with its package: `diskdelta.v1.RangeAnswer`.
    static var fullName: String { get }

    /// The message with every field at its default.
    init()

    /// Reads the message from its bytes, which are not needed afterwards.
    ///
    /// Memory is bounded by a multiple of the length of the bytes, whatever they hold. See ``MessageArena``.
    init(decoding bytes: UnsafeRawBufferPointer) throws(MessageError)

    /// Makes the message ready to be written, so that its length is known before there is a buffer for it.
    ///
    /// Throws ``MessageError/Code/nulInString`` where a string holds a NUL character, which protobuf-c cannot carry.
    /// Nothing else fails.
    func prepareEncoding() throws(MessageError) -> MessageEncoding
}

extension Message {
    /// Reads the message from its bytes.
    public init(decoding bytes: [UInt8]) throws(MessageError) {
        self = try bytes.withUnsafeBufferPointer { bytes throws(MessageError) in
            try Self(decoding: UnsafeRawBufferPointer(bytes))
        }
    }

    /// The length of the message on the wire in bytes.
    public func encodedSize() throws(MessageError) -> Int {
        try prepareEncoding().byteCount
    }

    /// The message as it travels on the wire.
    public func encode() throws(MessageError) -> [UInt8] {
        let encoding = try prepareEncoding()
        return [UInt8](unsafeUninitializedCapacity: encoding.byteCount) { buffer, count in
            count = encoding.write(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }
}
