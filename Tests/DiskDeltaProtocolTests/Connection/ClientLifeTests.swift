import DiskDeltaProtocol
import TestSupport
import Testing

/// A client's connection in time: it asks a silent server only while calls are open, never sooner than the server allows,
/// and gives it up when it does not answer.
struct ClientLifeTests {
    @Test(arguments: [UInt64](1...100))
    func theModelForeseesWhatTimeBrings(_ seed: UInt64) throws {
        var random = RepeatableGenerator(seed: seed)
        let start = ContinuousClock.now
        let spacing = Int.random(in: 0...200, using: &random)
        let interval = Duration.seconds(Int.random(in: 20...100, using: &random))
        var times = ClientTimes()
        times.keepalive = KeepaliveTimes(interval: interval, timeout: .seconds(15))
        var client = ClientConnection(times: times, at: start)
        var feeder = Feeder()
        var now = start
        var heard = start
        var asked: ContinuousClock.Instant?
        var lastPing: ContinuousClock.Instant?
        var unanswered: UInt64?
        var open: Set<StreamID> = []
        var isDead = false

        func foreseen() -> ContinuousClock.Instant? {
            guard !open.isEmpty, !isDead else { return nil }
            if let asked { return asked + .seconds(15) }
            let silence = heard + interval
            return lastPing.map { max(silence, $0 + .seconds(spacing)) } ?? silence
        }
        func deliver(_ bytes: [UInt8]) {
            feeder.feed(bytes, to: &client, at: now) { client, action, _ in
                switch action {
                case .end(let stream, _, _): open.remove(stream)
                case .answerPing: client.pingAnswered()
                case .fail(let error, _): Issue.record("seed \(seed): \(error)")
                default: break
                }
                return true
            }
            client.heard(at: now)
            heard = now
            asked = nil
        }

        let settings = ServerSettings(
            maximumFrame: 65_536,
            maximumStreams: 64,
            minimumPingInterval: UInt32(spacing) * 1_000
        )
        deliver(Wire.preface() + Wire.settings(settings.entries))
        for step in 0..<300 where !isDead {
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                let header = try? client.open(length: 10, timeout: nil, at: now)
                guard let header else { break }
                if open.isEmpty {
                    heard = now
                    asked = nil
                }
                open.insert(header.stream)
            case 1: if let stream = open.randomElement(using: &random) { deliver(Wire.end(stream)) }
            case 2: if random.chance(30) { deliver(Wire.frame(.ping, [UInt8](repeating: 3, count: 8))) }
            case 3:
                guard let ping = unanswered else { break }
                unanswered = nil
                let bytes = (0..<8).map { UInt8(truncatingIfNeeded: ping >> (56 - 8 * UInt64($0))) }
                deliver(Wire.frame(.ping, flags: FrameHeader.acknowledgement, bytes))
            default:
                let next = foreseen()
                now += .seconds(Int.random(in: 1...40, using: &random))
                if let next, next <= now { now = next }
                let action = client.timePassed(at: now)
                switch action {
                case .sendPing(let ping):
                    #expect(next == now && asked == nil && unanswered == nil, "seed \(seed), step \(step)")
                    if let lastPing { #expect(now - lastPing >= .seconds(spacing), "seed \(seed), step \(step)") }
                    unanswered = ping
                    asked = now
                    lastPing = now
                case .dead(let streams):
                    #expect(next == now && asked != nil && Set(streams) == open, "seed \(seed), step \(step)")
                    isDead = true
                case .none:
                    // Only where a PING is not answered yet is nothing sent at the deadline.
                    if next == now {
                        #expect(asked == nil && unanswered != nil, "seed \(seed), step \(step)")
                        asked = now
                        lastPing = now
                    }
                default: Issue.record("seed \(seed), step \(step): \(action)")
                }
                let again = client.timePassed(at: now)
                #expect(again == .none)
            }
            #expect(client.nextDeadline == foreseen(), "seed \(seed), step \(step)")
        }
    }
}
