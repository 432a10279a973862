import DiskImages
import Testing

@testable import DiskDeltaJobs

@Suite("Whose turn it is")
struct JobQueueTests {
    /// A queue that an expectation may change.
    private final class Shared {
        var value: JobQueue

        init(_ value: JobQueue) { self.value = value }

        func next() -> GUID? { value.next() }
        func withdraw(_ id: GUID) -> Bool { value.withdraw(id) }
        func admit(_ owner: String) -> Bool { value.admit(owner) }
    }

    private let queue: Shared

    init() {
        var limits = JobLimits()
        limits.running = 2
        limits.unendedPerIdentity = 3
        queue = Shared(JobQueue(limits: limits))
        queue.value.start()
    }

    private func id(_ number: UInt64) -> GUID { GUID(high: 0, low: number) }

    @Test("Two run, in the order of their coming, and each that ends makes room for one")
    func turns() {
        for number in 1...5 as ClosedRange<UInt64> { queue.value.append(id(number)) }
        #expect(queue.next() == id(1))
        #expect(queue.next() == id(2))
        #expect(queue.next() == nil)
        queue.value.finish(id(2))
        #expect(queue.next() == id(3))
        #expect(queue.next() == nil)
        #expect(queue.value.waiting == [id(4), id(5)])
        #expect(queue.value.running == [id(1), id(3)])
    }

    @Test("One that waits can be taken out, one that runs cannot")
    func withdrawal() {
        for number in 1...4 as ClosedRange<UInt64> { queue.value.append(id(number)) }
        _ = queue.next()
        #expect(queue.withdraw(id(3)))
        #expect(!queue.withdraw(id(3)))
        #expect(!queue.withdraw(id(1)))
        #expect(queue.value.waiting == [id(2), id(4)])
    }

    @Test("Nobody has more than he may, whatever others have")
    func limits() {
        for _ in 0..<3 { #expect(queue.admit("a")) }
        #expect(!queue.admit("a"))
        #expect(queue.admit("b"))
        queue.value.dismiss("a")
        #expect(queue.admit("a"))
        #expect(!queue.admit("a"))
    }

    @Test("What was there before the server counts, also where it is more than is allowed")
    func jobsOfBefore() {
        for _ in 0..<5 { queue.value.admitAnyway("a") }
        for _ in 0..<3 {
            #expect(!queue.admit("a"))
            queue.value.dismiss("a")
        }
        #expect(queue.admit("a"))
        #expect(!queue.admit("a"))
    }

    @Test("One who was never counted is not counted below nothing")
    func dismissal() {
        queue.value.dismiss("a")
        for _ in 0..<3 { #expect(queue.admit("a")) }
        #expect(!queue.admit("a"))
    }

    @Test func nothingRunsBeforeTheStart() {
        var queue = JobQueue(limits: JobLimits())
        queue.append(id(1))
        let early = queue.next()
        #expect(early == nil)
        queue.start()
        let next = queue.next()
        #expect(next == id(1))
    }

    @Test func nothingRunsAfterTheStop() {
        queue.value.append(id(1))
        queue.value.stop()
        #expect(queue.next() == nil)
        #expect(queue.value.waiting == [id(1)])
    }
}
