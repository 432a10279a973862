import TestSupport
import Testing

@testable import DiskDeltaTransport

/// Whose turn is next, as a value: what is held here is a property of every order of events.
@Suite("A queue that is fair between clients and between their lanes")
struct FairQueueTests {
    private typealias Queue = FairQueue<Int>

    /// A piece of work of every lane that waits, and what its turns take.
    private struct Worker {
        let lane: Queue.LaneID
        let turn: Duration
        var served = Duration.zero
        var turns = 0
    }

    /// Serves lanes that always have something to do by `threads` threads for so many turns. Every turn takes its time on the
    /// clock of its thread.
    private func serve(_ queue: inout Queue, _ workers: inout [Worker], turns: Int, threads: Int = 1) {
        for index in workers.indices { queue.push(index, in: workers[index].lane) }
        var busy: [(end: Duration, index: Int)] = []
        var now = Duration.zero
        for _ in 0..<turns {
            if busy.count == threads, let next = busy.indices.min(by: { busy[$0].end < busy[$1].end }) {
                let (end, index) = busy.remove(at: next)
                now = end
                queue.finish(workers[index].lane, took: workers[index].turn)
                queue.push(index, in: workers[index].lane)
            }
            guard let (index, lane) = queue.pop() else { break }
            #expect(lane == workers[index].lane)
            workers[index].served += workers[index].turn
            workers[index].turns += 1
            busy.append((now + workers[index].turn, index))
        }
        for (_, index) in busy { queue.finish(workers[index].lane, took: workers[index].turn) }
    }

    @Test("What waits in a lane comes in the order in which it arrived", arguments: [UInt64](1...20))
    func order(seed: UInt64) {
        print("order: seed \(seed)")
        var random = RepeatableGenerator(seed: seed)
        var queue = Queue()
        let lanes = (0..<6).map { queue.addLane(client: "\($0 % 3)", weight: 1) }
        var next = [Int](repeating: 0, count: lanes.count)
        var expected = [Int](repeating: 0, count: lanes.count)
        var waiting = 0
        for _ in 0..<2_000 {
            if random.chance(50) {
                let index = Int.random(in: lanes.indices, using: &random)
                queue.push(next[index], in: lanes[index])
                next[index] += 1
                waiting += 1
            } else if let (number, lane) = queue.pop() {
                let index = lanes.firstIndex(of: lane) ?? 0
                #expect(number == expected[index])
                expected[index] += 1
                waiting -= 1
                queue.finish(lane, took: .microseconds(Int.random(in: 0...9_000, using: &random)))
            } else {
                #expect(waiting == 0)
            }
            #expect(queue.count == waiting)
        }
    }

    @Test("Clients get the same time, however many calls they make and however long their turns are")
    func shares() {
        for threads in [1, 2, 4] {
            var queue = Queue()
            var workers: [Worker] = []
            // Forty calls of one client, three of another, one of a third, with turns of different lengths.
            for (client, calls, turn) in [("a", 40, 5), ("b", 3, 1), ("c", 1, 8)] {
                for _ in 0..<calls {
                    let lane = queue.addLane(client: client, weight: 1)
                    workers.append(Worker(lane: lane, turn: .milliseconds(turn)))
                }
            }
            serve(&queue, &workers, turns: 20_000, threads: threads)
            let times = [workers[..<40], workers[40..<43], workers[43...]]
                .map { $0.map(\.served).reduce(.zero, +) }
            // One call cannot have more than one thread: with four, "c" cannot take its third.
            let bound = threads == 1 ? Duration.milliseconds(50) : .seconds(1)
            let same = threads < 4 ? times : Array(times.prefix(2))
            for time in same {
                #expect(abs((time - same[0]) / .milliseconds(1)) <= bound / .milliseconds(1), "\(threads): \(times)")
            }
            // The calls of one client get the same as well.
            let ofA = workers[..<40].map(\.served)
            #expect((ofA.max() ?? .zero) - (ofA.min() ?? .zero) <= .milliseconds(250), "\(threads): \(ofA)")
        }
    }

    @Test("A lane of lower weight gets less in proportion, of its client's time and of all")
    func weights() {
        var queue = Queue()
        var workers = [("a", 1.0), ("a", 0.25), ("b", 0.25), ("c", 1)].map { client, weight in
            Worker(lane: queue.addLane(client: client, weight: weight), turn: .milliseconds(2))
        }
        serve(&queue, &workers, turns: 40_000)
        let times = workers.map { $0.served / .milliseconds(1) }
        // "b" costs four times what it takes.
        #expect(abs(times[3] / times[2] - 4) < 0.1, "\(times)")
        // Every fourth turn goes to whoever waited longest, whatever its weight.
        #expect(times[0] / times[1] > 2, "\(times)")
    }

    @Test("A call that has just come is served before long ones, whosoever they are")
    func newcomers() {
        var queue = Queue()
        var workers = (0..<200).map { _ in
            Worker(lane: queue.addLane(client: "long", weight: 1), turn: .milliseconds(4))
        }
        serve(&queue, &workers, turns: 1_000)
        for (client, most) in [("other", 0), ("long", 1)] {
            let lane = queue.addLane(client: client, weight: 1)
            queue.push(-1, in: lane)
            var before = 0
            while let (number, served) = queue.pop(), number >= 0 {
                before += 1
                queue.finish(served, took: .milliseconds(4))
                queue.push(number, in: served)
            }
            #expect(before <= most, "\(client)")
            queue.finish(lane, took: .microseconds(100))
            queue.removeLane(lane)
        }
    }

    @Test("A long call is not starved by a flood of short ones of its client")
    func noStarvation() {
        var queue = Queue()
        let long = queue.addLane(client: "a", weight: 1)
        queue.push(0, in: long)
        var turns: [Int] = []
        for turn in 0..<4_000 {
            // At any time four calls wait that have had nothing.
            while queue.count < 5 { queue.push(turn, in: queue.addLane(client: "a", weight: 1)) }
            guard let (_, lane) = queue.pop() else { break }
            queue.finish(lane, took: .milliseconds(1))
            if lane == long {
                turns.append(turn)
                queue.push(0, in: long)
            } else {
                queue.removeLane(lane)
            }
        }
        for (last, next) in zip([0] + turns, turns + [3_999]) { #expect(next - last <= 4 * 5, "\(turns)") }
    }

    @Test("However the dice fall, everything that waits is served in bounded time", arguments: [UInt64](1...30))
    func bounded(seed: UInt64) {
        print("bounded: seed \(seed)")
        var random = RepeatableGenerator(seed: seed)
        var queue = Queue()
        let clients = Int.random(in: 1...6, using: &random)
        var lanes = (0..<Int.random(in: 1...20, using: &random)).map { _ in
            queue.addLane(
                client: "\(Int.random(in: 0..<clients, using: &random))",
                weight: 1
            )
        }
        for (index, lane) in lanes.enumerated() { queue.push(index, in: lane) }
        var waited = [Int](repeating: 0, count: lanes.count)
        // Turns of 1 to 8 ms: a client waits for at most eight turns of each other and a half for what they had before; and
        // each of his lanes for four rounds of his lanes.
        let bound = 4 * lanes.count * (10 * clients + 10)
        for _ in 0..<5_000 {
            guard let (index, lane) = queue.pop() else { break }
            for other in waited.indices { waited[other] += 1 }
            #expect(waited[index] <= bound)
            waited[index] = 0
            queue.finish(lane, took: .milliseconds(Int.random(in: 1...8, using: &random)))
            if random.chance(5) {
                // The call is over, and another begins.
                queue.removeLane(lane)
                lanes[index] = queue.addLane(client: "\(Int.random(in: 0..<clients, using: &random))", weight: 1)
            }
            queue.push(index, in: lanes[index])
        }
        #expect(waited.allSatisfy { $0 <= bound }, "\(waited)")
    }

    @Test("Who leaves for a moment does not get rid of what he had; who was away does not save up")
    func leaving() {
        var queue = Queue()
        let steady = queue.addLane(client: "steady", weight: 1)
        queue.push(0, in: steady)
        // Another makes calls one after the other, each with a lane of its own.
        var lane = queue.addLane(client: "hasty", weight: 1)
        queue.push(1, in: lane)
        var served = [Duration.zero, .zero]
        for _ in 0..<1_000 {
            guard let (who, _) = queue.pop() else { break }
            served[who] += .milliseconds(4)
            queue.finish(who == 0 ? steady : lane, took: .milliseconds(4))
            if who == 1 {
                queue.removeLane(lane)
                lane = queue.addLane(client: "hasty", weight: 1)
            }
            queue.push(who, in: who == 0 ? steady : lane)
        }
        #expect(abs((served[0] - served[1]) / .milliseconds(1)) <= 8, "\(served)")

        // One who comes after all that gets his half from now on, not all until he has as much.
        let late = queue.addLane(client: "late", weight: 1)
        queue.push(2, in: late)
        var turns = [0, 0, 0]
        for _ in 0..<300 {
            guard let (who, _) = queue.pop() else { break }
            turns[who] += 1
            queue.finish([steady, lane, late][who], took: .milliseconds(4))
            queue.push(who, in: [steady, lane, late][who])
        }
        for count in turns { #expect((98...102).contains(count), "\(turns)") }
    }

    @Test("Nothing is kept of those who are gone", arguments: [UInt64](1...5))
    func nothingStays(seed: UInt64) {
        print("nothing stays: seed \(seed)")
        var random = RepeatableGenerator(seed: seed)
        var queue = Queue()
        for client in 0..<10_000 {
            let lane = queue.addLane(client: "\(client)", weight: 1)
            queue.push(client, in: lane)
            guard let (_, served) = queue.pop() else { break }
            queue.finish(served, took: .microseconds(Int.random(in: 0...9_000, using: &random)))
            queue.removeLane(lane)
            #expect(queue.laneCount == 0)
            #expect(queue.clientCount <= 1)
        }
    }

    @Test("A weight that is none is the least", arguments: [0, -1, .nan, -.infinity, .infinity, 1e300])
    func weightsOfNoUse(weight: Double) {
        var queue = Queue()
        let lane = queue.addLane(client: "a", weight: weight)
        queue.push(1, in: lane)
        let other = queue.addLane(client: "b", weight: 1)
        queue.push(2, in: other)
        var seen: [Int] = []
        for _ in 0..<10 {
            guard let (number, served) = queue.pop() else { break }
            seen.append(number)
            queue.finish(served, took: .milliseconds(1))
            queue.push(number, in: served)
        }
        #expect(Set(seen) == [1, 2])
    }
}
