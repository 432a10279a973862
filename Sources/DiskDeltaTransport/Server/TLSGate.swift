internal import DiskDeltaProtocol
internal import Foundation
internal import Logging
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

/// Stands between TLS and the protocol: lets the protocol begin when both sides have agreed to speak it, and tells it who is
/// at the other end.
///
/// Nothing arrives before the handshake is over. The time limit for it is the connection's own (P-56).
final class TLSGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let handler: ServerConnectionHandler
    private let trust: UInt64
    private let observer: (any ServerObserver)?
    private let logger: Logger
    private var isOpen = false
    private var hasFailed = false

    init(_ handler: ServerConnectionHandler, trust: UInt64, observer: (any ServerObserver)?, logger: Logger) {
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
        if !isOpen { fail("the TLS handshake failed: \(Self.words(error))") }
        context.fireErrorCaught(error)
    }

    /// That one peer cannot connect is his business; that nobody can, the administrator's.
    private func fail(_ why: String) {
        guard !hasFailed else { return }
        hasFailed = true
        observer?.tlsHandshakeFailed()
        logger.notice("no connection: \(why)", metadata: ["peer": "\(handler.caller.peer)"])
    }

    /// The library's own word for what went wrong, such as PEER_DID_NOT_RETURN_A_CERTIFICATE, where it has one. Around it
    /// stands where in its sources that was noticed.
    private static func words(_ error: any Error) -> String {
        let text = "\(error)"
        let mark = "OPENSSL_internal:"
        let words = text.components(separatedBy: mark).dropFirst().map {
            $0.prefix { $0.isLetter || $0 == "_" || $0.isNumber }
        }
        return words.isEmpty ? text : words.joined(separator: ", ")
    }

    private func open(_ context: ChannelHandlerContext, _ agreed: String?) {
        guard agreed == Preface.applicationProtocol else {
            fail("the client did not agree to \(Preface.applicationProtocol) by ALPN (P-81)")
            context.close(promise: nil)
            return
        }
        handler.caller.isEncrypted = true
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        handler.caller.certificate = certificate.map { PeerCertificate($0, trust: trust) }
        isOpen = true
    }
}

extension PeerCertificate {
    /// What the certificate of a peer says. It was verified in the handshake.
    init(_ certificate: NIOSSLCertificate, trust: UInt64) {
        let names = certificate._subjectAlternativeNames().compactMap { name -> Name? in
            let kind: Name.Kind
            switch name.nameType {
            case .uri: kind = .uri
            case .dnsName: kind = .dns
            case .email: kind = .email
            case .ipAddress: kind = .ipAddress
            default: return nil
            }
            return Name(kind, name.contents.withUnsafeBufferPointer(Array.init))
        }
        let digits = certificate.serialNumber.map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }
        self.init(
            alternativeNames: names,
            serialNumber: digits.joined(),
            expiry: Int64(certificate.notValidAfter),
            trust: trust
        )
    }
}
