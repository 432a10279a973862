internal import DiskDeltaProtocol

/// Every decoder of a payload. What is accepted is encoded to the same bytes again, or, where there are several ways to say the
/// same, to bytes that are decoded to the same again.
enum PayloadTarget {
    static func run(_ operations: Operations) {
        var operations = operations
        let kind = operations.byte() % 8
        let bytes = operations.remainder()
        switch kind {
        case 0:
            guard let open = try? OpenPayload(decoding: bytes.span.bytes) else { return }
            var encoded: [UInt8] = []
            open.encode(into: &encoded)
            expect(encoded == Array(bytes.prefix(open.byteCount)), "an OPEN that changes")
        case 1:
            guard let end = try? EndPayload(decoding: bytes.span.bytes) else { return }
            var encoded: [UInt8] = []
            end.encode(into: &encoded)
            expect(encoded == bytes && encoded.count == end.byteCount, "an END that changes")
        case 2:
            guard let goAway = try? GoAwayPayload(decoding: bytes.span.bytes) else { return }
            var encoded: [UInt8] = []
            goAway.encode(into: &encoded)
            expect(encoded.dropFirst(4) == bytes.dropFirst(4), "a GOAWAY that changes")
        case 3:
            guard let entries = try? SettingsEntries(decoding: bytes.span.bytes) else { return }
            var encoded: [UInt8] = []
            entries.encode(into: &encoded)
            expect(encoded == bytes, "SETTINGS that change")
            if let client = try? ClientSettings(entries) {
                expect((try? client.validate()) != nil, "settings that are accepted and not allowed")
                expect(Int(client.streamCredit) >= 2 * client.maximumCost, "credit for less than two messages")
            }
            if let server = try? ServerSettings(entries) {
                expect((try? server.validate()) != nil, "settings that are accepted and not allowed")
            }
        case 4:
            guard bytes.count >= 16 else { return }
            let head = Array(bytes.prefix(16))
            guard let header = try? FrameHeader(decoding: head.span.bytes, maximumLength: 262_144) else { return }
            expect(header.length <= 262_144, "a frame above the limit")
            guard header.type.rawValue < 0x80 else { return }
            var encoded: [UInt8] = []
            header.encode(into: &encoded)
            expect(encoded == head, "a header that changes")
        case 5: message(RangeAnswer.self, bytes)
        case 6: message(StatusDetails.self, bytes)
        default: message(GetVirtualDiskChangesRequest.self, bytes)
        }
    }

    private static func message<Kind: Message & Equatable>(_ kind: Kind.Type, _ bytes: [UInt8]) {
        guard let message = try? bytes.withUnsafeBytes({ try Kind(decoding: $0) }) else { return }
        guard let encoded = try? message.encode() else { return }
        let again = try? encoded.withUnsafeBytes { try Kind(decoding: $0) }
        expect(again == message, "a message that changes")
    }
}
