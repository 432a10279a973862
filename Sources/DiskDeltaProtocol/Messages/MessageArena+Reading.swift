internal import CDiskDeltaProto

/// The members of an unpacked structure as Swift values.
extension MessageArena {
    /// A copy of a string.
    func string(_ pointer: UnsafePointer<CChar>?, _ subject: StaticString) throws(MessageError) -> String {
        guard let pointer else { return "" }
        guard let string = String(validatingCString: pointer) else {
            throw MessageError(.invalidUTF8, in: "\(subject)")
        }
        // Where the string is not the arena's, it is protobuf-c's own empty string: the field was absent.
        if let allocated = allocatedSize(at: pointer), string.utf8.count &+ 1 != allocated {
            throw MessageError(.nulInString, in: "\(subject)")
        }
        return string
    }

    func strings(
        _ pointers: UnsafePointer<UnsafeMutablePointer<CChar>?>?,
        _ count: Int,
        _ subject: StaticString
    ) throws(MessageError) -> [String] {
        var strings: [String] = []
        for pointer in UnsafeBufferPointer(start: pointers, count: count) {
            strings.append(try string(pointer, subject))
        }
        return strings
    }

    /// A column that lies where protobuf-c unpacked it.
    func column(_ pointer: UnsafePointer<UInt64>?, _ count: Int) -> UInt64Column {
        count == 0 ? UInt64Column() : UInt64Column(start: pointer, count: count, owner: self)
    }

    /// A column that lies where protobuf-c unpacked it.
    func column(_ data: ProtobufCBinaryData) -> ByteColumn {
        data.len == 0 ? ByteColumn() : ByteColumn(start: data.data, count: data.len, owner: self)
    }

    func message<M: StructuredMessage>(_ pointer: UnsafePointer<M.Structure>?) throws(MessageError) -> M? {
        guard let pointer else { return nil }
        return try M(pointer, in: self)
    }

    func messages<M: StructuredMessage>(
        _ pointers: UnsafePointer<UnsafeMutablePointer<M.Structure>?>?,
        _ count: Int
    ) throws(MessageError) -> [M] {
        var messages: [M] = []
        for case let pointer? in UnsafeBufferPointer(start: pointers, count: count) {
            messages.append(try M(pointer, in: self))
        }
        return messages
    }

    func numbers<E: StructuredEnum>(_ values: UnsafeRawPointer?, _ count: Int) -> [E] {
        // The C type of an enum is as long as an int32 and holds its bits.
        UnsafeRawBufferPointer(start: values, count: count &* MemoryLayout<Int32>.size)
            .withMemoryRebound(to: Int32.self) { numbers in numbers.map { E(rawValue: $0) } }
    }
}
