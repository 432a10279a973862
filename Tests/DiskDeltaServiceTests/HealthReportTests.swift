import DiskDeltaProtocol
import Testing

@testable import DiskDeltaService

@Suite("Whether the server serves", .timeLimit(.minutes(1)))
struct HealthReportTests {
    private let report = HealthReport(services: ["diskdelta.v1.ImageManagement"])
    private let client: HealthClient

    init() {
        var router = ServiceRouter()
        router.register(report)
        client = HealthClient(InProcessInvoker(router))
    }

    @Test("Check knows the server as a whole and its services, and no others")
    func check() async throws {
        #expect(try await client.check(HealthCheckRequest()).status == .serving)
        let known = HealthCheckRequest(service: "diskdelta.v1.ImageManagement")
        #expect(try await client.check(known).status == .serving)
        let error = await #expect(throws: CallError.self) {
            try await client.check(HealthCheckRequest(service: "another"))
        }
        #expect(error?.status == .notFound)
        #expect(error?.message.contains("another") == true)
        report.stopServing()
        #expect(try await client.check(HealthCheckRequest()).status == .notServing)
        #expect(try await client.check(known).status == .notServing)
    }

    @Test(
        "Watch tells the state now, and at its change, and ends with the server",
        arguments: [
            "", "diskdelta.v1.ImageManagement",
        ]
    )
    func watch(service: String) async throws {
        let call = try await client.watch(HealthCheckRequest(service: service))
        #expect(try await call.next()?.status == .serving)
        async let change = call.next()
        report.stopServing()
        #expect(try await change?.status == .notServing)
        #expect(try await call.next() == nil)
        // Who begins to watch now hears it at once.
        let late = try await client.watch(HealthCheckRequest(service: service))
        #expect(try await late.next()?.status == .notServing)
        #expect(try await late.next() == nil)
    }

    @Test("Watch says of a service that is not there that it is not known")
    func watchUnknown() async throws {
        let call = try await client.watch(HealthCheckRequest(service: "another"))
        #expect(try await call.next()?.status == .serviceUnknown)
        async let end = call.next()
        report.stopServing()
        #expect(try await end == nil)
    }

    @Test("A watcher that goes is forgotten")
    func cancelling() async throws {
        let event = OneTimeEvent()
        for _ in 0..<100 {
            let waiter = Task { await event.wait() }
            waiter.cancel()
            await waiter.value
        }
        #expect(event.waiterCount == 0)
        let waiters = (0..<10).map { _ in Task { await event.wait() } }
        while event.waiterCount < 10 { await Task.yield() }
        waiters[3].cancel()
        await waiters[3].value
        #expect(event.waiterCount == 9)
        #expect(!event.hasHappened)
        event.happen()
        for waiter in waiters { await waiter.value }
        await event.wait()
        #expect(event.hasHappened)
    }
}
