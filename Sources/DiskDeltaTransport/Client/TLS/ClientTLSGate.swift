internal import DiskDeltaProtocol
internal import NIOCore
internal import NIOTLS

/// Stands between TLS and the handler of a connection, and lets that begin when the handshake has ended well and the
/// protocol was agreed upon. Before that nothing is sent (P-81).
///
/// Errors of TLS pass it in words that a person can act on.
final class ClientTLSGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let words: TLSFailureText
    private let timeout: Duration
    private var timer: Scheduled<Void>?
    private var isOpen = false
    private var hasFailed = false

    init(words: TLSFailureText, timeout: Duration) {
        self.words = words
        self.timeout = timeout
    }

    func channelActive(context: ChannelHandlerContext) {
        // The connection's handler hears of it when the handshake is over.
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            let (gate, context) = this.value
            gate.fail(context, gate.words.timeout)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? TLSUserEvent, case .handshakeCompleted(let agreed) = event, !hasFailed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        timer?.cancel()
        guard agreed == Preface.applicationProtocol else {
            fail(context, words.otherProtocol)
            return
        }
        isOpen = true
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isOpen, !hasFailed { context.fireChannelRead(data) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(context, words.text(of: error, duringHandshake: !isOpen))
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        if !isOpen, !hasFailed {
            hasFailed = true
            context.fireErrorCaught(words.closed)
        }
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    /// The first failure is the cause; what follows from it is not told.
    private func fail(_ context: ChannelHandlerContext, _ error: CallError) {
        guard !hasFailed else { return }
        hasFailed = true
        timer?.cancel()
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }
}
