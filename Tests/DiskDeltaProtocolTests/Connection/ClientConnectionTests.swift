import DiskDeltaProtocol
import Testing

/// The client's side of a connection, told what happens and asked what follows.
struct ClientConnectionTests {
    private static let small = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600)

    private var client = ClientConnection(settings: Self.small)
    private var feeder = Feeder()
    private var actions: [ClientAction] = []

    private mutating func receive(_ bytes: [UInt8]) {
        var actions: [ClientAction] = []
        feeder.feed(bytes, to: &client) { _, action, _ in
            actions.append(action)
            return true
        }
        self.actions = actions
    }

    private mutating func handshake(_ settings: ServerSettings = .default) {
        receive(Wire.preface() + Wire.settings(settings.entries))
        #expect(actions == [.ready])
    }

    private mutating func open(length: Int = 10, timeout: Duration? = nil) throws(OpenRefusal) -> FrameHeader {
        try client.open(length: length, timeout: timeout)
    }

    private mutating func expectRefusal(_ refusal: OpenRefusal, length: Int) {
        do throws(OpenRefusal) {
            _ = try open(length: length)
            Issue.record("a call of \(length) bytes was opened")
        } catch {
            #expect(error == refusal)
        }
    }

    private mutating func grants() -> [FrameHeader] {
        var grants: [FrameHeader] = []
        while let grant = client.nextGrant() { grants.append(grant) }
        return grants
    }

    private var failure: GoAwayCode? {
        if case .fail(let error, _) = actions.last { error.code.goAwayCode } else { nil }
    }

    @Test mutating func idsAreOddAndRise() throws {
        handshake()
        let headers = [try open(length: 100, timeout: .milliseconds(20)), try open()]
        #expect(headers[0] == FrameHeader(.open, stream: 1, aux: 20, length: 100))
        #expect(headers[1] == FrameHeader(.open, stream: 3, aux: 0, length: 10))
    }

    @Test(arguments: [
        (Duration.nanoseconds(1), UInt32(1)), (.zero, 1), (.seconds(-5), 1), (.milliseconds(1_500), 1_500),
        (.seconds(Int64.max), UInt32(Int32.max)), (.seconds(2_147_484), UInt32(Int32.max)),
    ])
    mutating func timeoutsFitTheFrame(_ timeout: Duration, _ aux: UInt32) throws {
        let header = try open(timeout: timeout)
        #expect(header.aux == aux)
    }

    @Test mutating func limitsAreThoseOfBothSides() throws {
        // Before SETTINGS the payload is what every server accepts, afterwards what this one does.
        expectRefusal(.requestTooLong(maximum: 16_384), length: 16_385)
        handshake(ServerSettings(maximumFrame: 20_000, maximumStreams: 8))
        _ = try open(length: 20_000)
        _ = try open()
        // The connection's credit covers two streams.
        expectRefusal(.streamLimit(2), length: 1)
        receive(Wire.end(1))
        _ = try open()
    }

    @Test mutating func creditReturnsWhenHalfIsConsumed() throws {
        handshake()
        _ = try open()
        let payload = [UInt8](repeating: 0, count: 8_184)
        receive(
            Wire.data(1, 0, payload) + Wire.data(1, 1, payload) + Wire.data(1, 2, payload) + Wire.data(1, 3, payload)
        )
        #expect(actions == [.message(1), .message(1), .message(1), .message(1)])
        client.consumed(1, byteCount: 8_184)
        #expect(grants() == [])
        client.consumed(1, byteCount: 8_184)
        #expect(grants() == [FrameHeader(.credit, stream: 1, aux: 16_400), FrameHeader(.credit, aux: 16_400)])
        client.consumed(1, byteCount: 8_184)
        #expect(grants() == [])
    }

    @Test mutating func dataBeyondTheStreamsCreditIsAnError() throws {
        handshake()
        _ = try open()
        let payload = [UInt8](repeating: 0, count: 16_384)
        receive(Wire.data(1, 0, payload) + Wire.data(1, 1, payload))
        #expect(failure == nil)
        receive(Wire.data(1, 2, []))
        #expect(failure == .flowControlError)
        #expect(client.streamCount == 0)
    }

    @Test mutating func dataBeyondTheConnectionsCreditIsAnError() throws {
        client = ClientConnection(
            settings: ClientSettings(maximumFrame: 16_384, streamCredit: 40_000, connectionCredit: 40_000)
        )
        handshake()
        _ = try open()
        receive(
            Wire.data(1, 0, [UInt8](repeating: 0, count: 16_384))
                + Wire.data(1, 1, [UInt8](repeating: 0, count: 16_384))
        )
        let cancel = client.cancel(1, reason: 1)
        #expect(cancel == FrameHeader(.cancel, stream: 1, aux: 1))
        // Cancelling made all that was unread count as consumed, so that the connection's credit is whole again.
        #expect(grants() == [FrameHeader(.credit, aux: 32_800)])
        for number: UInt32 in 2..<5 { receive(Wire.data(1, number, [UInt8](repeating: 0, count: 6_000))) }
        #expect(failure == nil)
    }

    @Test mutating func whatArrivesAfterCancelIsDiscardedAndPaidBack() throws {
        handshake()
        _ = try open()
        receive(Wire.data(1, 0))
        let cancels = [client.cancel(1, reason: 1), client.cancel(1, reason: 1)]
        #expect(cancels == [FrameHeader(.cancel, stream: 1, aux: 1), nil])
        let payload = [UInt8](repeating: 0, count: 16_384)
        receive(Wire.data(1, 1, payload))
        #expect(actions == [])
        #expect(grants() == [FrameHeader(.credit, aux: 19 + 16_400)])
        receive(Wire.end(1))
        #expect(actions == [])
        // The server has ended it too: now nothing more may come.
        receive(Wire.data(1, 2))
        #expect(failure == .streamError)
    }

    @Test mutating func anEndReturnsWhatWasUnread() throws {
        handshake()
        _ = try open()
        receive(Wire.data(1, 0, [UInt8](repeating: 0, count: 16_384)) + Wire.end(1))
        #expect(actions.last == .end(1, status: 0, EndPayload()))
        #expect(grants() == [FrameHeader(.credit, aux: 16_400)])
        client.consumed(1, byteCount: 16_384)
        #expect(grants() == [])
    }

    @Test mutating func leavingLetsCallsEnd() throws {
        handshake()
        _ = try open()
        let goAway = client.leave()
        #expect(goAway == FrameHeader(.goAway))
        expectRefusal(.closed, length: 1)
        #expect(!client.isDrained)
        receive(Wire.end(1))
        #expect(client.isDrained)
    }

    @Test mutating func aServerThatLeavesNamesWhatItTookUp() throws {
        handshake()
        _ = try open()
        _ = try open()
        receive(Wire.goAway(.noError, last: 1))
        let payload = GoAwayPayload(code: .noError, text: "")
        #expect(actions == [.serverLeaves(payload, notTakenUp: [3], failed: [])])
        #expect(client.isOpen(1) && !client.isOpen(3) && !client.acceptsCalls)
        receive(Wire.data(1, 0) + Wire.end(1))
        #expect(actions == [.message(1), .end(1, status: 0, EndPayload())])
        #expect(client.isDrained)
    }

    @Test mutating func closingNamesTheCallsThatFailed() throws {
        handshake()
        _ = try open()
        _ = try open()
        receive(Wire.end(3))
        let closed = client.close()
        #expect(closed == [1])
        #expect(!client.isOpen(1))
    }
}
