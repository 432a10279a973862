internal import DiskDeltaProtocol

/// Bytes that a peer sends: frames that are likely to be understood, frames that are not, and bytes that are no frames.
struct FrameMaker {
    /// Whose frames are made: SETTINGS and the direction of the others follow from it.
    let isServer: Bool
    private(set) var nextMessage: [StreamID: UInt32] = [:]

    init(isServer: Bool) {
        self.isServer = isServer
    }

    mutating func make(_ operations: inout Operations) -> [UInt8] {
        let kind = operations.byte()
        let stream = StreamID(truncatingIfNeeded: operations.number())
        switch kind % 16 {
        case 0: return preface(&operations)
        case 1: return settings(&operations)
        case 2: return open(stream | 1, &operations)
        case 3: return data(stream | 1, &operations)
        case 4: return end(stream | 1, &operations)
        case 5: return frame(.cancel, stream | 1, UInt32(operations.number(upTo: 16)))
        case 6: return frame(.credit, stream, UInt32(truncatingIfNeeded: operations.number()))
        case 7:
            let payload = [UInt8](repeating: 0, count: 7) + [operations.byte()]
            return frame(.ping, 0, 0, payload, flags: operations.byte() & 1)
        case 8: return goAway(stream, &operations)
        case 9: return frame(FrameType(rawValue: operations.byte() | 0x80), stream, 0, operations.bytes(upTo: 64))
        case 10: return frame(.cancel, stream | 1, FrameHeader.refused)
        case 11:
            let type = FrameType(rawValue: operations.byte())
            let aux = UInt32(truncatingIfNeeded: operations.number())
            return frame(type, stream, aux, operations.bytes(upTo: 512), flags: operations.byte())
        case 12:
            // A length that is not the truth.
            var bytes = frame(FrameType(rawValue: operations.byte()), stream, 0)
            let length = UInt32(truncatingIfNeeded: operations.number())
            for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index)) }
            return bytes
        default: return operations.bytes(upTo: 255)
        }
    }

    static func greeting(_ entries: SettingsEntries) -> [UInt8] {
        var bytes: [UInt8] = []
        Preface.current.encode(into: &bytes)
        entries.header.encode(into: &bytes)
        entries.encode(into: &bytes)
        return bytes
    }

    private func preface(_ operations: inout Operations) -> [UInt8] {
        var bytes: [UInt8] = []
        Preface.current.encode(into: &bytes)
        if operations.flag() { bytes[Int(operations.byte() % 16)] = operations.byte() }
        return bytes
    }

    private func settings(_ operations: inout Operations) -> [UInt8] {
        var payload: [UInt8] = []
        let count = operations.byte() % 6
        for _ in 0..<count {
            payload += [0, operations.byte() % 8, 0, 0]
            payload.append(bigEndian: UInt32(truncatingIfNeeded: operations.number()))
        }
        return frame(.settings, 0, UInt32(count), payload)
    }

    private func open(_ stream: StreamID, _ operations: inout Operations) -> [UInt8] {
        if operations.flag() { return frame(.open, stream, 0, operations.bytes(upTo: 400)) }
        var payload: [UInt8] = []
        var metadata = Metadata()
        if operations.flag() { _ = metadata.append("key", operations.bytes(upTo: 40)) }
        OpenPayload(path: "a.B/C", metadata: metadata)?.encode(into: &payload)
        return frame(
            .open,
            stream,
            UInt32(truncatingIfNeeded: operations.number()),
            payload + operations.bytes(upTo: 40)
        )
    }

    /// The next message of a stream, with so many bytes.
    mutating func message(_ stream: StreamID, length: Int) -> [UInt8] {
        let number = nextMessage[stream, default: 0]
        nextMessage[stream] = number &+ 1
        return frame(.data, stream, number, [UInt8](repeating: 0, count: length))
    }

    private mutating func data(_ stream: StreamID, _ operations: inout Operations) -> [UInt8] {
        let number = operations.byte() == 255 ? operations.number32() : nextMessage[stream, default: 0]
        nextMessage[stream] = number &+ 1
        return frame(.data, stream, number, [UInt8](repeating: 0, count: Int(operations.number(upTo: 20_000))))
    }

    private func end(_ stream: StreamID, _ operations: inout Operations) -> [UInt8] {
        let status = UInt32(operations.byte() % 18)
        if operations.flag() { return frame(.end, stream, status, operations.bytes(upTo: 400)) }
        var payload: [UInt8] = []
        EndPayload(text: "text", details: operations.bytes(upTo: 40)).encode(into: &payload)
        return frame(.end, stream, status, payload)
    }

    private func goAway(_ stream: StreamID, _ operations: inout Operations) -> [UInt8] {
        let code = UInt32(operations.byte() % 16)
        let aux = isServer ? (operations.flag() ? stream : UInt32(Int32.max)) : 0
        return frame(.goAway, 0, aux, [0, 0, 0, UInt8(code)] + [0, 0] + (operations.flag() ? [1] : []))
    }

    private func frame(
        _ type: FrameType,
        _ stream: StreamID,
        _ aux: UInt32,
        _ payload: [UInt8] = [],
        flags: UInt8 = 0
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        FrameHeader(type, stream: stream, aux: aux, length: UInt32(payload.count), flags: flags).encode(into: &bytes)
        return bytes + payload
    }
}

extension [UInt8] {
    mutating func append(bigEndian value: UInt32) {
        for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    func bigEndian(at offset: Int) -> UInt32 {
        indices.contains(offset + 3) && offset >= 0
            ? self[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } : 0
    }
}
