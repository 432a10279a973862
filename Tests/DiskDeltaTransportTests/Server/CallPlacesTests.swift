import TestSupport
import Testing

@testable import DiskDeltaTransport

@Suite("The places of calls")
struct CallPlacesTests {
    private let start = ContinuousClock.now

    @Test("However the dice fall, no limit is passed and every place can be taken again", arguments: [UInt64](1...20))
    func limits(seed: UInt64) {
        print("places: seed \(seed)")
        var random = RepeatableGenerator(seed: seed)
        var places = CallPlaces(maximum: 10, maximumPerClient: 4, at: start)
        // The calls that have places, and how many each client has by the model.
        var calls: [(client: String, start: ContinuousClock.Instant)?] = []
        var now = start
        for _ in 0..<3_000 {
            now += .milliseconds(Int.random(in: 0...500, using: &random))
            if random.chance(55) {
                let isTaken = places.take()
                #expect(isTaken == (calls.count < 10))
                guard isTaken else { continue }
                let client = "\(Int.random(in: 0..<4, using: &random))"
                let count = calls.count { $0?.client == client }
                let isPlaced = places.take(of: client, at: now)
                #expect(isPlaced == (count < 4))
                calls.append(isPlaced ? (client, now) : nil)
            } else if let index = calls.indices.randomElement(using: &random) {
                places.giveBack(calls.remove(at: index), at: now)
            }
            #expect(places.count == calls.count)
            #expect(places.clientCount == Set(calls.compactMap { $0?.client }).count)
            #expect((100...10_000).contains(places.retryDelay(at: now)))
        }
        for call in calls { places.giveBack(call, at: now) }
        #expect(places.count == 0 && places.clientCount == 0)
    }

    @Test("When to come again follows from how long calls take, be they over or not")
    func retryDelay() {
        var places = CallPlaces(maximum: 100, maximumPerClient: 100, at: start)
        #expect(places.retryDelay(at: start) == 100)
        // Calls of 4 s, until that is what is usual.
        var now = start
        for _ in 0..<200 {
            _ = places.take()
            _ = places.take(of: "a", at: now)
            places.giveBack(("a", now), at: now + .seconds(4))
            now += .seconds(4)
        }
        #expect((990...1_000).contains(places.retryDelay(at: now)))
        // Two calls that go on: one for 12 s by now, one for 20.
        for _ in 0..<2 {
            _ = places.take()
            _ = places.take(of: "a", at: now)
            now += .seconds(8)
        }
        now += .seconds(4)
        #expect((3_990...4_010).contains(places.retryDelay(at: now)))
        #expect(places.retryDelay(at: now + .seconds(100_000)) == 10_000)
    }
}
