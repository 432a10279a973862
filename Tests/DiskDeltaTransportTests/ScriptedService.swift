import DiskDeltaProtocol
import DiskDeltaTransport
import Logging
import Synchronization

/// A service that does what the path of the request says:
///
/// - `send N SIZE`: N messages with SIZE bytes of bits each, then the end
/// - `wait N SIZE`: the same, but instead of the end it waits until it is cancelled; each message answers for 4,096 bytes
/// - `block`: it does not heed its cancellation, and ends when ``release()`` is called
/// - `refuse`: FILE_NOT_FOUND
/// - `fail`: a message, then IMAGE_CORRUPT at offset 4096
final class ScriptedService: Sendable {
    struct Counts: Equatable {
        var opened = 0
        var pulled = 0
        var cancelled = 0
        /// The answers that nobody holds any more.
        var released = 0
        var isReleased = false
    }

    let counts = Mutex(Counts())

    static let method = MethodDescriptor(service: "test.Scripted", method: "Answer", isServerStreaming: true)

    var router: ServiceRouter {
        var router = ServiceRouter()
        router.registerStreaming(Self.method) { (request: GetVirtualDiskChangesRequest, _) throws(CallError) in
            self.counts.withLock { $0.opened += 1 }
            let words = request.path.split(separator: " ").map(String.init)
            guard words.first != "refuse" else { throw CallError(.fileNotFound, "there is no such disk") }
            return ScriptedStream(self, words) as any ResponseStream<RangeAnswer>
        }
        return router
    }

    func release() {
        counts.withLock { $0.isReleased = true }
    }

    static func message(_ index: Int, size: Int) -> RangeAnswer {
        let bits = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size)
        return RangeAnswer(part: .bitmap(RangeBitmap(processedEnd: UInt64(index), bits: Column(bits))))
    }

    /// The totals of an answer of `count` messages.
    static func totals(_ count: Int) -> AnswerTotals {
        AnswerTotals(processed: UInt64(count), ranges: 1, bytes: 2, dataBytes: 2)
    }
}

private final class ScriptedStream: ResponseStream {
    private let service: ScriptedService
    private let words: [String]
    private var sent = 0

    init(_ service: ScriptedService, _ words: [String]) {
        self.service = service
        self.words = words
    }

    deinit {
        service.counts.withLock { $0.released += 1 }
    }

    private func number(_ index: Int) -> Int {
        words.indices.contains(index) ? Int(words[index]) ?? 0 : 0
    }

    func next() async throws(CallError) -> RangeAnswer? {
        service.counts.withLock { $0.pulled += 1 }
        switch words.first {
        case "block":
            while !service.counts.withLock(\.isReleased) { await Task.yield() }
            return nil
        case "fail":
            guard sent == 0 else { throw CallError(.imageCorrupt, "a block is damaged", resumeOffset: 4_096) }
            sent += 1
            return ScriptedService.message(1, size: 8)
        default:
            if sent < number(1) {
                sent += 1
                return ScriptedService.message(sent, size: number(2))
            }
            guard words.first == "wait" else { return nil }
            do {
                try await Task.sleep(for: .seconds(3_600))
            } catch {
                service.counts.withLock { $0.cancelled += 1 }
                throw CallError(.cancelled, "the call was cancelled")
            }
            return nil
        }
    }

    var totals: AnswerTotals? { ScriptedService.totals(sent) }

    var resumeOffset: UInt64? { words.first == "wait" ? UInt64(sent) * 4_096 : nil }
}

/// A server with a scripted service on a free port of this machine.
struct TestServer {
    let service = ScriptedService()
    let server: RPCServer

    var endpoint: Endpoint { server.endpoints[0] }

    var counts: ScriptedService.Counts { service.counts.withLock { $0 } }

    static func with<Result>(
        _ configuration: ServerConfiguration = ServerConfiguration(),
        on endpoint: Endpoint = .tcp(host: "127.0.0.1", port: 0),
        _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        let test = try await TestServer(configuration, endpoint)
        do {
            let result = try await body(test)
            await test.server.stop()
            return result
        } catch {
            await test.server.stop()
            throw error
        }
    }

    private init(_ configuration: ServerConfiguration, _ endpoint: Endpoint) async throws {
        server = try await RPCServer.bind(
            to: [endpoint],
            router: service.router,
            configuration: configuration,
            logger: .quiet
        )
    }

    func connect(_ settings: ClientSettings = .default) async throws -> RPCConnection {
        try await RPCConnection.connect(to: endpoint, settings: settings, logger: .quiet)
    }

    /// Waits until the counts of the service are as they should be; the time limit of the test ends it otherwise.
    func until(_ condition: (ScriptedService.Counts) -> Bool) async throws {
        while !condition(counts) { try await Task.sleep(for: .milliseconds(2)) }
    }
}

extension Logger {
    static var quiet: Logger {
        Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    }
}

extension RPCConnection {
    /// Starts a call of the scripted service.
    func start(_ script: String, timeout: Duration? = nil) async throws(CallError) -> TypedCall<RangeAnswer> {
        try await stream(
            ScriptedService.method,
            request: GetVirtualDiskChangesRequest(path: script),
            options: CallOptions(timeout: timeout)
        )
    }

    /// Makes a call and reads it to its end: how many messages came.
    func run(_ script: String, timeout: Duration? = nil) async throws(CallError) -> Int {
        try await start(script, timeout: timeout).readToEnd()
    }
}

extension TypedCall<RangeAnswer> {
    func readToEnd() async throws(CallError) -> Int {
        var count = 0
        while try await next() != nil { count += 1 }
        return count
    }
}

/// What a call throws; nil where it does not.
func error(of body: () async throws -> Void) async -> CallError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? CallError
    }
}
