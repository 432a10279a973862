import DiskDeltaTransport
import Foundation
import Synchronization
import Testing

/// The threads on which files are read.
@Suite("A pool for work that blocks", .timeLimit(.minutes(2)))
struct FileWorkPoolTests {
    /// Names the thread that asks: PROCESS/task/THREAD.
    private static func thread() -> String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")) ?? ""
    }

    private static func isAlive(_ thread: String) -> Bool {
        FileManager.default.fileExists(atPath: "/proc/\(thread)")
    }

    /// Counts how many are inside at a time.
    private final class Gate: Sendable {
        struct Counts {
            var inside = 0
            var most = 0
        }

        private let state = Mutex(Counts())
        private let opening = DispatchSemaphore(value: 0)

        var inside: Int { state.withLock { $0.inside } }
        var most: Int { state.withLock { $0.most } }

        /// Blocks its thread until ``open(_:)``.
        func pass() {
            state.withLock { state in
                state.inside += 1
                state.most = max(state.most, state.inside)
            }
            opening.wait()
            state.withLock { $0.inside -= 1 }
        }

        func open(_ count: Int) {
            for _ in 0..<count { opening.signal() }
        }
    }

    private final class Turns: Sendable {
        let isOver = Atomic(false)
        let count = Atomic(0)
    }

    private func until(_ condition: () -> Bool) async throws {
        while !condition() { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test func asManyWorkAsThereAreThreads() async throws {
        let pool = FileWorkPool(threads: 3)
        let gate = Gate()
        let tasks = (0..<10).map { number in
            Task(executorPreference: pool.lane(client: "\(number)")) { gate.pass() }
        }
        try await until { gate.inside == 3 && pool.waitingCount == 7 }
        gate.open(10)
        for task in tasks { await task.value }
        #expect(gate.most == 3)
        #expect(pool.waitingCount == 0)
    }

    @Test("A task goes on in its lane after it was suspended, and so do its children")
    func lanes() async {
        let pool = FileWorkPool(threads: 1)
        let task = Task(executorPreference: pool.lane(client: "a")) {
            var threads = [Self.thread()]
            await Task.yield()
            threads.append(Self.thread())
            try? await Task.sleep(for: .milliseconds(1))
            threads.append(Self.thread())
            async let child = Self.thread()
            return threads + [await child]
        }
        let threads = await task.value
        #expect(threads[0].contains("/task/"))
        #expect(Set(threads).count == 1, "\(threads)")
    }

    @Test("A short call does not wait for long ones of its client")
    func shortBeforeLong() async throws {
        let pool = FileWorkPool(threads: 1)
        let state = Turns()
        let long = (0..<50).map { _ in
            Task(executorPreference: pool.lane(client: "a")) {
                while !state.isOver.load(ordering: .relaxed) {
                    let end = ContinuousClock.now + .milliseconds(1)
                    while ContinuousClock.now < end {}
                    state.count.add(1, ordering: .relaxed)
                    await Task.yield()
                }
            }
        }
        // Each of them has had some turns.
        try await until { state.count.load(ordering: .relaxed) > 200 }
        let before = state.count.load(ordering: .relaxed)
        let passed = await Task(executorPreference: pool.lane(client: "a")) {
            for _ in 0..<3 { await Task.yield() }
            return state.count.load(ordering: .relaxed)
        }.value
        state.isOver.store(true, ordering: .relaxed)
        for task in long { await task.value }
        // One that runs already, and the fourth turn that goes to who has waited longest.
        #expect(passed - before <= 10)
    }

    @Test("Its threads end when nobody holds it or a lane of it")
    func ending() async throws {
        let last = try await workWithoutPool()
        try await until { last.lane == nil && !Self.isAlive(last.thread) }
    }

    private final class Last {
        weak var lane: FileWorkLane?
        var thread = ""
    }

    /// Has something done by a pool that only its lane holds. Afterwards nobody holds the lane.
    private func workWithoutPool() async throws -> Last {
        let lane = FileWorkPool(threads: 3).lane(client: "a")
        let gate = Gate()
        let task = Task(executorPreference: lane) {
            gate.pass()
            return Self.thread()
        }
        try await until { gate.inside == 1 }
        gate.open(1)
        let last = Last()
        last.thread = await task.value
        last.lane = lane
        #expect(Self.isAlive(last.thread))
        return last
    }
}
