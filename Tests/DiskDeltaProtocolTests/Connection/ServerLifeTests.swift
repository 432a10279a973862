import DiskDeltaProtocol
import TestSupport
import Testing

/// A server's connection in time: random lives, in which every deadline is foreseen by a model that only remembers when
/// what happened.
struct ServerLifeTests {
    @Test(arguments: [UInt64](1...200))
    func theModelForeseesWhatTimeBrings(_ seed: UInt64) {
        var life = ServerLife(seed: seed)
        life.live(steps: 300)
    }
}

/// One life. What the model knows stands in the properties; it never asks the connection.
private struct ServerLife {
    private static let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_900, connectionCredit: 131_600)

    private let seed: UInt64
    private var random: RepeatableGenerator
    private var times = ServerTimes()
    private var server: ServerConnection
    private var feeder = Feeder()
    private var now: ContinuousClock.Instant
    private let start: ContinuousClock.Instant

    private var heard: ContinuousClock.Instant
    private var asked: ContinuousClock.Instant?
    private var unansweredPing: UInt64?
    private var partialSince: ContinuousClock.Instant?
    private var rest: [UInt8] = []
    private var idleSince: ContinuousClock.Instant?
    /// The streams whose handlers have not returned, and since when each waits for credit.
    private var running: [StreamID: ContinuousClock.Instant?] = [:]
    private var open: Set<StreamID> = []
    /// What each open stream, and the connection, may still send.
    private var credit: [StreamID: Int] = [:]
    private var connectionCredit = 131_600
    private var nextStream: StreamID = 1
    private var lastTakenUp: StreamID = 0
    private var drainEnd: ContinuousClock.Instant?
    private var drainPing: UInt64?
    private var goAways: [StreamID] = []
    private var isOver = false
    private var happened: [String] = []

    init(seed: UInt64) {
        self.seed = seed
        random = RepeatableGenerator(seed: seed)
        start = .now
        now = start
        heard = start
        times.keepalive = random.chance(80) ? KeepaliveTimes(interval: .seconds(100), timeout: .seconds(20)) : nil
        times.frame = .seconds(10)
        times.idle = random.chance(70) ? .seconds(150) : nil
        times.age = random.chance(30) ? .seconds(2_000) : nil
        times.stall = random.chance(70) ? .seconds(400) : nil
        server = ServerConnection(
            settings: ServerSettings(maximumFrame: 65_536, maximumStreams: 8, minimumPingInterval: 0),
            times: times,
            at: start
        )
        deliver(Wire.preface() + Wire.settings(Self.settings.entries))
        idleSince = start
    }

    private func expect(_ condition: Bool, _ what: String) {
        #expect(condition, "seed \(seed): \(what); \(happened.suffix(6))")
    }

    mutating func live(steps: Int) {
        for _ in 0..<steps where !isOver {
            step()
            while let stream = server.nextReady() {
                running[stream] = .some(nil)
                send(on: stream)
            }
            expect(
                server.nextDeadline == foreseen,
                "the deadline is \(offset(server.nextDeadline)), not \(offset(foreseen))"
            )
        }
        expect(goAways.count <= 2 && goAways == goAways.sorted(by: >), "\(goAways)")
    }

    private func offset(_ time: ContinuousClock.Instant?) -> String {
        time.map { "\($0 - start)" } ?? "never"
    }

    /// The earliest of all that time can bring.
    private var foreseen: ContinuousClock.Instant? {
        guard !isOver else { return nil }
        var all: [ContinuousClock.Instant] = []
        if let keepalive = times.keepalive {
            all.append(asked.map { $0 + keepalive.timeout } ?? heard + keepalive.interval)
        }
        if let partialSince { all.append(partialSince + .seconds(10)) }
        if let stall = times.stall { all += running.values.compactMap(\.self).map { $0 + stall } }
        if let drainEnd { all.append(drainEnd) }
        if goAways.isEmpty {
            if let idle = times.idle, let idleSince { all.append(idleSince + idle) }
            if let age = times.age { all.append(start + age) }
        }
        return all.min()
    }

    private mutating func step() {
        switch Int.random(in: 0..<16, using: &random) {
        case 0, 1: openStream()
        case 2: if let stream = open.randomElement(using: &random), rest.isEmpty { cancel(stream) }
        case 3: if let stream = running.keys.randomElement(using: &random) { returnHandler(stream) }
        case 4, 5: if let stream = open.randomElement(using: &random) { request(stream) }
        case 6, 7: if let stream = open.randomElement(using: &random), rest.isEmpty { grant(stream) }
        case 8: if rest.isEmpty { deliver(Wire.frame(.ping, [UInt8](repeating: 1, count: 8))) }
        case 9: answer()
        case 10: deliverPart()
        case 11: if random.chance(5) { beginDrain() }
        default: passTime()
        }
    }

    // MARK: What the client does

    private mutating func deliver(_ bytes: [UInt8]) {
        var actions: [ServerAction] = []
        feeder.feed(bytes, to: &server, at: now) { _, action in
            actions.append(action)
            return true
        }
        heard = now
        asked = nil
        server.heard(unread: feeder.unread, at: now)
        for action in actions { perform(action) }
    }

    private mutating func openStream() {
        guard rest.isEmpty else { return }
        let stream = nextStream
        nextStream += 2
        let wasDecided = goAways.count == 2
        let isFull = running.count == 4
        happened.append("OPEN \(stream)")
        deliver(Wire.open(stream))
        // Nothing that was sent before the decision is lost.
        expect(open.contains(stream) == (!wasDecided && !isFull), "OPEN \(stream)")
    }

    private mutating func cancel(_ stream: StreamID) {
        happened.append("CANCEL \(stream)")
        // The machine forgets whoever waits; the handler is still there.
        deliver(Wire.frame(.cancel, stream: stream, aux: 1))
    }

    private mutating func grant(_ stream: StreamID) {
        let spent = 32_900 - credit[stream, default: 0]
        guard spent >= 1_024 else { return }
        credit[stream] = 32_900
        connectionCredit += spent
        happened.append("CREDIT \(stream) \(spent)")
        deliver(
            Wire.frame(.credit, stream: stream, aux: UInt32(spent)) + Wire.frame(.credit, aux: UInt32(spent))
        )
    }

    private mutating func answer() {
        guard rest.isEmpty, let ping = unansweredPing else { return }
        unansweredPing = nil
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: ping >> (56 - 8 * UInt64($0))) }
        happened.append("ACK \(ping)")
        deliver(Wire.frame(.ping, flags: FrameHeader.acknowledgement, bytes))
        if ping == drainPing { expect(goAways.count == 2, "the answer decides") }
    }

    private mutating func deliverPart() {
        if rest.isEmpty { rest = Wire.frame(FrameType(rawValue: 0x90), [UInt8](repeating: 0, count: 30)) }
        let part = Array(rest.prefix(Int.random(in: 1...30, using: &random)))
        rest.removeFirst(part.count)
        happened.append("\(part.count) bytes")
        partialSince = rest.isEmpty ? nil : partialSince ?? now
        deliver(part)
    }

    // MARK: What the server's services do

    private mutating func request(_ stream: StreamID) {
        guard case .some(nil) = running[stream] else { return }
        running[stream] = now
        happened.append("\(stream) wants")
        server.requestCredit(for: stream, at: now)
    }

    private mutating func send(on stream: StreamID) {
        let length = Int.random(in: 0...16_384, using: &random)
        expect(credit[stream, default: 0] >= 16_400 && connectionCredit >= 16_400, "\(stream) sends without credit")
        let header = server.sendMessage(on: stream, length: length)
        expect(header?.length == UInt32(length), "DATA \(stream)")
        credit[stream, default: 0] -= length + 16
        connectionCredit -= length + 16
        happened.append("DATA \(stream)")
    }

    private mutating func returnHandler(_ stream: StreamID) {
        let wasOpen = open.contains(stream)
        let isEnded = server.end(stream)
        expect(isEnded == wasOpen, "END \(stream)")
        server.handlerReturned(stream, at: now)
        close(stream)
        running[stream] = nil
        if running.isEmpty { idleSince = now }
        happened.append("END \(stream)")
        expect(server.isDrained == (goAways.count == 2 && running.isEmpty), "drained")
    }

    private mutating func close(_ stream: StreamID) {
        guard open.remove(stream) != nil else { return }
        running[stream] = .some(nil)
        // What its client has not granted again it counts as consumed now (P-47), and grants to the connection.
        let spent = 32_900 - credit[stream, default: 0]
        credit[stream] = nil
        guard spent >= 1_024, rest.isEmpty else { return }
        connectionCredit += spent
        deliver(Wire.frame(.credit, aux: UInt32(spent)))
    }

    private mutating func beginDrain() {
        guard goAways.isEmpty else { return }
        perform(server.beginDrain("", at: now))
        expect(goAways == [StreamID(Int32.max)], "a drain begins")
    }

    // MARK: Time

    /// Goes on to the next deadline, or not so far, and says what came of it.
    private mutating func passTime() {
        let step = Duration.seconds(Int.random(in: 1...60, using: &random))
        let next = foreseen
        now += step
        if let next, next <= now { now = next }
        let isDue = next == now
        var count = 0
        while true {
            let action = server.timePassed(at: now)
            guard action != .none else { break }
            expect(isDue, "\(action) came too early")
            count += 1
            expect(count < 20, "time never stops")
            guard count < 20 else { return }
            perform(action)
        }
        // A question that could not be asked, because another is not answered, is waited for as if it had been.
        if let keepalive = times.keepalive, asked == nil, heard + keepalive.interval <= now, !isOver { asked = now }
        if isDue { expect(isOver || foreseen.map { $0 > now } ?? true, "what was due did not come") }
    }

    private mutating func perform(_ action: ServerAction) {
        happened.append("\(action)")
        switch action {
        case .open(let stream, _, _):
            open.insert(stream)
            running[stream] = .some(nil)
            credit[stream] = 32_900
            lastTakenUp = stream
            idleSince = nil
        case .cancel(let stream):
            close(stream)
        case .answerPing:
            server.pingAnswered()
        case .sendPing(let ping):
            expect(unansweredPing == nil, "a second PING")
            unansweredPing = ping
            if drainEnd != nil, drainPing == nil {
                drainPing = ping
            } else {
                expect(times.keepalive.map { heard + $0.interval == now } ?? false, "a PING that nobody wants")
                asked = now
            }
        case .goAway(let header, _, let ping):
            goAways.append(header.aux)
            if goAways.count == 1 {
                expect(header.aux == StreamID(Int32.max), "the first GOAWAY")
                drainEnd = now + times.drain
                expect((ping == nil) == (unansweredPing != nil), "the PING of a drain")
                if let ping {
                    unansweredPing = ping
                    drainPing = ping
                }
            } else {
                expect(header.aux == lastTakenUp, "the second GOAWAY names \(header.aux)")
                drainEnd = nil
            }
        case .stalled(let stream):
            let since = running[stream] ?? nil
            expect(since.map { $0 + (times.stall ?? .zero) <= now } ?? false, "\(stream) did not wait so long")
            close(stream)
        case .dead:
            expect(times.keepalive.map { heard + $0.interval + $0.timeout <= now } ?? false, "the client is not dead")
            isOver = true
        case .fail(let error):
            expect(error.code == .excessiveLoad && partialSince.map { $0 + .seconds(10) == now } ?? false, "\(error)")
            isOver = true
        case .none, .sendPreface, .ready, .refuse, .clientLeaves:
            break
        }
    }
}
