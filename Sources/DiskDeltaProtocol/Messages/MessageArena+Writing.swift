internal import CDiskDeltaProto

/// Swift values as the members of a structure that protobuf-c will pack.
extension MessageArena {
    /// A copy of a string that ends in NUL.
    func store(_ string: String, _ subject: StaticString) throws(MessageError) -> UnsafeMutablePointer<CChar> {
        var string = string
        let result = string.withUTF8 { utf8 -> Result<UnsafeMutablePointer<CChar>, MessageError> in
            guard !utf8.contains(0) else {
                return .failure(MessageError(.nulInString, in: "\(subject)"))
            }
            guard let memory = allocate(utf8.count + 1) else {
                return .failure(MessageError(.tooLarge, in: "\(subject)"))
            }
            if let source = utf8.baseAddress {
                memory.copyMemory(from: source, byteCount: utf8.count)
            }
            memory.storeBytes(of: 0, toByteOffset: utf8.count, as: UInt8.self)
            return .success(memory.bindMemory(to: CChar.self, capacity: utf8.count + 1))
        }
        return try result.get()
    }

    func store(
        _ strings: [String],
        _ subject: StaticString
    ) throws(MessageError) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
        let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> =
            try array(strings.count, "\(subject)")
        for (index, string) in strings.enumerated() {
            (pointers + index).initialize(to: try store(string, subject))
        }
        return pointers
    }

    /// The memory of a column itself. The caller keeps the column.
    func lend(_ column: UInt64Column) -> UnsafeMutablePointer<UInt64>? {
        column.withUnsafeBufferPointer { UnsafeMutablePointer(mutating: $0.baseAddress) }
    }

    /// The memory of a column itself. The caller keeps the column.
    func lend(_ column: ByteColumn) -> ProtobufCBinaryData {
        column.withUnsafeBufferPointer {
            ProtobufCBinaryData(len: $0.count, data: UnsafeMutablePointer(mutating: $0.baseAddress))
        }
    }

    func store<M: StructuredMessage>(
        _ message: M,
        subject: @autoclosure () -> String = M.fullName
    ) throws(MessageError) -> UnsafeMutablePointer<M.Structure> {
        let structure: UnsafeMutablePointer<M.Structure> = try array(1, subject())
        M.initialize(structure)
        try message.store(in: structure, self)
        return structure
    }

    func store<M: StructuredMessage>(_ message: M?) throws(MessageError) -> UnsafeMutablePointer<M.Structure>? {
        guard let message else { return nil }
        let structure: UnsafeMutablePointer<M.Structure> = try store(message)
        return structure
    }

    func store<M: StructuredMessage>(
        _ messages: [M]
    ) throws(MessageError) -> UnsafeMutablePointer<UnsafeMutablePointer<M.Structure>?>? {
        let pointers: UnsafeMutablePointer<UnsafeMutablePointer<M.Structure>?> =
            try array(messages.count, M.fullName)
        for (index, message) in messages.enumerated() {
            let structure: UnsafeMutablePointer<M.Structure> = try store(message)
            (pointers + index).initialize(to: structure)
        }
        return pointers
    }

    /// `C` is the C type of the enum: as long as an int32, and it holds its bits.
    func storeNumbers<E: StructuredEnum, C>(_ values: [E]) throws(MessageError) -> UnsafeMutablePointer<C>? {
        let numbers: UnsafeMutablePointer<Int32> = try array(values.count, "\(E.self)")
        for (index, value) in values.enumerated() {
            (numbers + index).initialize(to: value.rawValue)
        }
        return UnsafeMutableRawPointer(numbers).assumingMemoryBound(to: C.self)
    }

    private func array<T>(_ count: Int, _ subject: @autoclosure () -> String) throws(MessageError)
        -> UnsafeMutablePointer<T>
    {
        let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
        guard !overflow, let memory = allocate(size) else {
            throw MessageError(.tooLarge, in: subject())
        }
        return memory.bindMemory(to: T.self, capacity: count)
    }
}
