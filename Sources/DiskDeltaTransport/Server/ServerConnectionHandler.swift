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
        var task: Task<Void, Never>?
        /// The task, while it waits for credit.
        var waiting: CheckedContinuation<Bool, Never>?
        var deadline: Scheduled<Void>?
    }

    private let router: ServiceRouter
    private let configuration: ServerConfiguration
    private let executor: FileWorkExecutor
    private var logger: Logger

    private var connection: ServerConnection
    /// Who is at the other end. Over TLS it is known when the handshake is over, before anything of the protocol arrives.
    var caller = Caller(peer: "", isLocal: false)
    private var input = InputBuffer()
    private var calls: [StreamID: Call] = [:]
    private var context: ChannelHandlerContext?
    private var handshakeTimer: Scheduled<Void>?
    private var isClosing = false
    private var isFlushScheduled = false

    init(router: ServiceRouter, configuration: ServerConfiguration, executor: FileWorkExecutor, logger: Logger) {
        self.router = router
        self.configuration = configuration
        self.executor = executor
        self.logger = logger
        connection = ServerConnection(settings: configuration.settings)
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        caller = Caller(plain: context.channel)
        logger[metadataKey: "peer"] = "\(caller.peer)"
        logger.debug("a client has connected")
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        handshakeTimer = context.eventLoop.scheduleTask(in: TimeAmount(configuration.handshakeTimeout)) {
            let handler = this.value
            handler.perform(handler.connection.handshakeTimedOut(), ByteBuffer())
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        input.append(unwrapInboundIn(data))
        while !isClosing, let piece = input.take(connection.bytesNeeded) {
            let action = connection.receive(piece.readableBytesSpan, at: .now)
            if action != .none { perform(action, piece) }
        }
        resumeReady()
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
            handshakeTimer?.cancel()
        case .open(let stream, let open, let timeout):
            start(stream, open, timeout, piece)
        case .refuse(let stream):
            write(OutgoingFrames.bare(FrameHeader(.cancel, stream: stream, aux: FrameHeader.refused)))
        case .cancel(let stream):
            stop(stream)
        case .answerPing(let bytes):
            answerPing(bytes)
        case .clientLeaves(let goAway):
            guard goAway.code != .noError else { return }
            logger.notice("the client gave up the connection: \(goAway.code): \(goAway.text)")
            context?.close(promise: nil)
        case .fail(let error):
            fail(error)
        }
    }

    private func start(_ stream: StreamID, _ open: OpenPayload, _ timeout: Duration?, _ piece: ByteBuffer) {
        guard let context else { return }
        var call = InterceptedCall(
            path: open.path,
            method: router.method(open.path),
            context: CallContext(
                caller: caller,
                metadata: open.metadata,
                deadline: timeout.map { ContinuousClock.now + $0 },
                maximumMessage: connection.maximumMessage
            ),
            interceptors: configuration.interceptors,
            at: .now
        )
        // Whoever may not call is not worth reading a request of.
        let accepted = Result { () throws(CallError) in
            try call.begin()
            return try piece.withUnsafeReadableBytes { bytes throws(CallError) in
                let request = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(open.byteCount))
                return try router.accept(path: open.path, request: request)
            }
        }
        calls[stream] = Call(intercepted: call)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        switch accepted {
        case .failure(let error):
            handlerReturned(stream, .failure(error), ranges: 0)
        case .success(let accepted):
            let task = CallTask(
                accepted: accepted,
                context: call.context,
                stream: OutgoingStream(stream: stream, eventLoop: context.eventLoop, handler: this),
                maximumMessage: connection.maximumMessage
            )
            calls[stream]?.task = Task(executorPreference: executor) { await task.run() }
            calls[stream]?.deadline = timeout.map { timeout in
                context.eventLoop.scheduleTask(in: TimeAmount(timeout)) { this.value.timeIsUp(stream, open.path) }
            }
        }
    }

    private func answerPing(_ bytes: UInt64) {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(OutgoingFrames.pingAnswer(bytes))).assumeIsolated().whenComplete { _ in
            self.connection.pingAnswered()
        }
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
        connection.requestCredit(for: stream)
        resumeReady()
    }

    /// The task of a call has made a message.
    func send(_ message: ByteBuffer, on stream: StreamID) {
        guard let header = connection.sendMessage(on: stream, length: message.readableBytes) else { return }
        calls[stream]?.intercepted.sent(bytes: message.readableBytes, at: .now)
        write(OutgoingFrames.bare(header))
        write(message)
    }

    /// The task of a call is over; only now its place is free (P-23).
    func handlerReturned(_ stream: StreamID, _ outcome: Result<StatusDetails, CallError>, ranges: UInt64) {
        calls[stream]?.deadline?.cancel()
        if connection.end(stream) { writeEnd(stream, outcome) }
        calls[stream]?.intercepted.end(outcome.error, ranges: ranges, at: .now)
        calls[stream] = nil
        connection.handlerReturned(stream)
        resumeReady()
        closeIfDrained()
    }

    private func timeIsUp(_ stream: StreamID, _ path: String) {
        guard connection.end(stream) else { return }
        writeEnd(stream, .failure(CallError(.deadline, "the time for \(path) is up")))
        stop(stream)
        resumeReady()
    }

    /// Tells the task of a call that nobody waits for it any more.
    private func stop(_ stream: StreamID) {
        calls[stream]?.task?.cancel()
        calls[stream]?.waiting.take()?.resume(returning: false)
    }

    private func stopEverything() {
        handshakeTimer?.cancel()
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
            calls[stream]?.waiting.take()?.resume(returning: true)
        }
    }

    private func writeEnd(_ stream: StreamID, _ outcome: Result<StatusDetails, CallError>) {
        calls[stream]?.intercepted.tell(outcome.error)
        switch outcome {
        case .success(let details):
            write(OutgoingFrames.end(stream, status: 0, EndPayload(details: (try? details.encode()) ?? [])))
        case .failure(let error):
            // A failure is never told as OK, whatever its author says.
            let status = UInt32(exactly: error.status.rawValue).flatMap { (1...16).contains($0) ? $0 : nil } ?? 2
            let details = (try? StatusDetails(error).encode()) ?? []
            write(OutgoingFrames.end(stream, status: status, EndPayload(text: error.message, details: details)))
        }
    }

    // MARK: Stopping

    /// Takes up no more calls, and closes when the last has ended.
    func drain() {
        guard let context, !isClosing else { return }
        guard connection.hasSentPreface else {
            context.close(promise: nil)
            return
        }
        if let header = connection.drain() {
            let goAway = GoAwayPayload(code: .noError, text: "the server is stopping")
            write(OutgoingFrames.goAway(header, goAway))
            configuration.observer?.goAwaySent(.noError)
        }
        closeIfDrained()
    }

    private func closeIfDrained() {
        guard let context, !isClosing, connection.isDrained else { return }
        isClosing = true
        handshakeTimer?.cancel()
        connection.close()
        GracefulClose.begin(context)
    }

    /// Writes a frame, or a part of one. What one turn of the event loop writes is flushed together.
    private func write(_ frame: ByteBuffer) {
        guard let context else { return }
        context.write(wrapOutboundOut(frame), promise: nil)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute {
            this.value.isFlushScheduled = false
            this.value.context?.flush()
        }
    }
}

extension Result where Failure == CallError {
    fileprivate var error: CallError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
