internal import DiskDeltaProtocol
internal import DiskDeltaTLS
internal import Logging
internal import NIOCore
internal import NIOTLS

/// Stands between TLS and the protocol: lets the protocol begin when both sides have agreed to speak it, and tells it who is
/// at the other end.
///
/// Nothing arrives before the handshake is over. The time limit for it is the connection's own (P-56).
final class TLSGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let tls: TLSHandler
    private let handler: ServerConnectionHandler
    private let trust: UInt64
    private let observer: (any ServerObserver)?
    private let logger: Logger
    private var isOpen = false
    private var hasFailed = false

    init(
        _ tls: TLSHandler,
        before handler: ServerConnectionHandler,
        trust: UInt64,
        observer: (any ServerObserver)?,
        logger: Logger
    ) {
        self.tls = tls
        self.handler = handler
        self.trust = trust
        self.observer = observer
        self.logger = logger
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let agreed) = event as? TLSUserEvent { open(context, agreed) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isOpen { context.fireChannelRead(data) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isOpen { fail("the TLS handshake failed: \(error)") }
        context.fireErrorCaught(error)
    }

    /// That one peer cannot connect is his business; that nobody can, the administrator's.
    private func fail(_ why: String) {
        guard !hasFailed else { return }
        hasFailed = true
        observer?.tlsHandshakeFailed()
        logger.notice("no connection: \(why)", metadata: ["peer": "\(handler.caller.peer)"])
    }

    private func open(_ context: ChannelHandlerContext, _ agreed: String?) {
        guard agreed == Preface.applicationProtocol else {
            fail("the client did not agree to \(Preface.applicationProtocol) by ALPN (P-81)")
            context.close(promise: nil)
            return
        }
        handler.caller.isEncrypted = true
        handler.caller.certificate = tls.peerCertificate.map { PeerCertificate($0, trust: trust) }
        isOpen = true
    }
}

extension PeerCertificate {
    /// What the certificate of a peer says. It was verified in the handshake.
    init(_ certificate: TLSCertificate, trust: UInt64) {
        self.init(
            alternativeNames: certificate.alternativeNames.map { name in
                let kind: Name.Kind =
                    switch name.kind {
                    case .uri: .uri
                    case .dns: .dns
                    case .email: .email
                    case .ipAddress: .ipAddress
                    }
                return Name(kind, name.bytes)
            },
            serialNumber: certificate.serialNumber,
            expiry: certificate.notAfter,
            trust: trust
        )
    }
}
