internal import DiskDeltaProtocol
internal import Logging
internal import NIOCore

/// Drives a ``ServerConnection`` by a channel, and the tasks of its calls. All of it happens on the channel's event loop.
final class ServerConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Call {
        /// The call as the interceptors see it.
        var intercepted: InterceptedCall
        /// Its place among the calls of its client, once it has one.
        var place: ConnectionTable.Place?
        var task: Task<Void, Never>?
        /// The task, while it waits for credit.
        var waiting: CheckedContinuation<Bool, Never>?
        var deadline: Scheduled<Void>?
        /// What of a range answer the messages sent so far answer for.
        var position: UInt64?
        /// It waits because the client has left it without credit.
        var isStalled = false
    }

    private let router: ServiceRouter
    private let configuration: ServerConfiguration
    private let pool: FileWorkPool
    private let table: ConnectionTable
    private var logger: Logger

    private var connection: ServerConnection
    /// Who is at the other end. Over TLS it is known when the handshake is over, before anything of the protocol arrives.
    var caller = Caller(peer: "", isLocal: false)
    private var input = InputBuffer()
    private var calls: [StreamID: Call] = [:]
    private var context: ChannelHandlerContext?
    private var writer: FrameWriter?
    private var alarm: Alarm?
    private var isClosing = false

    init(
        router: ServiceRouter,
        configuration: ServerConfiguration,
        pool: FileWorkPool,
        table: ConnectionTable,
        logger: Logger
    ) {
        self.router = router
        self.configuration = configuration
        self.pool = pool
        self.table = table
        self.logger = logger
        var random = SystemRandomNumberGenerator()
        connection = ServerConnection(
            settings: configuration.settings,
            times: configuration.times.varied(using: &random),
            at: .now
        )
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        caller = Caller(plain: context.channel)
        logger[metadataKey: "peer"] = "\(caller.peer)"
        logger.debug("a client has connected")
        writer = FrameWriter(context)
        alarm = Alarm(on: context.eventLoop) { [weak self] in self?.timePassed() }
        settle()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        let now = ContinuousClock.now
        input.append(unwrapInboundIn(data))
        while !isClosing, let piece = input.take(connection.bytesNeeded) {
            let action = connection.receive(piece.readableBytesSpan, at: now)
            if action != .none { perform(action, piece) }
        }
        connection.heard(unread: input.count, at: now)
        settle()
    }

    private func timePassed() {
        let now = ContinuousClock.now
        while !isClosing {
            let action = connection.timePassed(at: now)
            guard action != .none else { break }
            perform(action, ByteBuffer())
        }
        settle()
    }

    /// What may follow from anything that happened.
    private func settle() {
        resumeReady()
        closeIfDrained()
        if !isClosing { alarm?.set(connection.nextDeadline) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        resumeReady()
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        logger.debug("the connection has ended")
        stopEverything()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        stopEverything()
        writer?.detach()
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("the connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    // MARK: What follows from what arrived

    private func perform(_ action: ServerAction, _ piece: ByteBuffer) {
        switch action {
        case .none:
            break
        case .sendPreface:
            write(OutgoingFrames.greeting(configuration.settings.entries))
        case .ready:
            break
        case .open(let stream, let open, let timeout):
            start(stream, open, timeout, piece)
        case .refuse(let stream):
            writeUnpaid(OutgoingFrames.bare(FrameHeader(.cancel, stream: stream, aux: FrameHeader.refused)))
            configuration.observer?.callRefused(.connection)
        case .cancel(let stream):
            stop(stream)
        case .stalled(let stream):
            endUnfinished(stream, "the client has not read for too long")
        case .answerPing(let bytes):
            writer?.answerPing(bytes) { self.connection.pingAnswered() }
        case .sendPing(let bytes):
            write(OutgoingFrames.ping(bytes, isAnswer: false))
        case .goAway(let header, let payload, let ping):
            write(OutgoingFrames.goAway(header, payload))
            if let ping { write(OutgoingFrames.ping(ping, isAnswer: false)) }
            configuration.observer?.goAwaySent(payload.code)
        case .clientLeaves(let goAway):
            guard goAway.code != .noError else { return }
            logger.notice("the client gave up the connection: \(goAway.code): \(goAway.text)")
            context?.close(promise: nil)
        case .dead:
            logger.notice("the client does not answer any more")
            stopEverything()
            context?.close(promise: nil)
        case .fail(let error):
            fail(error)
        }
    }

    private func start(_ stream: StreamID, _ open: OpenPayload, _ timeout: Duration?, _ piece: ByteBuffer) {
        guard let context else { return }
        let now = ContinuousClock.now
        do throws(CallRefusal) {
            try table.takeCall(at: now)
        } catch {
            return refuse(stream, error)
        }
        var call = InterceptedCall(
            path: open.path,
            method: router.method(open.path),
            context: CallContext(
                caller: caller,
                metadata: open.metadata,
                deadline: timeout.map { now + $0 },
                maximumMessage: connection.maximumMessage
            ),
            interceptors: configuration.interceptors,
            at: now
        )
        var place: ConnectionTable.Place?
        // Whoever may not call is not worth reading a request of.
        let accepted = Result { () throws(CallError) in
            try call.begin()
            place = try takePlace(of: client(call.context), at: now)
            return try piece.withUnsafeReadableBytes { bytes throws(CallError) in
                let request = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(open.byteCount))
                return try router.accept(path: open.path, request: request)
            }
        }
        calls[stream] = Call(intercepted: call, place: place)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        switch accepted {
        case .failure(let error):
            // That there is no room is not the client's fault, so it does not count against him.
            handlerReturned(stream, .failure(error), ranges: 0, isEarly: error.retryDelay == 0)
        case .success(let accepted):
            let task = CallTask(
                accepted: accepted,
                context: call.context,
                stream: OutgoingStream(stream: stream, eventLoop: context.eventLoop, handler: this),
                maximumMessage: connection.maximumMessage
            )
            let lane = pool.lane(client: client(call.context))
            calls[stream]?.task = Task(executorPreference: lane) { await task.run() }
            calls[stream]?.deadline = timeout.map { timeout in
                context.eventLoop.scheduleTask(in: TimeAmount(timeout)) { this.value.timeIsUp(stream, open.path) }
            }
        }
    }

    /// Whose call it is, for what is shared between clients.
    private func client(_ context: CallContext) -> String {
        context.identity.isEmpty ? context.caller.client : context.identity
    }

    private func takePlace(
        of client: String,
        at now: ContinuousClock.Instant
    ) throws(CallError) -> ConnectionTable.Place {
        do throws(CallRefusal) {
            return try table.takeCall(of: client, at: now)
        } catch {
            configuration.observer?.callRefused(error.limit)
            throw error.error
        }
    }

    /// The server is full: a call is told so, and when it is worth making it again (P-99). Nobody but the observer hears of it.
    private func refuse(_ stream: StreamID, _ refusal: CallRefusal) {
        configuration.observer?.callRefused(refusal.limit)
        if connection.end(stream) { writeEnd(stream, .failure(refusal.error)) }
        connection.handlerReturned(stream, at: .now)
    }

    /// The peer broke a rule: it is told, and the connection ends. Other connections go on.
    private func fail(_ error: ProtocolError) {
        logger.notice("the connection ends: \(error)")
        configuration.observer?.connectionFailed(error)
        let sendsGreeting = !connection.hasSentPreface
        stopEverything()
        isClosing = true
        guard let context else { return }
        guard let code = error.code.goAwayCode else {
            context.close(promise: nil)
            return
        }
        if sendsGreeting { write(OutgoingFrames.greeting(configuration.settings.entries)) }
        let goAway = GoAwayPayload(code: code, text: error.message)
        write(OutgoingFrames.goAway(connection.errorHeader(for: goAway), goAway))
        configuration.observer?.goAwaySent(code)
        GracefulClose.begin(context)
    }

    // MARK: The calls

    /// The task of a call wants to make a message.
    func waitForCredit(_ stream: StreamID, _ continuation: CheckedContinuation<Bool, Never>) {
        guard connection.isOpen(stream), calls[stream] != nil else { return continuation.resume(returning: false) }
        calls[stream]?.waiting = continuation
        connection.requestCredit(for: stream, at: .now)
        settle()
        if connection.isStalled(stream) {
            calls[stream]?.isStalled = true
            configuration.observer?.streamStalled()
        }
    }

    /// The task of a call has made a message.
    func send(_ message: ByteBuffer, on stream: StreamID, position: UInt64?) {
        guard let header = connection.sendMessage(on: stream, length: message.readableBytes) else { return }
        calls[stream]?.intercepted.sent(bytes: message.readableBytes, at: .now)
        calls[stream]?.position = position
        write(OutgoingFrames.bare(header))
        write(message)
    }

    /// The task of a call is over; only now its place is free (P-23).
    func handlerReturned(
        _ stream: StreamID,
        _ outcome: Result<StatusDetails, CallError>,
        ranges: UInt64,
        isEarly: Bool = false
    ) {
        calls[stream]?.deadline?.cancel()
        if connection.end(stream) {
            writeEnd(stream, outcome)
            if isEarly { perform(connection.endedEarly(at: .now), ByteBuffer()) }
        }
        calls[stream]?.intercepted.end(outcome.error, ranges: ranges, at: .now)
        let place = calls.removeValue(forKey: stream)?.place
        table.returnCall(place, at: .now)
        connection.handlerReturned(stream, at: .now)
        settle()
    }

    private func timeIsUp(_ stream: StreamID, _ path: String) {
        guard connection.end(stream) else { return }
        writeEnd(stream, .failure(CallError(.deadline, "the time for \(path) is up")))
        stop(stream)
        perform(connection.endedEarly(at: .now), ByteBuffer())
        settle()
    }

    /// A stream is closed whose answer is not at its end: the client is told where to resume.
    private func endUnfinished(_ stream: StreamID, _ why: String) {
        writeEnd(stream, .failure(CallError(endedByServer: why, resumeOffset: calls[stream]?.position)))
        stop(stream)
    }

    /// Tells the task of a call that nobody waits for it any more.
    private func stop(_ stream: StreamID) {
        calls[stream]?.task?.cancel()
        wake(stream, mayGoOn: false)
    }

    private func wake(_ stream: StreamID, mayGoOn: Bool) {
        guard let waiting = calls[stream]?.waiting.take() else { return }
        if calls[stream]?.isStalled == true {
            calls[stream]?.isStalled = false
            configuration.observer?.stallEnded()
        }
        waiting.resume(returning: mayGoOn)
    }

    private func stopEverything() {
        alarm?.cancel()
        connection.close()
        for stream in calls.keys {
            calls[stream]?.deadline?.cancel()
            stop(stream)
        }
    }

    /// Lets tasks go on for which there is credit, as long as the channel takes what they make.
    private func resumeReady() {
        guard let context else { return }
        while context.channel.isWritable, let stream = connection.nextReady() {
            wake(stream, mayGoOn: true)
        }
    }

    private func writeEnd(_ stream: StreamID, _ outcome: Result<StatusDetails, CallError>) {
        calls[stream]?.intercepted.tell(outcome.error)
        switch outcome {
        case .success(let details):
            writeUnpaid(OutgoingFrames.end(stream, status: 0, EndPayload(details: (try? details.encode()) ?? [])))
        case .failure(let error):
            // A failure is never told as OK, whatever its author says.
            let status = UInt32(exactly: error.status.rawValue).flatMap { (1...16).contains($0) ? $0 : nil } ?? 2
            let details = (try? StatusDetails(error).encode()) ?? []
            writeUnpaid(OutgoingFrames.end(stream, status: status, EndPayload(text: error.message, details: details)))
        }
    }

    // MARK: Stopping

    /// Takes up what is on its way and no more, and closes when the last call has ended (P-85).
    func drain() {
        guard let context, !isClosing else { return }
        guard connection.hasSentPreface else {
            context.close(promise: nil)
            return
        }
        perform(connection.beginDrain("the server is stopping", at: .now), ByteBuffer())
        settle()
    }

    /// Ends the calls that are left, and closes (P-86).
    func endPatience() {
        guard !isClosing else { return }
        perform(connection.decideDrain(), ByteBuffer())
        for stream in calls.keys.sorted() where connection.end(stream) {
            endUnfinished(stream, "the server is stopping, and the call took longer than it could wait")
        }
        closeGracefully()
    }

    private func closeIfDrained() {
        if !isClosing, connection.isDrained { closeGracefully() }
    }

    private func closeGracefully() {
        guard let context, !isClosing else { return }
        isClosing = true
        stopEverything()
        GracefulClose.begin(context)
    }

    private func write(_ frame: ByteBuffer) {
        writer?.write(frame)
    }

    /// Writes a frame that a client can ask for without reading it.
    private func writeUnpaid(_ frame: ByteBuffer) {
        guard let writer, !writer.writeUnpaid(frame), !isClosing else { return }
        isClosing = true
        let error = ProtocolError(.excessiveLoad, "The client asks and does not read what it is answered.")
        logger.notice("the connection ends: \(error)")
        configuration.observer?.connectionFailed(error)
        stopEverything()
        context?.close(promise: nil)
    }
}

extension Result where Failure == CallError {
    fileprivate var error: CallError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
