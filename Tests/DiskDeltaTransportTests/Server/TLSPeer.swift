import DiskDeltaProtocol
import DiskDeltaTLS
import DiskDeltaTransport
import Foundation
import NIOCore
import NIOPosix
import TestSupport

/// A client that is nothing but TLS and bytes.
enum TLSPeer {
    /// A client that trusts the test authority and offers the protocol.
    static func configuration(
        _ identity: IssuedCertificate? = nil,
        protocols: [String] = ["diskdelta/1"]
    ) throws -> TLSContext {
        try TLSContext.client(
            authorities: .certificates(try TestCertificates.shared().authority.certificates()),
            identity: try identity?.identity(),
            applicationProtocols: protocols
        )
    }

    /// Connects, sends `bytes` when the handshake is over, and returns what has arrived when there is an END frame, or the
    /// server has closed.
    static func talk(
        to endpoint: Endpoint,
        _ context: TLSContext,
        _ bytes: [UInt8]
    ) async throws -> [UInt8] {
        guard case .tcp(let host, let port) = endpoint else { return [] }
        let received = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: [UInt8].self)
        _ = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        TLSHandler(context, peer: TLSPeerName(host)),
                        Talker(bytes, received)
                    )
                }
            }
            .connect(host: host, port: port).get()
        return try await received.futureResult.get()
    }

    /// What a client sends that makes one call.
    static func call(_ script: String, metadata: Metadata = Metadata()) throws -> [UInt8] {
        var payload: [UInt8] = []
        OpenPayload(path: ScriptedService.method.path, metadata: metadata)?.encode(into: &payload)
        let request = try GetVirtualDiskChangesRequest(path: script).encode()
        return Wire.greeting() + Wire.frame(.open, stream: 1, payload + request)
    }

    /// The status of the END among the frames that arrived.
    static func status(_ received: [UInt8]) throws -> UInt32? {
        try Wire.frames(received).first { $0.header.type == .end }?.header.aux
    }
}

extension IssuedCertificate {
    func certificates() throws -> [TLSCertificate] {
        try TLSCertificate.list(pem: Array(try Data(contentsOf: URL(fileURLWithPath: certificate))))
    }

    func identity() throws -> TLSIdentity {
        try TLSIdentity(
            chain: try certificates(),
            key: try TLSKey(pem: Array(try Data(contentsOf: URL(fileURLWithPath: key))))
        )
    }
}

private final class Talker: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let bytes: [UInt8]
    private let promise: EventLoopPromise<[UInt8]>
    private var received: [UInt8] = []

    init(_ bytes: [UInt8], _ promise: EventLoopPromise<[UInt8]>) {
        self.bytes = bytes
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
        if (try? TLSPeer.status(received)) != nil { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.succeed(received)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
