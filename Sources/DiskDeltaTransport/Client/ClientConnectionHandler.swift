internal import DiskDeltaProtocol
internal import Logging
internal import NIOCore

/// Drives a ``ClientConnection`` by a channel. All of it happens on the channel's event loop.
final class ClientConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Call {
        let inbox: ClientInbox
        var timer: Scheduled<Void>?
        let deadline: ContinuousClock.Instant?
        /// Whether a message of the answer has arrived.
        var hasMessage = false
    }

    private let settings: ClientSettings
    private let times: ClientTimes
    private let server: Endpoint
    private let logger: Logger
    /// Done when the server's SETTINGS are there, failed with a `CallError` where they do not come.
    let ready: EventLoopPromise<Void>
    /// Whether calls can be opened, for whoever asks from elsewhere.
    let openness: Openness

    private var connection: ClientConnection
    private var input = InputBuffer()
    private var calls: [StreamID: Call] = [:]
    private var context: ChannelHandlerContext?
    private var handshakeTimer: Scheduled<Void>?
    private var writer: FrameWriter?
    private var alarm: Alarm?
    private var isClosing = false
    /// Why the connection ended, where this side knows.
    private var failure: CallError?

    init(
        settings: ClientSettings,
        times: ClientTimes,
        server: Endpoint,
        logger: Logger,
        openness: Openness,
        eventLoop: any EventLoop
    ) {
        self.settings = settings
        self.times = times
        self.server = server
        self.logger = logger
        self.openness = openness
        ready = eventLoop.makePromise()
        connection = ClientConnection(settings: settings, times: times, at: .now)
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        writer = FrameWriter(context)
        alarm = Alarm(on: context.eventLoop) { [weak self] in self?.timePassed() }
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        let now = ContinuousClock.now
        input.append(unwrapInboundIn(data))
        while !isClosing, let piece = input.take(connection.bytesNeeded) {
            let action = connection.receive(piece.readableBytesSpan, at: now)
            if action != .none { perform(action, piece) }
        }
        connection.heard(at: now)
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
        writeGrants()
        closeIfDrained()
        if !isClosing { alarm?.set(connection.nextDeadline) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        endEverything(failure ?? unavailable("the connection to \(server) broke"))
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        endEverything(failure ?? unavailable("the connection to \(server) broke"))
        writer?.detach()
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = failure ?? error as? CallError ?? unavailable("the connection to \(server) broke: \(error)")
        context.close(promise: nil)
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard handshakeTimer == nil else { return }
        write(OutgoingFrames.greeting(settings.entries))
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        handshakeTimer = context.eventLoop.scheduleTask(in: TimeAmount(times.handshake)) {
            let handler = this.value
            guard !handler.connection.isReady else { return }
            handler.failure = handler.unavailable("\(handler.server) did not answer as a DiskDelta server in time")
            handler.context?.close(promise: nil)
        }
    }

    // MARK: What follows from what arrived

    private func perform(_ action: ClientAction, _ piece: ByteBuffer) {
        switch action {
        case .none:
            break
        case .ready:
            handshakeTimer?.cancel()
            ready.succeed()
        case .message(let stream):
            calls[stream]?.hasMessage = true
            calls[stream]?.inbox.append(piece.detached())
        case .end(let stream, let status, let payload):
            finish(stream, outcome(stream, status, payload))
        case .cancelled(let stream, let reason):
            finish(stream, .failure(cancelled(stream, reason)))
        case .answerPing(let bytes):
            writer?.answerPing(bytes) { self.connection.pingAnswered() }
        case .sendPing(let bytes):
            write(OutgoingFrames.ping(bytes, isAnswer: false))
        case .serverLeaves(let goAway, let notTakenUp, let failed):
            serverLeaves(goAway, notTakenUp, failed)
        case .dead:
            failure = unavailable("\(server) does not answer any more")
            endEverything(failure ?? unavailable(""))
            context?.close(promise: nil)
        case .fail(let error, _):
            fail(error)
        }
    }

    /// What an END means. Only status OK with details that agree is success (P-34, P-35).
    private func outcome(
        _ stream: StreamID,
        _ status: UInt32,
        _ payload: EndPayload
    ) -> Result<StatusDetails, CallError> {
        let details: StatusDetails
        do {
            details = try StatusDetails(decoding: payload.details)
        } catch {
            return .failure(CallError(undecodableAnswer: error))
        }
        guard status == 0 else {
            let status = Status(rawValue: Int32(truncatingIfNeeded: status))
            let error = failure(stream, CallError(status: status, text: payload.text, details: details))
            return .failure(isRefusal(error, of: stream) ? error.unbegun : error)
        }
        guard details.reason == .none, details.returnValue == 0, details.detailCode == 0 else {
            return .failure(CallError(.answerInvalid, "the server says OK and gives the reason \(details.reason.name)"))
        }
        return .success(details)
    }

    /// Whether the server says that there are too many calls, and nothing of this one was begun (P-99). One that has answered
    /// before cannot say so.
    private func isRefusal(_ error: CallError, of stream: StreamID) -> Bool {
        error.status == .resourceExhausted && error.retryDelay > 0 && calls[stream]?.hasMessage == false
    }

    private func cancelled(_ stream: StreamID, _ reason: UInt32) -> CallError {
        guard reason != FrameHeader.refused else {
            return CallError(.resourceLimit, "\(server) has too many calls; nothing of this one was done").unbegun
        }
        let status = Status(rawValue: Int32(truncatingIfNeeded: reason))
        return failure(
            stream,
            CallError(status: status, text: "\(server) cancelled the call", details: StatusDetails())
        )
    }

    /// The caller's own time wins over the server's cancelling because of it (P-25).
    private func failure(_ stream: StreamID, _ error: CallError) -> CallError {
        guard error.status == .cancelled, let deadline = calls[stream]?.deadline, deadline <= .now else { return error }
        return CallError(.deadline, "the time for the call is up")
    }

    private func serverLeaves(_ goAway: GoAwayPayload, _ notTakenUp: [StreamID], _ failed: [StreamID]) {
        let why = goAway.text.isEmpty ? goAway.code.name : goAway.text
        openness.end(isOrderly: goAway.code == .noError)
        for stream in notTakenUp {
            finish(stream, .failure(unavailable("\(server) did not take up the call: \(why)").unbegun))
        }
        for stream in failed { finish(stream, .failure(unavailable("\(server) gave up the connection: \(why)"))) }
        failure = unavailable("\(server) is leaving: \(why)")
        if goAway.code != .noError || !connection.isReady {
            logger.debug("\(server) gave up the connection: \(goAway.code): \(goAway.text)")
            context?.close(promise: nil)
        }
    }

    /// The server broke a rule: what it says can't be trusted any more.
    private func fail(_ error: ProtocolError) {
        logger.debug("the connection to \(server) ends: \(error)")
        isClosing = true
        let failure = CallError(.answerInvalid, "\(server) broke the protocol: \(error.message)")
        self.failure = failure
        endEverything(failure)
        guard let context else { return }
        guard let code = error.code.goAwayCode else {
            context.close(promise: nil)
            return
        }
        write(OutgoingFrames.goAway(FrameHeader(.goAway), GoAwayPayload(code: code, text: error.message)))
        GracefulClose.begin(context)
    }

    // MARK: The calls

    /// Opens a call with the payload of its OPEN. Where that fails, the OPEN was not sent.
    func open(_ payload: ByteBuffer, timeout: Duration?) -> Result<(StreamID, ClientInbox), CallError> {
        guard let context, !isClosing else {
            return .failure((failure ?? unavailable("the connection to \(server) is closed")).unbegun)
        }
        let header: FrameHeader
        do throws(OpenRefusal) {
            header = try connection.open(length: payload.readableBytes, timeout: timeout, at: .now)
        } catch {
            return .failure(refusal(error))
        }
        let inbox = ClientInbox()
        let stream = header.stream
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let timer = timeout.map { timeout in
            context.eventLoop.scheduleTask(in: TimeAmount(timeout)) { this.value.timeIsUp(stream) }
        }
        calls[stream] = Call(inbox: inbox, timer: timer, deadline: timeout.map { .now + $0 })
        write(OutgoingFrames.bare(header))
        write(payload)
        settle()
        return .success((stream, inbox))
    }

    /// The reader of a call took a message.
    func consumed(_ stream: StreamID, byteCount: Int) {
        connection.consumed(stream, byteCount: byteCount)
        writeGrants()
    }

    /// The caller gave up a call; its inbox knows.
    func cancel(_ stream: StreamID, reason: Status) {
        calls.removeValue(forKey: stream)?.timer?.cancel()
        if let header = connection.cancel(stream, reason: UInt32(truncatingIfNeeded: reason.rawValue)) {
            write(OutgoingFrames.bare(header))
        }
        settle()
    }

    private func timeIsUp(_ stream: StreamID) {
        guard let inbox = calls[stream]?.inbox else { return }
        if inbox.abort(CallError(.deadline, "the time for the call is up"), evenIfRead: false) {
            cancel(stream, reason: .deadlineExceeded)
        }
    }

    private func finish(_ stream: StreamID, _ outcome: Result<StatusDetails, CallError>) {
        guard let call = calls.removeValue(forKey: stream) else { return }
        call.timer?.cancel()
        call.inbox.finish(outcome)
    }

    private func endEverything(_ error: CallError) {
        openness.end(isOrderly: false, because: error)
        handshakeTimer?.cancel()
        alarm?.cancel()
        ready.fail(error)
        connection.close()
        for stream in calls.keys.sorted() { finish(stream, .failure(error)) }
    }

    private func refusal(_ refusal: OpenRefusal) -> CallError {
        switch refusal {
        case .closed: (failure ?? unavailable("the connection to \(server) is closed")).unbegun
        case .streamLimit(let limit):
            CallError(.resourceLimit, "\(limit) calls are open on this connection to \(server); no more are allowed")
                .unbegun
        case .requestTooLong(let maximum):
            CallError(.resourceLimit, "the request is longer than the \(maximum) bytes that \(server) accepts")
        }
    }

    private func unavailable(_ message: String) -> CallError {
        CallError(.serverUnavailable, message)
    }

    // MARK: Leaving

    /// Gives up all calls and closes.
    func leave() {
        guard let context, !isClosing else { return }
        isClosing = true
        let error = CallError(.cancelled, "the connection was closed by its owner")
        failure = unavailable("the connection to \(server) is closed")
        if let header = connection.leave() {
            write(OutgoingFrames.goAway(header, GoAwayPayload(code: .noError, text: "")))
        }
        endEverything(error)
        GracefulClose.begin(context)
    }

    private func closeIfDrained() {
        guard let context, !isClosing, connection.isDrained else { return }
        isClosing = true
        GracefulClose.begin(context)
    }

    private func writeGrants() {
        while let grant = connection.nextGrant() { write(OutgoingFrames.bare(grant)) }
    }

    private func write(_ frame: ByteBuffer) {
        writer?.write(frame)
    }
}
