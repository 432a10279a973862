public import DiskDeltaProtocol
internal import DiskDeltaTransport

/// Asks a DiskDelta server which ranges of its disks changed.
///
/// ```swift
/// try await withDiskDeltaClient(to: "127.0.0.1:7420") { client in
///     let changes = try await client.changes(of: "vms/web.avhdx", since: "{5bfde23b-ce75-4303-b54f-6c18394f105c}")
///     for try await range in changes.ranges {
///         print(range.offset, range.length, range.kind)
///     }
/// }
/// ```
///
/// The loop ends without an error only when the answer is complete. A client may be used from many tasks at once: their calls
/// share one connection.
public struct DiskDeltaClient: Sendable {
    /// The calls about disks, one for each method of the service.
    public let images: ImageManagementClient
    /// The calls about questions that outlive a connection. ``jobResults(_:options:)`` and ``endOfJob(_:options:)`` are easier to use.
    public let jobs: JobsClient
    /// The calls about the server itself.
    public let server: ServerInfoClient
    public let health: HealthClient

    /// How answers about ranges are read. A copy of the client may have others.
    public var ranges: RangeOptions

    /// What this client connects by; nil where somebody else does.
    let channel: RPCChannel?

    /// A client whose calls `invoker` carries.
    public init(_ invoker: any CallInvoker, ranges: RangeOptions = RangeOptions()) {
        self.init(invoker, ranges: ranges, channel: nil)
    }

    init(_ invoker: any CallInvoker, ranges: RangeOptions, channel: RPCChannel?) {
        images = ImageManagementClient(invoker)
        jobs = JobsClient(invoker)
        server = ServerInfoClient(invoker)
        health = HealthClient(invoker)
        self.ranges = ranges
        self.channel = channel
    }

    /// The ranges of a disk that changed since a baseline, as they arrive.
    ///
    /// Returns when the header has arrived. An answer that breaks after it is resumed, as ``ranges`` says; the time of
    /// `options` spans all of it.
    public func changes(
        _ request: GetVirtualDiskChangesRequest,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> RangeStream {
        let question = RangeQuestion(AnswerExpectation(request)) { [images] (part, options) async throws(CallError) in
            try await images.getVirtualDiskChanges(request.asked(for: part), options: options)
        }
        return try await RangeStream(question, options: options, ranges)
    }

    /// The ranges of the whole of a disk that changed since `since`, up to `target` (empty: now).
    ///
    /// - Parameters:
    ///   - assumeAtRest: the caller knows that whoever has a file of the disk open for writing is quiet, so that the answer does
    ///     not wait for proof of it; the `assumedAtRest` of its header then says so.
    ///   - imageFormat: the format of a file whose name claims none; `unknown`: as its name or its content says.
    ///   - ifSize: the size in bytes that the target must have, else the answer is EPOCH_CHANGED; nil: any.
    public func changes(
        of disk: String,
        since: String,
        target: String = "",
        assumeAtRest: Bool = false,
        imageFormat: ImageFormat = .unknown,
        ifSize: UInt64? = nil,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> RangeStream {
        try await changes(
            GetVirtualDiskChangesRequest(
                path: disk,
                limitID: since,
                targetSnapshotID: target,
                assumeAtRest: assumeAtRest,
                imageFormat: imageFormat,
                ifSize: ifSize
            ),
            options: options
        )
    }

    /// The ranges of many disks that changed, each since its own baseline, in one call.
    ///
    /// ```swift
    /// for try await message in try await client.changes(ofMany: questions) {
    ///     switch message.content {
    ///     case .header(let header): begin(message.disk, header)
    ///     case .batch(let batch): batch.forEach { copy(message.disk, $0) }
    ///     case .end(.success): finish(message.disk)
    ///     case .end(.failure(let error)): giveUp(message.disk, error)
    ///     }
    /// }
    /// ```
    ///
    /// Returns when the first message has arrived. The same disk may be asked about more than once. How many a server takes in one
    /// question, `maxBatchDisks` among its limits says.
    public func changes(
        ofMany requests: [GetVirtualDiskChangesRequest],
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> ManyRangeStream {
        try await ManyRangeStream(requests, images, options: options, ranges)
    }

    /// The ranges of a disk that hold data, as they arrive.
    ///
    /// Returns when the header has arrived. An answer that breaks after it is resumed, as ``ranges`` says; the time of
    /// `options` spans all of it.
    public func allocation(
        _ request: GetVirtualDiskAllocationRequest,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> RangeStream {
        let question = RangeQuestion(AnswerExpectation(request)) { [images] (part, options) async throws(CallError) in
            try await images.getVirtualDiskAllocation(request.asked(for: part), options: options)
        }
        return try await RangeStream(question, options: options, ranges)
    }
}
