package import NIOCore
internal import NIOTLS

/// Puts TLS between a socket and what speaks over it, by a ``TLSSession``. It is the first handler of a channel that reads by itself
/// (auto-read).
///
/// - When the handshake has ended well it fires `TLSUserEvent.handshakeCompleted`. What was written before is sent then.
/// - When the peer ends TLS, so does this side, and closes: half a connection is of no use to anybody here.
/// - The end of the connection without the end of TLS is the error ``TLSError/Kind/cut``.
package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum State {
        /// The channel is not connected yet.
        case idle
        case handshake
        case open
        /// This side sends no more, and still hears.
        case outputClosed
        /// All is said; the peer has a moment to hear it, and to end its side.
        case closing
        case closed
    }

    private typealias Write = (bytes: ByteBuffer, promise: EventLoopPromise<Void>?)

    /// How long a peer has to answer the end of TLS.
    private static let shutdownTimeout = TimeAmount.seconds(1)
    /// How much the session may say by itself while the peer does not read: it answers each request for new keys.
    private static let maximumBacklog = 64 << 10
    /// How much is encrypted before it is handed on.
    private static let pieceLength = 64 * TLSSession.recordLength

    private let session: TLSSession
    private let isServer: Bool
    private var state = State.idle
    private var writes: [Write] = []
    private var isFlushWanted = false
    private var closePromise: EventLoopPromise<Void>?
    private var timer: Scheduled<Void>?
    /// How much the session has said by itself since the peer last took something.
    private var backlog = 0

    /// - Parameter peer: whom a client means; see ``TLSSession/init(_:peer:)``.
    package init(_ context: TLSContext, peer: TLSPeerName? = nil) throws(TLSError) {
        session = try TLSSession(context, peer: peer)
        isServer = context.isServer
    }

    /// The certificate that the peer showed, verified; nil before the end of the handshake, and if there is none.
    package var peerCertificate: TLSCertificate? { session.peerCertificate }

    // MARK: The channel

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        state = .closed
        failWrites(ChannelError.ioOnClosedChannel)
        closePromise.take()?.fail(ChannelError.ioOnClosedChannel)
    }

    package func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        begin(context)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        let last = state
        state = .closed
        timer?.cancel()
        switch last {
        case .handshake: context.fireErrorCaught(TLSError.cutInHandshake)
        case .open, .outputClosed: context.fireErrorCaught(TLSError.cut)
        case .idle, .closing, .closed: break
        }
        failWrites(ChannelError.ioOnClosedChannel)
        closePromise.take()?.succeed()
        context.fireChannelInactive()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Where half a connection is allowed this is how it is told that the peer sends no more.
        if event as? ChannelEvent == .inputClosed {
            switch state {
            case .handshake: fail(context, .cutInHandshake)
            case .open, .outputClosed: fail(context, .cut)
            case .idle, .closing, .closed: break
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard case .idle = state else { return }
        state = .handshake
        do throws(TLSError) {
            try session.begin()
            sendOutput(context)
        } catch {
            fail(context, error)
        }
    }

    // MARK: Reading

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        begin(context)
        if case .closed = state { return }
        let received = session.receive(bytes)
        backlog = context.channel.isWritable ? 0 : backlog + session.outputCount
        sendOutput(context)
        guard backlog <= Self.maximumBacklog else {
            return fail(context, TLSError(.other, "the other side asks for new keys and does not read"))
        }
        if received.isHandshakeOver, case .handshake = state {
            state = .open
            let agreed = session.applicationProtocol
            context.fireUserInboundEventTriggered(TLSUserEvent.handshakeCompleted(negotiatedProtocol: agreed))
        }
        // Whoever has closed the connection, then or now, hears no more.
        if isHearing, received.plaintext.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(received.plaintext))
        }
        switch received.end {
        case nil: if isFlushWanted { sendWrites(context) }
        case .closed: peerHasClosed(context)
        case .failed(let error): fail(context, error)
        }
    }

    private var isHearing: Bool {
        switch state {
        case .open, .outputClosed: true
        case .idle, .handshake, .closing, .closed: false
        }
    }

    // MARK: Writing

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch state {
        case .idle, .handshake, .open: writes.append((unwrapOutboundIn(data), promise))
        case .outputClosed: promise?.fail(ChannelError.outputClosed)
        case .closing, .closed: promise?.fail(ChannelError.ioOnClosedChannel)
        }
    }

    package func flush(context: ChannelHandlerContext) {
        isFlushWanted = true
        sendWrites(context)
    }

    /// Encrypts and sends what was written, as soon as the handshake is over. Many short writes become one record, and long ones
    /// are not copied first.
    private func sendWrites(_ context: ChannelHandlerContext) {
        guard case .open = state else { return }
        isFlushWanted = false
        guard !writes.isEmpty else { return }
        let taken = writes
        writes = []
        let promise = Self.joined(taken)
        var packer = RecordPacker(session, expecting: taken.reduce(0) { $0 + $1.bytes.readableBytes })
        do throws(TLSError) {
            for write in taken {
                var rest = write.bytes
                while let piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceLength)),
                    piece.readableBytes > 0
                {
                    try packer.add(piece)
                    // Otherwise what is to be sent could become longer than a buffer can be.
                    if session.outputCount > Self.pieceLength, let output = session.takeOutput() {
                        context.write(wrapOutboundOut(output), promise: nil)
                    }
                }
            }
            try packer.finish()
        } catch {
            promise?.fail(error)
            return fail(context, error)
        }
        context.writeAndFlush(wrapOutboundOut(session.takeOutput() ?? ByteBuffer()), promise: promise)
    }

    /// One promise for all of them; nil if nobody waits.
    private static func joined(_ writes: [Write]) -> EventLoopPromise<Void>? {
        var first: EventLoopPromise<Void>?
        for case let promise? in writes.map(\.promise) {
            if let first { first.futureResult.cascade(to: promise) } else { first = promise }
        }
        return first
    }

    /// Sends what the session has to say by itself.
    private func sendOutput(_ context: ChannelHandlerContext) {
        guard let output = session.takeOutput() else { return }
        context.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }

    private func failWrites(_ error: any Error) {
        let failed = writes
        writes = []
        for write in failed { write.promise?.fail(error) }
    }

    // MARK: Closing

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch (mode, state) {
        case (.input, _):
            promise?.fail(ChannelError.operationUnsupported)
        case (.output, .open):
            flush(context: context)
            // Sending may have failed.
            guard case .open = state else { return close(context: context, mode: .output, promise: promise) }
            state = .outputClosed
            session.finish()
            sendOutput(context)
            context.close(mode: .output, promise: promise)
        case (.output, .outputClosed):
            promise?.fail(ChannelError.outputClosed)
        case (.all, .open):
            session.finish()
            sendOutput(context)
            waitForPeer(context, promise)
        case (_, .closing):
            join(promise)
        case (.output, .idle), (.output, .handshake), (.output, .closed), (.all, _):
            // Nothing was said yet, or the peer has had its time: it was told before that this is the end.
            closeNow(context, promise)
        }
    }

    private func peerHasClosed(_ context: ChannelHandlerContext) {
        if case .closed = state { return }
        session.finish()
        sendOutput(context)
        state = .closed
        context.fireUserInboundEventTriggered(TLSUserEvent.shutdownCompleted)
        closeNow(context, nil)
    }

    /// The first failure ends the connection. What tells the peer why, an alert, is on its way first.
    private func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        switch state {
        case .closed: return
        case .closing: return closeNow(context, nil)
        case .idle, .handshake, .open, .outputClosed: break
        }
        sendOutput(context)
        guard isServer else {
            state = .closed
            context.fireErrorCaught(error)
            return closeNow(context, nil)
        }
        // A client has ended its handshake before the server judges its certificate, and has sent something already. Closing with that
        // unread would take the alert away from it.
        waitForPeer(context, nil)
        context.fireErrorCaught(error)
        if case .closing = state { context.close(mode: .output, promise: nil) }
    }

    private func waitForPeer(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        state = .closing
        join(promise)
        failWrites(ChannelError.ioOnClosedChannel)
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Self.shutdownTimeout) {
            let (handler, context) = this.value
            if case .closing = handler.state { handler.closeNow(context, nil) }
        }
    }

    private func closeNow(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        state = .closed
        timer?.cancel()
        join(promise)
        failWrites(ChannelError.ioOnClosedChannel)
        context.close(promise: closePromise.take())
    }

    /// Has a promise kept when the channel is closed.
    private func join(_ promise: EventLoopPromise<Void>?) {
        guard let promise else { return }
        if let closePromise {
            closePromise.futureResult.cascade(to: promise)
        } else {
            closePromise = promise
        }
    }
}

@available(*, unavailable)
extension TLSHandler: Sendable {}
