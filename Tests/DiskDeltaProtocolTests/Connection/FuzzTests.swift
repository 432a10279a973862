import DiskDeltaProtocol
import TestSupport
import Testing

/// Hostile bytes: neither state machine traps, and an error is its last word.
struct FuzzTests {
    @Test(arguments: [UInt64](1...60))
    func noBytesStopTheServer(_ seed: UInt64) {
        var random = RepeatableGenerator(seed: seed)
        for _ in 0..<40 {
            var server = ServerConnection()
            var feeder = Feeder()
            var hasFailed = false
            var bytes = Wire.preface() + Wire.settings(ClientSettings.default.entries)
            for _ in 0..<Int.random(in: 1...60, using: &random) { bytes += frame(&random) }
            damage(&bytes, &random)
            var rest = bytes[...]
            while let first = take(&rest, &random) {
                feeder.feed(first, to: &server) { server, action in
                    #expect(!hasFailed, "seed \(seed)")
                    switch action {
                    case .fail: hasFailed = true
                    case .open(let stream, _, _):
                        server.requestCredit(for: stream)
                        _ = server.nextReady()
                        _ = server.sendMessage(on: stream, length: Int.random(in: 0...300_000, using: &random))
                        if random.chance(40) { _ = server.end(stream) }
                        if random.chance(40) { server.handlerReturned(stream) }
                    case .cancel(let stream):
                        if random.chance(70) { server.handlerReturned(stream) }
                    case .answerPing: if random.chance(80) { server.pingAnswered() }
                    default: break
                    }
                    return true
                }
                while let stream = server.nextReady() { _ = server.sendMessage(on: stream, length: 1) }
                if random.chance(2) { _ = server.beginDrain("", at: .now) }
                if random.chance(2) { _ = server.decideDrain() }
                if random.chance(5) {
                    _ = server.timePassed(at: .now + .seconds(Int.random(in: 0...500, using: &random)))
                }
            }
            server.close()
        }
    }

    @Test(arguments: [UInt64](1...60))
    func noBytesStopTheClient(_ seed: UInt64) {
        var random = RepeatableGenerator(seed: seed)
        for _ in 0..<40 {
            var client = ClientConnection()
            var feeder = Feeder()
            var hasFailed = false
            var bytes = Wire.preface() + Wire.settings(ServerSettings.default.entries)
            for _ in 0..<Int.random(in: 1...60, using: &random) { bytes += frame(&random) }
            damage(&bytes, &random)
            var rest = bytes[...]
            for _ in 0..<4 { _ = try? client.open(length: 5, timeout: nil) }
            while let first = take(&rest, &random) {
                feeder.feed(first, to: &client) { client, action, piece in
                    #expect(!hasFailed, "seed \(seed)")
                    switch action {
                    case .fail: hasFailed = true
                    case .serverLeaves(let goAway, _, _): hasFailed = goAway.code != .noError
                    case .message(let stream):
                        if random.chance(70) { client.consumed(stream, byteCount: piece.count) }
                        if random.chance(5) { _ = client.cancel(stream, reason: 1) }
                    case .answerPing: if random.chance(80) { client.pingAnswered() }
                    default: break
                    }
                    return true
                }
                while client.nextGrant() != nil {}
                _ = try? client.open(length: 5, timeout: nil)
            }
            client.close()
        }
    }

    /// A frame that is likely to be understood.
    private func frame(_ random: inout RepeatableGenerator) -> [UInt8] {
        let stream = StreamID.random(in: 0...11, using: &random)
        let number = UInt32.random(in: 0...3, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0...2: return Wire.open(stream | 1, timeout: number)
        case 3, 4: return Wire.data(stream | 1, number)
        case 5: return Wire.end(stream | 1, status: number)
        case 6: return Wire.frame(.cancel, stream: stream | 1, aux: number)
        case 7:
            return Wire.frame(.credit, stream: stream, aux: UInt32.random(in: 1_024...UInt32.max >> 1, using: &random))
        case 8: return Wire.frame(.ping, [UInt8](repeating: 7, count: 8))
        case 9: return random.chance(10) ? Wire.goAway(.noError, last: stream) : []
        case 10: return Wire.frame(FrameType(rawValue: UInt8.random(in: 0...255, using: &random)), stream: stream)
        default:
            return (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
    }

    /// Changes a few bits, or none.
    private func damage(_ bytes: inout [UInt8], _ random: inout RepeatableGenerator) {
        for _ in 0..<Int.random(in: 0...3, using: &random) where random.chance(60) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
    }

    private func take(_ rest: inout ArraySlice<UInt8>, _ random: inout RepeatableGenerator) -> ArraySlice<UInt8>? {
        guard !rest.isEmpty else { return nil }
        let first = rest.prefix(Int.random(in: 1...80, using: &random))
        rest = rest.dropFirst(first.count)
        return first
    }
}
