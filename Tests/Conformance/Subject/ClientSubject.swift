internal import DiskDeltaClient
internal import DiskDeltaProtocol
internal import DiskDeltaTransport
internal import Logging

/// A client that does what the lines of its standard input say, one after the other, and answers each with one line.
///
///     connect ADDRESS                  connect ok | connect STATUS REASON
///     open NAME changes [KEY=VALUE …]  open NAME ok                         asks about ranges; does not wait
///     open NAME allocation, open NAME job                                   the same of what holds data, and of a job
///     open NAME batch N [KEY=VALUE …]  open NAME ok                         asks about N disks in one call
///     open NAME watch                  open NAME ok                         a stream of messages that are not looked into
///     next NAME                        next NAME batch | next NAME message | the end
///     all NAME                         reads to the end
///     check                            check ok | check STATUS REASON       a call with one answer
///     summary KIND [KEY=VALUE …]       summary ok | summary STATUS REASON   changes or allocation
///     cancel NAME                      cancel NAME ok
///     disconnect                       disconnect ok
///
/// The end of a call is told as `NAME complete COUNT` or `NAME STATUS REASON COUNT`, with what was handed out so far: the
/// ranges as OFFSET+LENGTH+KIND, or the number of messages. Of many disks each is told, with a semicolon between them: `complete`,
/// or STATUS:REASON, and after a colon its ranges.
struct ClientSubject {
    /// A call under way.
    private final class Call: @unchecked Sendable {
        enum Kind {
            case ranges(Task<RangeStream, any Error>)
            case manyRanges(Task<ManyRangeStream, any Error>)
            case messages(Task<TypedCall<HealthCheckResponse>, any Error>)
        }

        let kind: Kind
        var batches: RangeStream.Iterator?
        var ranges: [ChangedRange] = []
        var messages = 0
        /// Of many disks, what was handed out of each.
        var disks: [ManyDisk]
        var diskMessages: ManyRangeStream.Iterator?

        init(_ kind: Kind, disks: Int = 0) {
            self.kind = kind
            self.disks = Array(repeating: ManyDisk(), count: disks)
        }

        var handedOut: String {
            switch kind {
            case .messages: "\(messages)"
            case .ranges: text(of: ranges)
            case .manyRanges: disks.map { "\($0.end ?? "open"):\(text(of: $0.ranges))" }.joined(separator: ";")
            }
        }
    }

    private struct ManyDisk {
        var ranges: [ChangedRange] = []
        /// `complete`, or STATUS:REASON; nil before its end.
        var end: String?
    }

    private static func text(of ranges: [ChangedRange]) -> String {
        let texts = ranges.map { "\($0.offset)+\($0.length)+\($0.kind == .zero ? "zero" : "data")" }
        return texts.isEmpty ? "-" : texts.joined(separator: ",")
    }

    private var settings = ClientSettings.default
    private var times = ClientTimes()
    /// Whether calls are made again, over a connection that is made again.
    private var usesChannel = false
    private var connection: RPCConnection?
    private var channel: RPCChannel?
    private var calls: [String: Call] = [:]

    static func run(_ options: Options) async {
        var subject = ClientSubject()
        if let value = options.number("max_frame") { subject.settings.maximumFrame = value }
        if let value = options.number("stream_credit") { subject.settings.streamCredit = value }
        if let value = options.number("connection_credit") { subject.settings.connectionCredit = value }
        subject.usesChannel = options.number("channel") == 1
        if let value = options.time("keepalive") {
            let timeout = options.time("keepalive_timeout") ?? .seconds(20)
            subject.times.keepalive = KeepaliveTimes(interval: value, timeout: timeout)
        }
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            say(await subject.answer(words))
        }
    }

    private mutating func answer(_ words: [String]) async -> String {
        let name = words.count > 1 ? words[1] : ""
        switch words.first {
        case "connect":
            calls = [:]
            do {
                try await connect(to: try Endpoint(name))
                return "connect ok"
            } catch {
                return "connect \(Self.text(error))"
            }
        case "open":
            guard let invoker, words.count > 2 else { return "not connected" }
            if words[2] == "batch" {
                guard words.count > 3, let count = Int(words[3]), (0...64).contains(count) else {
                    return "not understood"
                }
                calls[name] = Self.openMany(invoker, count, Options(words.dropFirst(4)))
            } else {
                calls[name] = Self.open(invoker, words[2], Options(words.dropFirst(3)))
            }
            return "open \(name) ok"
        case "next", "all":
            guard let call = calls[name] else { return "no call \(name)" }
            return "\(words[0]) \(name) \(await Self.read(call, toTheEnd: words[0] == "all"))"
        case "check":
            guard let invoker else { return "not connected" }
            do {
                _ = try await DiskDeltaClient(invoker).health.check(HealthCheckRequest())
                return "check ok"
            } catch {
                return "check \(Self.text(error))"
            }
        case "summary":
            guard let invoker else { return "not connected" }
            do {
                let client = DiskDeltaClient(invoker)
                let options = Options(words.dropFirst(2))
                if name == "allocation" {
                    _ = try await client.allocationSummary(Self.allocationAsked(options))
                } else {
                    _ = try await client.changesSummary(Self.changesAsked(options))
                }
                return "summary ok"
            } catch {
                return "summary \(Self.text(error))"
            }
        case "cancel":
            switch calls.removeValue(forKey: name)?.kind {
            case .ranges(let task): (try? await task.value)?.cancel()
            case .manyRanges(let task): (try? await task.value)?.cancel()
            case .messages(let task): (try? await task.value)?.cancel()
            case nil: break
            }
            return "cancel \(name) ok"
        case "disconnect":
            await connection?.close()
            await channel?.close()
            connection = nil
            channel = nil
            return "disconnect ok"
        default:
            return "not understood"
        }
    }

    private var invoker: (any CallInvoker)? { channel ?? connection }

    private mutating func connect(to endpoint: Endpoint) async throws {
        let logger = Logger(label: "subject") { _ in SwiftLogNoOpLogHandler() }
        if usesChannel {
            var configuration = ChannelConfiguration()
            configuration.settings = settings
            let channel = try RPCChannel(to: endpoint, configuration: configuration, logger: logger)
            try await channel.connect()
            self.channel = channel
        } else {
            connection = try await RPCConnection.connect(to: endpoint, settings: settings, times: times, logger: logger)
        }
    }

    private static func open(_ invoker: any CallInvoker, _ kind: String, _ options: Options) -> Call {
        let patience = options.time("patience") ?? .zero
        let client = DiskDeltaClient(invoker, ranges: RangeOptions(resuming: ResumePolicy(patience: patience)))
        let callOptions = CallOptions(timeout: options.time("timeout"), waitForReady: options.number("wait") == 1)
        if kind == "watch" {
            return Call(.messages(Task { try await client.health.watch(HealthCheckRequest(), options: callOptions) }))
        }
        switch kind {
        case "job":
            let request = JobResultsRequest(id: "j", byteOffset: options.bytes("offset") ?? 0)
            return Call(.ranges(Task { try await client.jobResults(request, options: callOptions) }))
        case "allocation":
            let request = allocationAsked(options)
            return Call(.ranges(Task { try await client.allocation(request, options: callOptions) }))
        default:
            let request = changesAsked(options)
            return Call(.ranges(Task { try await client.changes(request, options: callOptions) }))
        }
    }

    private static func changesAsked(_ options: Options, of disk: String? = nil) -> GetVirtualDiskChangesRequest {
        GetVirtualDiskChangesRequest(
            path: disk ?? options["disk"] ?? "disk",
            limitID: "b",
            targetSnapshotID: options["target"] ?? "",
            byteOffset: options.bytes("offset") ?? 0,
            byteLength: options.bytes("length"),
            granularity: options.bytes("granularity") ?? 0,
            ifEpoch: options["epoch"] ?? "",
            onUnavailable: OnUnavailable(rawValue: Int32(options.number("unavailable") ?? 0)),
            assumeAtRest: options.number("at_rest") == 1,
            imageFormat: ImageFormat(rawValue: Int32(options.number("format") ?? 0)),
            ifSize: options.bytes("size")
        )
    }

    private static func allocationAsked(_ options: Options) -> GetVirtualDiskAllocationRequest {
        let changes = changesAsked(options)
        return GetVirtualDiskAllocationRequest(
            path: changes.path,
            byteOffset: changes.byteOffset,
            byteLength: changes.byteLength,
            granularity: changes.granularity,
            ifEpoch: changes.ifEpoch,
            assumeAtRest: changes.assumeAtRest,
            imageFormat: changes.imageFormat,
            ifSize: changes.ifSize
        )
    }

    private static func openMany(_ invoker: any CallInvoker, _ count: Int, _ options: Options) -> Call {
        let patience = options.time("patience") ?? .zero
        let client = DiskDeltaClient(invoker, ranges: RangeOptions(resuming: ResumePolicy(patience: patience)))
        let callOptions = CallOptions(timeout: options.time("timeout"))
        let requests = (0..<count).map { changesAsked(options, of: "disk\($0)") }
        let task = Task { try await client.changes(ofMany: requests, options: callOptions) }
        return Call(.manyRanges(task), disks: count)
    }

    private static func read(_ call: Call, toTheEnd: Bool) async -> String {
        do {
            switch call.kind {
            case .ranges(let task):
                let stream = try await task.value
                var batches = call.batches ?? stream.makeAsyncIterator()
                defer { call.batches = batches }
                while let batch = try await batches.next() {
                    call.ranges += batch.ranges
                    if !toTheEnd { return "batch" }
                }
            case .manyRanges(let task):
                let stream = try await task.value
                var messages = call.diskMessages ?? stream.makeAsyncIterator()
                defer { call.diskMessages = messages }
                while let message = try await messages.next() {
                    switch message.content {
                    case .header: break
                    case .end(.success): call.disks[message.disk].end = "complete"
                    case .end(.failure(let error)): call.disks[message.disk].end = text(error, separator: ":")
                    case .batch(let batch):
                        call.disks[message.disk].ranges += batch.ranges
                        if !toTheEnd { return "batch" }
                    }
                }
            case .messages(let task):
                let messages = try await task.value
                while try await messages.next() != nil {
                    call.messages += 1
                    if !toTheEnd { return "message" }
                }
            }
            return "complete \(call.handedOut)"
        } catch {
            // A call that failed before anything came tells no disk by itself.
            for disk in call.disks.indices where call.disks[disk].end == nil {
                call.disks[disk].end = text(error, separator: ":")
            }
            return "\(text(error)) \(call.handedOut)"
        }
    }

    private static func text(_ error: any Error, separator: String = " ") -> String {
        guard let error = error as? CallError else { return "\(error)" }
        return "\(error.status.rawValue)\(separator)\(error.reason.name)"
    }
}
