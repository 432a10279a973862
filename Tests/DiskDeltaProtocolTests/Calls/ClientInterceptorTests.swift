import DiskDeltaProtocol
import Synchronization
import Testing

@Suite("Interceptors of a client")
struct ClientInterceptorTests {
    /// Remembers the metadata of what it is asked, and carries nothing.
    private final class Recorder: CallInvoker {
        let asked = Mutex<[Metadata]>([])

        func open(
            _ method: MethodDescriptor,
            request: some Message,
            options: CallOptions
        ) async throws(CallError) -> any OutstandingCall {
            asked.withLock { $0.append(options.metadata) }
            throw CallError(.serverUnavailable, "nobody is there")
        }
    }

    private struct Label: ClientInterceptor {
        let label: String

        func intercept(
            _ method: MethodDescriptor,
            request: some Message,
            options: CallOptions,
            next: any CallInvoker
        ) async throws(CallError) -> any OutstandingCall {
            var options = options
            guard options.metadata.append("label", Array(label.utf8)) else {
                throw CallError(.invalidParameter, "the label is too long")
            }
            return try await next.open(method, request: request, options: options)
        }
    }

    private static func metadata(_ key: String, _ value: [UInt8]) -> Metadata {
        var metadata = Metadata()
        _ = metadata.append(key, value)
        return metadata
    }

    private func ask(
        _ recorder: Recorder,
        by interceptors: [any ClientInterceptor],
        _ options: CallOptions = CallOptions()
    ) async -> CallError? {
        let client = HealthClient(recorder.intercepted(by: interceptors))
        return await #expect(throws: CallError.self) { try await client.check(HealthCheckRequest(), options: options) }
    }

    @Test func theFirstSeesACallFirst() async {
        let recorder = Recorder()
        let error = await ask(recorder, by: [Label(label: "a"), Label(label: "b")])
        #expect(error?.reason == .serverUnavailable)
        let values = recorder.asked.withLock { $0[0].entries.map(\.value) }
        #expect(values == [Array("a".utf8), Array("b".utf8)])
    }

    @Test func anInterceptorCanRefuse() async {
        let recorder = Recorder()
        let error = await ask(recorder, by: [Label(label: String(repeating: "x", count: 9_000))])
        #expect(error?.reason == .invalidParameter)
        #expect(recorder.asked.withLock { $0.isEmpty })
    }

    @Test func aTokenTravelsInItsForm() async throws {
        let recorder = Recorder()
        _ = await ask(recorder, by: [try TokenAuthentication("aZ09-._~+/=")])
        #expect(recorder.asked.withLock { $0[0]["authorization"] } == Array("Bearer aZ09-._~+/=".utf8))
    }

    @Test(
        "A token that is none",
        arguments: ["", " ", "a b", "a\n", "ä", "a,b", "\0", String(repeating: "a", count: 4_097)]
    )
    func badTokens(token: String) {
        let error = #expect(throws: CallError.self) { try TokenAuthentication(token) }
        #expect(error?.reason == .invalidParameter)
        if token.utf8.count > 1 { #expect(error?.message.contains(token) == false, "a secret is not repeated") }
    }

    @Test func whatTheCallerSaysItselfIsNotReplaced() async throws {
        let options = CallOptions(metadata: Self.metadata("authorization", Array("Bearer mine".utf8)))
        let recorder = Recorder()
        #expect(await ask(recorder, by: [try TokenAuthentication("other")], options)?.reason == .invalidParameter)
        #expect(recorder.asked.withLock { $0.isEmpty })
    }

    @Test func previousAttempts() {
        var options = CallOptions(metadata: Self.metadata("label", [1]))
        #expect(options.previousAttempts == 0)
        for count in [1, 12, 3] {
            options.previousAttempts = count
            #expect(options.previousAttempts == count)
            #expect(options.metadata["diskdelta-previous-attempts"] == Array("\(count)".utf8))
            #expect(options.metadata.entries.map(\.key) == ["label", "diskdelta-previous-attempts"])
        }
        options.previousAttempts = 0
        #expect(options.metadata.entries.map(\.key) == ["label"])
    }
}
