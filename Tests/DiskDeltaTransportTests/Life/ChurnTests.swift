import DiskDeltaProtocol
import DiskDeltaTransport
import TestSupport
import Testing

/// Clients that come and go in any way, at a server that drains, asks and gives up all the time: every service returns,
/// and every place for a call is free again, once.
@Suite(.timeLimit(.minutes(3)))
struct ChurnTests {
    private static let places = 6

    @Test(arguments: [UInt64](1...6))
    func noCallKeepsItsPlaceOrGivesItBackTwice(_ seed: UInt64) async throws {
        var configuration = ServerConfiguration()
        configuration.maximumCalls = Self.places
        configuration.times.idle = .milliseconds(30)
        configuration.times.age = .milliseconds(150)
        configuration.times.stall = .milliseconds(40)
        configuration.times.drain = .milliseconds(20)
        configuration.times.keepalive = KeepaliveTimes(interval: .milliseconds(300), timeout: .seconds(20))
        try await TestServer.with(configuration) { test in
            await withTaskGroup(of: Void.self) { group in
                for client in 0..<4 {
                    group.addTask { await Self.live(test, seed &* 1_000 &+ UInt64(client)) }
                }
            }
            try await test.until { $0.released == $0.opened }
            #expect(test.counts.opened > 0, "seed \(seed)")

            // Every place can be taken, and none more.
            var calls: [TypedCall<RangeAnswer>] = []
            while calls.count < Self.places {
                if let call = await Self.begin(test) { calls.append(call) }
            }
            var refusal: CallError?
            while refusal == nil || refusal?.reason == .serverUnavailable {
                refusal = await error { _ = try await test.connect().run("send 1 1") }
                guard refusal != nil else { break }
            }
            #expect(refusal?.reason == .resourceLimit && refusal?.isUnbegun == true, "seed \(seed)")
            for call in calls { call.cancel() }
        }
    }

    /// One client's life: it does what the dice say, and takes what comes.
    private static func live(_ test: TestServer, _ seed: UInt64) async {
        var random = RepeatableGenerator(seed: seed)
        let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 131_200)
        for _ in 0..<25 {
            guard let connection = try? await test.connect(settings) else { continue }
            var calls: [TypedCall<RangeAnswer>] = []
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let script = ["send 3 10", "send 40 9000", "wait 1 10", "wait 9 9000"]
                    .randomElement(using: &random)
                // What waits is given up by somebody, at the latest by its time.
                let timeout = Duration.milliseconds(Int.random(in: 1...200, using: &random))
                guard let call = try? await connection.start(script ?? "send 1 1", timeout: timeout) else { break }
                calls.append(call)
                if random.chance(50) { _ = try? await call.next() }
            }
            for call in calls {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: call.cancel()
                case 1: try? await Task.sleep(for: .milliseconds(Int.random(in: 0...60, using: &random)))
                case 2: await connection.close()
                default: _ = try? await call.next()
                }
            }
        }
    }

    /// A call that holds its place; nil where the server refused it, or its connection was old already.
    private static func begin(_ test: TestServer) async -> TypedCall<RangeAnswer>? {
        guard let connection = try? await test.connect(), let call = try? await connection.start("wait 1 10") else {
            return nil
        }
        guard let message = try? await call.next() else { return nil }
        return message.part == nil ? nil : call
    }
}
