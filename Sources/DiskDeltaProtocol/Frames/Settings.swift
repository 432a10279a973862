internal import ByteReading

/// What a client announces. Section 4 of `Docs/Protocol.md`.
public struct ClientSettings: Hashable, Sendable {
    /// The longest payload in bytes that the client accepts, 16,384 to 2^24 - 1.
    public var maximumFrame: UInt32
    /// The bytes that each stream may send before the client has read any, at least twice a longest frame.
    public var streamCredit: UInt32
    /// The bytes that all streams together may send before the client has read any, at least those of one stream.
    public var connectionCredit: UInt32

    public static let `default` = ClientSettings(
        maximumFrame: 262_144,
        streamCredit: 1 << 20,
        connectionCredit: 64 << 20
    )

    public init(maximumFrame: UInt32, streamCredit: UInt32, connectionCredit: UInt32) {
        self.maximumFrame = maximumFrame
        self.streamCredit = streamCredit
        self.connectionCredit = connectionCredit
    }

    /// What a message of the longest kind costs: the credit that a server takes before it makes one (P-43).
    public var maximumCost: Int { Int(maximumFrame) + FrameHeader.byteCount }

    /// How many streams may be open at a time (P-18).
    public func streamLimit(_ server: ServerSettings) -> Int {
        Int(min(server.maximumStreams, connectionCredit / max(streamCredit, 1)))
    }

    /// Throws unless every value is in its range (P-16).
    public func validate() throws(ProtocolError) {
        try SettingsEntries.check(maximumFrame, in: 16_384...FrameHeader.hardCap, "max_frame")
        let smallestCredit = UInt32(2 * maximumCost)
        try SettingsEntries.check(streamCredit, in: smallestCredit...CreditRule.maximum, "stream_credit")
        try SettingsEntries.check(connectionCredit, in: streamCredit...CreditRule.maximum, "connection_credit")
    }

    /// The payload of SETTINGS, with all entries.
    public var entries: SettingsEntries {
        SettingsEntries([
            .init(.maximumFrame, maximumFrame), .init(.streamCredit, streamCredit),
            .init(.connectionCredit, connectionCredit),
        ])
    }

    public init(_ entries: SettingsEntries) throws(ProtocolError) {
        self = .default
        for entry in entries.entries {
            switch entry.id {
            case .maximumFrame: maximumFrame = entry.value
            case .streamCredit: streamCredit = entry.value
            case .connectionCredit: connectionCredit = entry.value
            case .maximumStreams:
                throw ProtocolError(.settings, "A client cannot announce max_streams (P-16).")
            case .minimumPingInterval:
                throw ProtocolError(.settings, "A client cannot announce min_ping_interval (P-16).")
            default: break
            }
        }
        try validate()
    }
}

/// What a server announces. Section 4 of `Docs/Protocol.md`.
public struct ServerSettings: Hashable, Sendable {
    /// The longest payload in bytes that the server accepts, 16,384 to 2^24 - 1.
    public var maximumFrame: UInt32
    /// How many streams may be open at a time, 1 to 65,535.
    public var maximumStreams: UInt32
    /// The least time in ms between two PINGs of the client, 0 to 2^31 - 1 (P-83).
    public var minimumPingInterval: UInt32

    public static let `default` = ServerSettings(maximumFrame: 65_536, maximumStreams: 64)

    public init(maximumFrame: UInt32, maximumStreams: UInt32, minimumPingInterval: UInt32 = 10_000) {
        self.maximumFrame = maximumFrame
        self.maximumStreams = maximumStreams
        self.minimumPingInterval = minimumPingInterval
    }

    /// Throws unless every value is in its range (P-16).
    public func validate() throws(ProtocolError) {
        try SettingsEntries.check(maximumFrame, in: 16_384...FrameHeader.hardCap, "max_frame")
        try SettingsEntries.check(maximumStreams, in: 1...65_535, "max_streams")
        try SettingsEntries.check(minimumPingInterval, in: 0...UInt32(Int32.max), "min_ping_interval")
    }

    /// The payload of SETTINGS, with all entries.
    public var entries: SettingsEntries {
        SettingsEntries([
            .init(.maximumFrame, maximumFrame), .init(.maximumStreams, maximumStreams),
            .init(.minimumPingInterval, minimumPingInterval),
        ])
    }

    public init(_ entries: SettingsEntries) throws(ProtocolError) {
        self = .default
        for entry in entries.entries {
            switch entry.id {
            case .maximumFrame: maximumFrame = entry.value
            case .maximumStreams: maximumStreams = entry.value
            case .minimumPingInterval: minimumPingInterval = entry.value
            case .streamCredit, .connectionCredit:
                throw ProtocolError(.settings, "A server cannot announce credit (P-16).")
            default: break
            }
        }
        try validate()
    }
}

/// The payload of a SETTINGS frame: at most 32 entries, no id twice.
public struct SettingsEntries: Hashable, Sendable {
    static let maximumCount: UInt32 = 32
    /// The length of one entry.
    static let byteCount: UInt32 = 8

    struct ID: RawRepresentable, Hashable, Sendable {
        let rawValue: UInt16

        static let maximumFrame = ID(rawValue: 1)
        static let maximumStreams = ID(rawValue: 2)
        static let streamCredit = ID(rawValue: 3)
        static let connectionCredit = ID(rawValue: 4)
        static let minimumPingInterval = ID(rawValue: 5)
    }

    struct Entry: Hashable, Sendable {
        var id: ID
        var value: UInt32

        init(_ id: ID, _ value: UInt32) {
            self.id = id
            self.value = value
        }
    }

    let entries: [Entry]

    init(_ entries: [Entry]) {
        self.entries = entries
    }

    /// The header of the frame that carries these entries.
    public var header: FrameHeader {
        let count = UInt32(truncatingIfNeeded: entries.count)
        return FrameHeader(.settings, aux: count, length: count &* Self.byteCount)
    }

    /// Appends the payload.
    public func encode(into sink: inout some ByteSink) {
        for entry in entries {
            sink.append(bigEndian: entry.id.rawValue)
            sink.append(bigEndian: 0 as UInt16)
            sink.append(bigEndian: entry.value)
        }
    }

    /// Reads a payload. Unknown ids are kept; what an id may say is checked by whom it is for.
    public init(decoding bytes: RawSpan) throws(ProtocolError) {
        let count = bytes.byteCount / Int(Self.byteCount)
        guard bytes.byteCount % Int(Self.byteCount) == 0, count <= Int(Self.maximumCount) else {
            throw ProtocolError(.settings, "SETTINGS of \(bytes.byteCount) bytes hold no whole entries (P-16).")
        }
        var entries: [Entry] = []
        for index in 0..<count {
            let offset = index * Int(Self.byteCount)
            let entry: Entry
            let padding: UInt16
            do {
                entry = Entry(
                    ID(rawValue: try bytes.bigEndian(UInt16.self, at: offset)),
                    try bytes.bigEndian(UInt32.self, at: offset + 4)
                )
                padding = try bytes.bigEndian(UInt16.self, at: offset + 2)
            } catch {
                throw ProtocolError(.settings, "SETTINGS are cut short: \(error).")
            }
            guard padding == 0, !entries.contains(where: { $0.id == entry.id }) else {
                throw ProtocolError(.settings, "Setting \(entry.id.rawValue) is malformed or comes twice (P-16).")
            }
            entries.append(entry)
        }
        self.entries = entries
    }

    static func check(_ value: UInt32, in range: ClosedRange<UInt32>, _ name: String) throws(ProtocolError) {
        guard range.contains(value) else {
            throw ProtocolError(
                .settings,
                "\(name) \(value) is not within \(range.lowerBound) to \(range.upperBound) (P-16)."
            )
        }
    }
}
