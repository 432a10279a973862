import DiskDeltaProtocol
import Testing

/// The server's side of a connection, told what happens and asked what follows.
struct ServerConnectionTests {
    /// 100 bytes above the smallest allowed, so that two of the largest messages are covered and a third is not.
    private static let small = ClientSettings(maximumFrame: 16_384, streamCredit: 32_900, connectionCredit: 65_800)
    private static let cost = 16_384 + 16

    private var server = ServerConnection()
    private var feeder = Feeder()
    private var actions: [ServerAction] = []

    private mutating func receive(_ bytes: [UInt8], at now: ContinuousClock.Instant = .now) {
        var actions: [ServerAction] = []
        feeder.feed(bytes, to: &server, at: now) { _, action in
            actions.append(action)
            return true
        }
        self.actions = actions
    }

    private mutating func handshake(_ settings: ClientSettings = Self.small) {
        receive(Wire.preface() + Wire.settings(settings.entries))
        #expect(actions == [.sendPreface, .ready])
        #expect(server.isReady)
    }

    private mutating func ready() -> [StreamID] {
        var streams: [StreamID] = []
        while let stream = server.nextReady() { streams.append(stream) }
        return streams
    }

    private var failure: GoAwayCode? {
        if case .fail(let error) = actions.last { error.code.goAwayCode } else { nil }
    }

    @Test mutating func anOpenCarriesItsTimeoutAndRequest() throws {
        handshake()
        receive(Wire.open(1, timeout: 1_500, path: "a.B/C") + Wire.open(3))
        let path = try #require(OpenPayload(path: "a.B/C"))
        #expect(actions == [.open(1, path, timeout: .milliseconds(1_500)), .open(3, path, timeout: nil)])
        #expect(server.streamCount == 2)
    }

    @Test mutating func nothingIsMadeAheadOfCredit() {
        handshake()
        receive(Wire.open(1))
        #expect(ready() == [])
        let unreserved = server.sendMessage(on: 1, length: 1)
        #expect(unreserved == nil)

        // Two whole messages, then the credit is too small for a third of the largest kind.
        for number: UInt32 in 0..<2 {
            server.requestCredit(for: 1)
            #expect(ready() == [1])
            let header = server.sendMessage(on: 1, length: 16_384)
            #expect(header == FrameHeader(.data, stream: 1, aux: number, length: 16_384))
        }
        server.requestCredit(for: 1)
        #expect(ready() == [])
        receive(Wire.frame(.credit, stream: 1, aux: UInt32(Self.cost)))
        #expect(ready() == [1])
    }

    @Test mutating func whatAMessageDidNotNeedIsGivenBack() {
        handshake()
        receive(Wire.open(1))
        // 32,900 bytes pay for 9 messages of 2,000 bytes: before the ninth there are still 16,772.
        for number: UInt32 in 0..<9 {
            server.requestCredit(for: 1)
            #expect(ready() == [1], "message \(number)")
            let header = server.sendMessage(on: 1, length: 2_000)
            #expect(header?.aux == number)
        }
        server.requestCredit(for: 1)
        #expect(ready() == [])
    }

    @Test mutating func aMessageLargerThanWhatWasTakenIsNotSent() {
        handshake()
        receive(Wire.open(1))
        server.requestCredit(for: 1)
        #expect(ready() == [1])
        let tooLarge = server.sendMessage(on: 1, length: 16_385)
        #expect(tooLarge == nil)
    }

    @Test mutating func theConnectionsCreditIsSharedInTurn() {
        handshake(ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600))
        receive(Wire.open(1) + Wire.open(3))
        // Stream 1 takes all it may; stream 3 still has its own half of the connection's credit.
        for _ in 0..<2 {
            server.requestCredit(for: 1)
            #expect(ready() == [1])
            _ = server.sendMessage(on: 1, length: 16_384)
        }
        server.requestCredit(for: 1)
        server.requestCredit(for: 3)
        #expect(ready() == [3])
        _ = server.sendMessage(on: 3, length: 16_384)
        receive(Wire.frame(.credit, stream: 1, aux: 32_800))
        server.requestCredit(for: 3)
        #expect(ready() == [1])
        // Of the connection's credit nothing is left for the largest message of stream 3.
        receive(Wire.frame(.credit, aux: 16_400))
        #expect(ready() == [3])
    }

    @Test mutating func aStreamThatEndsGivesBackWhatItTook() {
        handshake(ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 32_800))
        for stream: StreamID in [1, 3, 5] {
            receive(Wire.open(stream))
            server.requestCredit(for: stream)
            #expect(ready() == [stream])
            if stream == 3 { receive(Wire.frame(.cancel, stream: 3, aux: 1)) }
            let isEnded = server.end(stream)
            #expect(isEnded == (stream != 3))
            server.handlerReturned(stream)
        }
        #expect(server.streamCount == 0)
    }

    @Test mutating func aPlaceIsFreeOnlyWhenTheHandlerHasReturned() {
        handshake()
        receive(Wire.open(1) + Wire.open(3))
        receive(Wire.frame(.cancel, stream: 1, aux: 1))
        #expect(actions == [.cancel(1)])
        receive(Wire.open(5))
        #expect(actions == [.refuse(5)])
        server.handlerReturned(1)
        receive(Wire.open(7))
        #expect(actions.count == 1 && server.isOpen(7))
        // So it is where the server itself ended the stream.
        let isEnded = server.end(3)
        #expect(isEnded)
        receive(Wire.open(9))
        #expect(actions == [.refuse(9)])
    }

    @Test mutating func nothingIsSentOnAClosedStream() {
        handshake()
        receive(Wire.open(1) + Wire.open(3))
        server.requestCredit(for: 1)
        server.requestCredit(for: 3)
        #expect(ready() == [1, 3])
        receive(Wire.frame(.cancel, stream: 1, aux: 4))
        let sent = [server.sendMessage(on: 1, length: 1), server.sendMessage(on: 99, length: 1)]
        #expect(sent == [nil, nil])
        let ends = [server.end(1), server.end(3), server.end(3), server.end(99)]
        #expect(ends == [false, true, false, false])
    }

    @Test mutating func lateFramesOfStreamsItEndedAreIgnored() {
        handshake(.default)
        for stream: StreamID in stride(from: 1, to: 131, by: 2) {
            receive(Wire.open(stream))
            let isEnded = server.end(stream)
            #expect(isEnded)
            server.handlerReturned(stream)
        }
        receive(Wire.frame(.credit, stream: 129, aux: 4_096) + Wire.frame(.cancel, stream: 3, aux: 1))
        #expect(actions == [])
        // 65 streams have ended; the first is forgotten.
        receive(Wire.frame(.credit, stream: 1, aux: 4_096))
        #expect(failure == .streamError)
    }

    @Test mutating func pingsAreAnsweredOneAtATime() {
        handshake()
        let ping = Wire.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8])
        receive(ping)
        #expect(actions == [.answerPing(0x0102_0304_0506_0708)])
        server.pingAnswered()
        receive(ping)
        #expect(actions == [.answerPing(0x0102_0304_0506_0708)])
        receive(ping)
        #expect(failure == .excessiveLoad)
    }

    @Test mutating func tooManyUselessFramesEndTheConnection() {
        handshake()
        let start = ContinuousClock.now
        for _ in 0..<200 {
            receive(Wire.frame(FrameType(rawValue: 0x90)), at: start + .seconds(100))
            #expect(failure == nil)
        }
        receive(Wire.frame(FrameType(rawValue: 0x90)), at: start + .seconds(100))
        #expect(failure == .excessiveLoad)
    }

    @Test mutating func rapidCancelsEndTheConnection() {
        handshake(.default)
        let now = ContinuousClock.now
        var opened = 0
        while failure == nil, opened < 1_000 {
            let stream = StreamID(2 * opened + 1)
            receive(Wire.open(stream) + Wire.frame(.cancel, stream: stream, aux: 1), at: now)
            server.handlerReturned(stream)
            opened += 1
        }
        #expect(failure == .excessiveLoad)
        #expect(opened == 201)
    }

    @Test mutating func drainingLetsStreamsEndAndTakesUpNoMore() {
        handshake()
        receive(Wire.open(1))
        let decision = server.decideDrain()
        guard case .goAway(FrameHeader(.goAway, aux: 1), _, ping: nil) = decision else {
            Issue.record("\(decision)")
            return
        }
        let again = server.decideDrain()
        #expect(again == .none)
        // All that follows of streams above 1 was sent before the client knew.
        receive(Wire.open(3) + Wire.frame(.credit, stream: 3, aux: 4_096) + Wire.frame(.cancel, stream: 3, aux: 1))
        #expect(actions == [])
        #expect(!server.isDrained)
        server.requestCredit(for: 1)
        #expect(ready() == [1])
        let isEnded = server.end(1)
        #expect(isEnded && !server.isDrained)
        server.handlerReturned(1)
        #expect(server.isDrained)
    }

    @Test mutating func aClientThatLeavesOpensNothing() {
        handshake()
        receive(Wire.open(1) + Wire.goAway(.noError))
        #expect(actions.last == .clientLeaves(GoAwayPayload(code: .noError, text: "")))
        #expect(server.isOpen(1))
        receive(Wire.open(3))
        #expect(failure == .protocolError)
        #expect(!server.isOpen(1))
    }

    @Test mutating func anErrorOfTheClientClosesEverything() {
        handshake()
        receive(Wire.open(1) + Wire.goAway(.internalError) + Wire.open(3))
        #expect(actions.count == 2)
        #expect(!server.isOpen(1))
    }

    @Test mutating func theHandshakeHasATime() {
        let start = ContinuousClock.now
        server = ServerConnection(at: start)
        let inTime = server.timePassed(at: start + .milliseconds(4_999))
        #expect(inTime == .none)
        let beforePreface = server.timePassed(at: start + .seconds(5))
        guard case .fail(let error) = beforePreface else {
            Issue.record("\(beforePreface)")
            return
        }
        #expect(error.code.goAwayCode == nil)

        server = ServerConnection(at: start)
        receive(Wire.preface())
        #expect(server.nextDeadline == start + .seconds(5))
        actions = [server.timePassed(at: start + .seconds(5))]
        #expect(failure == .handshakeTimeout)

        server = ServerConnection(at: start)
        handshake()
        let afterwards = server.timePassed(at: start + .seconds(6))
        #expect(afterwards == .none)
    }

    @Test mutating func nothingFollowsAnError() {
        handshake()
        receive(Wire.frame(FrameType(rawValue: 0x33)) + Wire.open(1))
        #expect(actions.count == 1)
        #expect(failure == .unknownFrame)
        receive(Wire.open(1))
        #expect(actions == [])
        let closed = server.close()
        #expect(closed == [])
    }
}
