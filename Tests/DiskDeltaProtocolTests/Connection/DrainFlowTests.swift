import DiskDeltaProtocol
import TestSupport
import Testing

/// A client and a server joined by two queues of bytes, while the server leaves: no call that the client sent before it knew
/// is lost, and none is answered that the client was told is not taken up (P-51, P-85).
struct DrainFlowTests {
    @Test(arguments: [UInt64](1...200))
    func noCallThatWasOnItsWayIsLost(_ seed: UInt64) {
        var random = RepeatableGenerator(seed: seed)
        let answersInTime = random.chance(70)
        var drive = Drive(seed: seed)
        for _ in 0..<Int.random(in: 0...200, using: &random) { drive.step(&random) }
        drive.leave()
        for _ in 0..<Int.random(in: 0...50, using: &random) { drive.step(&random) }
        if !answersInTime { drive.waitInVain() }
        for _ in 0..<Int.random(in: 0...50, using: &random) { drive.step(&random) }
        drive.finish()

        #expect(drive.errors == [], "seed \(seed)")
        #expect(drive.goAways.count == 2, "seed \(seed): \(drive.goAways)")
        if answersInTime { #expect(drive.notTakenUp == [], "seed \(seed)") }
        // Every call was answered, or was told that nothing was done of it; and that was true.
        #expect(drive.answered.union(drive.notTakenUp).union(drive.refused) == drive.opened, "seed \(seed)")
        #expect(drive.takenUp.isDisjoint(with: drive.notTakenUp), "seed \(seed)")
        #expect(drive.server.isDrained && drive.client.isDrained, "seed \(seed)")
    }
}

private struct Drive {
    let seed: UInt64
    var client = ClientConnection()
    var server = ServerConnection(settings: ServerSettings(maximumFrame: 65_536, maximumStreams: 6))
    var opened: Set<StreamID> = []
    var takenUp: Set<StreamID> = []
    var refused: Set<StreamID> = []
    var answered: Set<StreamID> = []
    var notTakenUp: Set<StreamID> = []
    var goAways: [StreamID] = []
    var errors: [String] = []

    private var toServer = Wire.preface() + Wire.settings(ClientSettings.default.entries)
    private var toClient: [UInt8] = []
    private var serverFeeder = Feeder()
    private var clientFeeder = Feeder()
    private var running: Set<StreamID> = []
    private var now = ContinuousClock.now

    init(seed: UInt64) {
        self.seed = seed
        moveUp(.max)
        moveDown(.max)
    }

    mutating func step(_ random: inout RepeatableGenerator) {
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1: open()
        case 2: if let stream = running.randomElement(using: &random) { end(stream) }
        case 3, 4: moveUp(Int.random(in: 1...120, using: &random))
        default: moveDown(Int.random(in: 1...120, using: &random))
        }
    }

    mutating func leave() {
        perform([server.beginDrain("", at: now)])
    }

    /// The client's answer does not come in time.
    mutating func waitInVain() {
        now += .seconds(5)
        perform([server.timePassed(at: now)])
    }

    mutating func finish() {
        while !(toServer.isEmpty && toClient.isEmpty && running.isEmpty) {
            moveUp(.max)
            for stream in running { end(stream) }
            moveDown(.max)
        }
    }

    private mutating func open() {
        let payload = Wire.open(1)
        guard let header = try? client.open(length: payload.count - 16, timeout: nil, at: now) else { return }
        opened.insert(header.stream)
        toServer += Wire.open(header.stream)
    }

    private mutating func end(_ stream: StreamID) {
        if server.end(stream) { toClient += Wire.end(stream) }
        server.handlerReturned(stream, at: now)
        running.remove(stream)
    }

    private mutating func moveUp(_ count: Int) {
        let bytes = Array(toServer.prefix(count))
        toServer.removeFirst(bytes.count)
        var actions: [ServerAction] = []
        serverFeeder.feed(bytes, to: &server, at: now) { _, action in
            actions.append(action)
            return true
        }
        perform(actions)
    }

    private mutating func perform(_ actions: [ServerAction]) {
        for action in actions {
            switch action {
            case .sendPreface: toClient += Wire.preface() + Wire.settings(ServerSettings.default.entries)
            case .open(let stream, _, _):
                takenUp.insert(stream)
                running.insert(stream)
            case .refuse(let stream): toClient += Wire.frame(.cancel, stream: stream, aux: FrameHeader.refused)
            case .goAway(let header, _, let ping):
                goAways.append(header.aux)
                toClient += Wire.goAway(.noError, last: header.aux)
                if let ping { toClient += Wire.frame(.ping, bytes(ping)) }
            case .none, .ready: break
            default: errors.append("server: \(action)")
            }
        }
    }

    private mutating func moveDown(_ count: Int) {
        let received = Array(toClient.prefix(count))
        toClient.removeFirst(received.count)
        var actions: [ClientAction] = []
        clientFeeder.feed(received, to: &client, at: now) { _, action, _ in
            actions.append(action)
            return true
        }
        for action in actions {
            switch action {
            case .end(let stream, _, _): answered.insert(stream)
            case .cancelled(let stream, _): refused.insert(stream)
            case .answerPing(let ping):
                toServer += Wire.frame(.ping, flags: FrameHeader.acknowledgement, bytes(ping))
                client.pingAnswered()
            case .serverLeaves(_, let notTakenUp, let failed):
                self.notTakenUp.formUnion(notTakenUp)
                if !failed.isEmpty { errors.append("failed \(failed)") }
            case .none, .ready: break
            default: errors.append("client: \(action)")
            }
        }
    }

    private func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * UInt64($0))) }
    }
}
