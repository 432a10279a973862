import DiskDeltaProtocol
import DiskDeltaTransport
import Synchronization
import Testing

@Suite("What a server's interceptors see", .timeLimit(.minutes(2)))
struct InterceptorTests {
    /// Writes down what it sees, and refuses callers whose metadata say so.
    final class Recorder: ServerInterceptor {
        let records = Mutex<[CallRecord]>([])
        let begun = Mutex(0)

        func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
            begun.withLock { $0 += 1 }
            context.identity = "somebody"
        }

        func end(_ record: CallRecord) {
            records.withLock { $0.append(record) }
        }

        /// Waits until so many calls are over.
        func until(_ count: Int) async throws -> [CallRecord] {
            while records.withLock(\.count) < count { try await Task.sleep(for: .milliseconds(2)) }
            return records.withLock(\.self)
        }
    }

    /// Lets nobody in.
    struct Refusal: ServerInterceptor {
        func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
            throw CallError(.unauthenticated, "\(context.identity) is not let in")
        }
    }

    private func withServer<Result>(
        and others: [any ServerInterceptor] = [],
        _ body: (TestServer, Recorder) async throws -> Result
    ) async throws -> Result {
        let recorder = Recorder()
        var configuration = ServerConfiguration()
        configuration.interceptors = [recorder] + others
        return try await TestServer.with(configuration) { try await body($0, recorder) }
    }

    private func callUnknownMethod(_ connection: RPCConnection) async -> CallError? {
        let unknown = MethodDescriptor(service: "no.Such", method: "Thing", isServerStreaming: false)
        let request = HealthCheckRequest()
        return await error {
            _ = try await connection.unary(unknown, request: request, options: CallOptions()) as HealthCheckResponse
        }
    }

    @Test("A whole answer is counted")
    func success() async throws {
        try await withServer { test, recorder in
            let connection = try await test.connect()
            #expect(try await connection.run("send 3 1000") == 3)
            let record = try #require(try await recorder.until(1).first)
            #expect(record.path == ScriptedService.method.path)
            #expect(record.method == ScriptedService.method)
            #expect(record.context.identity == "somebody")
            #expect(record.context.caller.isLocal)
            #expect(record.status == .ok)
            #expect(record.reason == .none)
            #expect(record.counts.messages == 3)
            #expect(record.counts.bytes > 3_000 && record.counts.bytes < 3_100)
            #expect(record.counts.ranges == 1)
            let first = try #require(record.counts.timeToFirstMessage)
            #expect(first <= record.counts.duration)
        }
    }

    @Test("What the service refuses, what fails, and what names no method")
    func failures() async throws {
        try await withServer { test, recorder in
            let connection = try await test.connect()
            _ = await error { _ = try await connection.run("refuse") }
            _ = await error { _ = try await connection.run("fail") }
            _ = await callUnknownMethod(connection)
            let records = try await recorder.until(3)
            #expect(records.map(\.reason) == [.fileNotFound, .imageCorrupt, .unsupported])
            #expect(records.map(\.counts.messages) == [0, 1, 0])
            #expect(records.map { $0.method != nil } == [true, true, false])
            #expect(records[0].counts.timeToFirstMessage == nil)
        }
    }

    @Test("What the caller was told counts, not what the service says afterwards")
    func deadline() async throws {
        try await withServer { test, recorder in
            let connection = try await test.connect()
            _ = await error { _ = try await connection.run("wait 1 1", timeout: .milliseconds(50)) }
            let record = try #require(try await recorder.until(1).first)
            // The client cancels when its own time is up: whichever of the two came first.
            #expect(record.reason == .deadline || record.reason == .cancelled)

            let call = try await connection.start("wait 1 1")
            _ = try await call.next()
            call.cancel()
            #expect(try await recorder.until(2).last?.reason == .cancelled)
        }
    }

    @Test("Where one refuses, the service hears nothing, and those before it are told")
    func refusal() async throws {
        try await withServer(and: [Refusal(), Recorder()]) { test, recorder in
            let connection = try await test.connect()
            let refusal = await error { _ = try await connection.run("send 1 1") }
            #expect(refusal == CallError(.unauthenticated, "somebody is not let in"))
            // Nor is it told which methods there are.
            #expect(await callUnknownMethod(connection)?.reason == .unauthenticated)
            #expect(try await recorder.until(2).map(\.status) == [.unauthenticated, .unauthenticated])
            #expect(test.counts.opened == 0)
        }
    }

    @Test("They end in the opposite order of their beginning")
    func order() async throws {
        final class Log: Sendable {
            let lines = Mutex<[String]>([])
        }
        struct Named: ServerInterceptor {
            let name: String
            let note: @Sendable (String) -> Void
            func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
                note("begin \(name)")
            }
            func end(_ record: CallRecord) { note("end \(name)") }
        }
        let log = Log()
        let names = ["a", "b"].map { name in Named(name: name) { line in log.lines.withLock { $0.append(line) } } }
        try await withServer(and: names) { test, recorder in
            _ = try await test.connect().run("send 1 1")
            _ = try await recorder.until(1)
        }
        #expect(log.lines.withLock(\.self) == ["begin a", "begin b", "end b", "end a"])
    }
}
