import DiskDeltaProtocol
import TestSupport
import Testing

/// Both sides joined by queues of bytes, driven at random: credit never runs out for a reader that reads, whatever the
/// other streams do, and no side ever finds fault with the other.
struct FlowTests {
    @Test(arguments: [UInt64](1...40))
    func aReaderThatReadsIsNeverStuck(_ seed: UInt64) throws {
        var random = RepeatableGenerator(seed: seed)
        var pair = Pair(
            ClientSettings(
                maximumFrame: 16_384,
                streamCredit: UInt32.random(in: 32_800...40_000, using: &random),
                connectionCredit: 140_000
            )
        )
        let limit = pair.settings.streamLimit(.default)
        #expect(limit >= 3)
        for _ in 0..<limit { try pair.open() }
        pair.run()

        // All streams but the last are stalled, or idle with a message in the making; the last is read.
        let reader = StreamID(2 * limit - 1)
        for stream in stride(from: 1, to: reader, by: 2) {
            pair.isIdle[stream] = random.chance(30)
        }
        pair.reads = [reader]
        var received = 0
        for round in 0..<300 {
            let before = pair.messages[reader, default: 0]
            for stream in stride(from: 1, through: reader, by: 2) {
                pair.produce(stream, length: Int.random(in: 0...16_384, using: &random))
            }
            pair.run()
            received = pair.messages[reader, default: 0]
            #expect(received > before, "stuck in round \(round) of seed \(seed)")
            if received == before { return }
        }
        #expect(received >= 300)
    }

    @Test(arguments: [UInt64](1...40))
    func anyOrderOfEventsKeepsBothSidesContent(_ seed: UInt64) throws {
        var random = RepeatableGenerator(seed: seed)
        var pair = Pair(ClientSettings(maximumFrame: 16_384, streamCredit: 33_000, connectionCredit: 330_000))
        for _ in 0..<2_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0: try? pair.open()
            case 1...4:
                if let stream = pair.opened.randomElement(using: &random) {
                    pair.produce(stream, length: Int.random(in: 0...16_384, using: &random))
                }
            case 5:
                if random.chance(20), let stream = pair.opened.randomElement(using: &random) { pair.cancel(stream) }
            case 6:
                if random.chance(30), let stream = pair.opened.randomElement(using: &random) { pair.end(stream) }
            case 7:
                if let stream = pair.opened.randomElement(using: &random) {
                    pair.reads.formSymmetricDifference([stream])
                }
            default: pair.run(bytes: Int.random(in: 1...50_000, using: &random))
            }
            #expect(pair.errors == [], "seed \(seed)")
            if !pair.errors.isEmpty { return }
        }
        pair.run()
        pair.reads = Set(pair.opened)
        for stream in pair.opened { pair.end(stream) }
        pair.run()
        #expect(pair.errors == [])
        #expect(pair.server.streamCount == 0 && pair.client.streamCount == 0)
    }
}

/// A client and a server joined by two queues.
private struct Pair {
    let settings: ClientSettings
    var client: ClientConnection
    var server = ServerConnection()
    /// The streams whose messages are consumed when they arrive.
    var reads: Set<StreamID> = []
    /// The streams that take credit for a message and do not make it.
    var isIdle: [StreamID: Bool] = [:]
    var opened: [StreamID] = []
    /// How many messages arrived of each stream.
    var messages: [StreamID: Int] = [:]
    var errors: [String] = []

    private var toServer: [UInt8] = []
    private var toClient: [UInt8] = []
    private var serverFeeder = Feeder()
    private var clientFeeder = Feeder()
    private var unread: [StreamID: [Int]] = [:]
    private var wanted: [StreamID: [Int]] = [:]
    private var time = ContinuousClock.now

    init(_ settings: ClientSettings) {
        self.settings = settings
        client = ClientConnection(settings: settings)
        toServer = Wire.preface() + Wire.settings(settings.entries)
        run()
    }

    mutating func open() throws {
        let payload = Wire.open(1)
        let header = try client.open(length: payload.count - FrameHeader.byteCount, timeout: nil)
        toServer += Wire.open(header.stream)
        opened.append(header.stream)
    }

    /// The handler of a stream wants to send a message of this length.
    mutating func produce(_ stream: StreamID, length: Int) {
        guard wanted[stream, default: []].count < 3 else { return }
        wanted[stream, default: []].append(length)
        server.requestCredit(for: stream)
    }

    mutating func cancel(_ stream: StreamID) {
        if let header = client.cancel(stream, reason: 1) {
            toServer += Wire.frame(header.type, stream: stream, aux: header.aux)
            opened.removeAll { $0 == stream }
        }
    }

    /// The handler of a stream returns.
    mutating func end(_ stream: StreamID) {
        if server.end(stream) {
            toClient += Wire.end(stream)
            server.handlerReturned(stream)
        }
    }

    /// Moves at most so many bytes each way, until nothing more happens.
    mutating func run(bytes: Int = .max) {
        var left = bytes
        // Time passes, so that cancelling is not taken for abuse.
        time += .seconds(1)
        repeat {
            consume()
            send()
            let up = min(left, toServer.count, 10_000)
            deliverToServer(Array(toServer.prefix(up)))
            toServer.removeFirst(up)
            let down = min(left, toClient.count, 10_000)
            deliverToClient(Array(toClient.prefix(down)))
            toClient.removeFirst(down)
            left -= max(up, down)
            if up == 0, down == 0 {
                consume()
                send()
                if toServer.isEmpty, toClient.isEmpty { return }
            }
        } while left > 0
    }

    private mutating func send() {
        while let stream = server.nextReady() {
            guard isIdle[stream] != true, var lengths = wanted[stream], !lengths.isEmpty else { continue }
            let length = lengths.removeFirst()
            wanted[stream] = lengths
            if let header = server.sendMessage(on: stream, length: length) {
                header.encode(into: &toClient)
                toClient += [UInt8](repeating: 0, count: length)
            }
            if !lengths.isEmpty { server.requestCredit(for: stream) }
        }
    }

    private mutating func consume() {
        for stream in reads {
            for length in unread.removeValue(forKey: stream) ?? [] { client.consumed(stream, byteCount: length) }
        }
        while let grant = client.nextGrant() { grant.encode(into: &toServer) }
    }

    private mutating func deliverToServer(_ bytes: [UInt8]) {
        var errors: [String] = []
        var cancelled: [StreamID] = []
        var answer: [UInt8] = []
        serverFeeder.feed(bytes, to: &server, at: time) { server, action in
            switch action {
            case .sendPreface: answer += Wire.preface() + Wire.settings(ServerSettings.default.entries)
            case .cancel(let stream): cancelled.append(stream)
            case .refuse(let stream): answer += Wire.frame(.cancel, stream: stream, aux: FrameHeader.refused)
            case .fail(let error): errors.append("server: \(error)")
            default: break
            }
            return true
        }
        for stream in cancelled { server.handlerReturned(stream) }
        toClient += answer
        self.errors += errors
    }

    private mutating func deliverToClient(_ bytes: [UInt8]) {
        var unread = unread
        var messages = messages
        var errors: [String] = []
        var ended: [StreamID] = []
        clientFeeder.feed(bytes, to: &client) { _, action, piece in
            switch action {
            case .message(let stream):
                unread[stream, default: []].append(piece.count)
                messages[stream, default: 0] += 1
            case .end(let stream, _, _), .cancelled(let stream, _): ended.append(stream)
            case .fail(let error, _): errors.append("client: \(error)")
            default: break
            }
            return true
        }
        self.unread = unread
        self.messages = messages
        self.errors += errors
        opened.removeAll(where: ended.contains)
    }
}
