import TestSupport
import Testing

@testable import DiskDeltaProtocol

/// The steps in which a server leaves (P-85), and when it does of itself (P-88).
struct DrainTests {
    private let start = ContinuousClock.now

    @Test func theStepsComeInOrderAndOnce() {
        var drain = Drain(patience: .seconds(5))
        #expect(!drain.hasBegun && !drain.isDecided && drain.deadline == nil)
        let begun = [drain.begin(at: start), drain.begin(at: start + .seconds(1))]
        #expect(begun == [true, false])
        #expect(drain.hasBegun && !drain.isDecided && drain.wantsPing)
        #expect(drain.deadline == start + .seconds(5))
        drain.pingSent(7)
        #expect(!drain.wantsPing && drain.isAnswered(by: 7) && !drain.isAnswered(by: 6))
        let decided = [drain.decide(), drain.decide(), drain.begin(at: start)]
        #expect(decided == [true, false, false])
        #expect(drain.isDecided && drain.deadline == nil && !drain.isAnswered(by: 7))
    }

    @Test func aConnectionEndsWhenItIsOldOrIdle() {
        var lifetime = Lifetime(idle: .seconds(10), age: .seconds(60), at: start)
        #expect(lifetime.deadline == start + .seconds(10))
        lifetime.work()
        #expect(lifetime.deadline == start + .seconds(60))
        #expect(lifetime.verdict(at: start + .seconds(59)) == nil)
        lifetime.rest(at: start + .seconds(30))
        #expect(lifetime.deadline == start + .seconds(40))
        #expect(lifetime.verdict(at: start + .seconds(40)) == "the connection is idle")
        lifetime.work()
        #expect(lifetime.verdict(at: start + .seconds(60)) == "the connection is old")
        #expect(Lifetime(idle: nil, age: nil, at: start).deadline == nil)
    }

    @Test func timesVaryByATenth() {
        var times = ServerTimes()
        times.age = .seconds(1_000)
        var random = RepeatableGenerator(seed: 1)
        var ages: Set<Duration> = []
        for _ in 0..<100 {
            let varied = times.varied(using: &random)
            #expect((.seconds(270) ... .seconds(330)).contains(varied.idle ?? .zero))
            #expect((.seconds(900) ... .seconds(1_100)).contains(varied.age ?? .zero))
            ages.insert(varied.age ?? .zero)
            var same = varied
            same.idle = times.idle
            same.age = times.age
            #expect(same == times)
        }
        #expect(ages.count > 90)
        times.idle = nil
        times.age = .seconds(Int64.max)
        let varied = times.varied(using: &random)
        #expect(varied.idle == nil && varied.age != nil)
    }

    @Test func whatAClosedStreamHadSpentMayBeGrantedOnce() {
        var recent = RecentStreams(capacity: 2)
        recent.insert(1, grantable: 5_000)
        let grants = [
            recent.grant(2_000, to: 1), recent.grant(3_000, to: 1), recent.grant(1_024, to: 1),
            recent.grant(1_024, to: 3),
        ]
        #expect(grants == [true, true, false, false])
        recent.insert(3)
        recent.insert(5)
        #expect(!recent.contains(1) && recent.contains(3) && recent.contains(5) && !recent.contains(0))
        recent.remove(3)
        #expect(!recent.contains(3) && !recent.contains(0))
    }
}
