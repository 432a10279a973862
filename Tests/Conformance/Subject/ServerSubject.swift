internal import DiskDeltaProtocol
internal import DiskDeltaTransport
internal import Logging

/// A server whose one service does what the request's path says:
///
/// - `send N SIZE`: N messages with SIZE bytes of bits each, and the end
/// - `wait N SIZE`: the same, and then nothing until it is stopped; each message answers for a byte
/// - `refuse`: FILE_NOT_FOUND
///
/// It prints `listening on ADDRESS`, `opened WORDS` for each call, and `stopped` for each that was stopped before its end.
/// The line `drain` on its standard input stops it.
enum ServerSubject {
    static func run(_ options: Options) async {
        var configuration = ServerConfiguration()
        if let value = options.number("max_frame") { configuration.settings.maximumFrame = value }
        if let value = options.number("max_streams") { configuration.settings.maximumStreams = value }
        if let value = options.time("handshake") { configuration.times.handshake = value }
        if let value = options.time("grace") { configuration.gracePeriod = value }
        setLimits(of: &configuration, options)
        do {
            let server = try await RPCServer.bind(
                to: [try Endpoint(options["listen"] ?? "127.0.0.1:0")],
                router: ScriptedService.router,
                configuration: configuration,
                logger: Logger(label: "subject") { _ in SwiftLogNoOpLogHandler() }
            )
            say("listening on \(server.endpoints[0])")
            while let line = readLine(), line != "drain" {}
            await server.stop()
            say("drained")
        } catch {
            say("cannot listen: \(error)")
        }
    }

    private static func setLimits(of configuration: inout ServerConfiguration, _ options: Options) {
        if let value = options.number("min_ping_interval") { configuration.settings.minimumPingInterval = value }
        if let value = options.number("max_calls") { configuration.maximumCalls = Int(value) }
        if let value = options.number("max_connections") { configuration.maximumConnections = Int(value) }
        if let value = options.time("frame") { configuration.times.frame = value }
        if let value = options.time("idle") { configuration.times.idle = value }
        if let value = options.time("age") { configuration.times.age = value }
        if let value = options.time("stall") { configuration.times.stall = value }
        if let value = options.time("drain") { configuration.times.drain = value }
        if let value = options.time("keepalive") {
            let timeout = options.time("keepalive_timeout") ?? .seconds(20)
            configuration.times.keepalive = KeepaliveTimes(interval: value, timeout: timeout)
        }
    }
}

enum ScriptedService {
    static var router: ServiceRouter {
        var router = ServiceRouter()
        router.registerStreaming(
            MethodDescriptor(service: "test.Scripted", method: "Answer", isServerStreaming: true)
        ) { (request: GetVirtualDiskChangesRequest, _) throws(CallError) -> any ResponseStream<RangeAnswer> in
            say("opened \(request.path)")
            let words = request.path.split(separator: " ").map(String.init)
            guard words.first != "refuse" else { throw CallError(.fileNotFound, "there is no such disk") }
            return ScriptedStream(words)
        }
        // What the vectors open: a call that does not end by itself.
        router.registerStreaming(
            MethodDescriptor(service: "diskdelta.v1.Health", method: "Check", isServerStreaming: false)
        ) { (_: HealthCheckRequest, _) throws(CallError) -> any ResponseStream<RangeAnswer> in
            say("opened")
            return ScriptedStream(["wait"])
        }
        return router
    }
}

private final class ScriptedStream: ResponseStream {
    private let waits: Bool
    private let count: Int
    private let size: Int
    private var sent = 0
    private var hasEnded = false

    init(_ words: [String]) {
        waits = words.first == "wait"
        count = words.count > 1 ? Int(words[1]) ?? 0 : 0
        size = words.count > 2 ? Int(words[2]) ?? 0 : 0
    }

    deinit {
        if !hasEnded { say("stopped") }
    }

    func next() async throws(CallError) -> RangeAnswer? {
        if sent < count {
            sent += 1
            let bits = [UInt8](repeating: UInt8(truncatingIfNeeded: sent), count: size)
            return RangeAnswer(part: .bitmap(RangeBitmap(processedEnd: UInt64(sent), bits: Column(bits))))
        }
        if waits {
            do {
                try await Task.sleep(for: .seconds(3_600))
            } catch {
                throw CallError(.cancelled, "the call was stopped")
            }
        }
        hasEnded = true
        return nil
    }

    var resumeOffset: UInt64? { UInt64(sent) }

    var totals: AnswerTotals? { AnswerTotals(processed: UInt64(sent), ranges: 1, bytes: 2, dataBytes: 2) }
}
