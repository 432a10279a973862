import DiskDeltaTransport
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import DiskDeltaServer

@Suite("The page of metrics, over HTTP", .timeLimit(.minutes(2)))
struct MetricsListenerTests {
    /// A connection that sends bytes and takes what comes until the other side closes.
    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let request: String
        private let answer: EventLoopPromise<String>
        private var received = ""

        init(_ request: String, _ answer: EventLoopPromise<String>) {
            self.request = request
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += String(buffer: unwrapInboundIn(data))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelInactive(context: ChannelHandlerContext) { answer.succeed(received) }
    }

    private func exchange(_ request: String, with listener: MetricsListener) async throws -> String {
        guard case .tcp(let host, let port) = listener.endpoint else { return "" }
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.next().makePromise(of: String.self)
        let bootstrap = ClientBootstrap(group: group).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(Exchange(request, answer))
            }
        }
        do {
            _ = try await bootstrap.connect(host: host, port: port).get()
        } catch {
            answer.succeed("")
        }
        return try await answer.futureResult.get()
    }

    private func with(
        _ limits: MetricsListener.Limits = .init(),
        _ body: (MetricsListener) async throws -> Void
    ) async throws {
        let listener = try await MetricsListener.bind(to: .tcp(host: "127.0.0.1", port: 0), limits: limits) { page in
            page == .metrics
                ? MetricsAnswer(contentType: PrometheusText.contentType, text: "a 1\n")
                : MetricsAnswer(status: .serviceUnavailable, text: "not serving\n")
        }
        try await body(listener)
        await listener.stop()
    }

    @Test func requests() async throws {
        try await with { listener in
            let metrics = try await exchange("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", with: listener)
            #expect(metrics.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
            #expect(metrics.contains("connection: close\r\n"))
            #expect(metrics.hasSuffix("\r\n\r\na 1\n"))
            let head = try await exchange("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", with: listener)
            #expect(head.contains("content-length: 4\r\n") && head.hasSuffix("\r\n\r\n"))
            let health = try await exchange("GET /healthz HTTP/1.0\r\n\r\n", with: listener)
            #expect(health.hasPrefix("HTTP/1.1 503 ") && health.hasSuffix("\r\n\r\nnot serving\n"))
            let other = try await exchange("GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", with: listener)
            #expect(other.hasPrefix("HTTP/1.1 404 "))
            let post = try await exchange(
                "POST /metrics HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n",
                with: listener
            )
            #expect(post.hasPrefix("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD\r\n"))
            // One request to a connection.
            let two = try await exchange(
                "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
                with: listener
            )
            #expect(two.components(separatedBy: "HTTP/1.1 ").count == 2)
        }
    }

    @Test("What is not HTTP, or too long, is not served")
    func hostileRequests() async throws {
        try await with { listener in
            let garbage = try await exchange("\u{1}\u{2}\u{3}\r\n\r\n", with: listener)
            #expect(!garbage.contains("a 1"))
            let long = "GET /metrics HTTP/1.1\r\nx: " + String(repeating: "a", count: 20_000) + "\r\n\r\n"
            let tooLong = try await exchange(long, with: listener)
            #expect(tooLong == "")
            let body =
                "POST /metrics HTTP/1.1\r\ncontent-length: 100000\r\n\r\n" + String(repeating: "a", count: 20_000)
            let withBody = try await exchange(body, with: listener)
            #expect(!withBody.contains("a 1"))
        }
    }

    @Test("A connection that says nothing is closed, and so is one too many")
    func silence() async throws {
        var limits = MetricsListener.Limits()
        limits.time = .milliseconds(50)
        try await with(limits) { listener in
            let answer = try await exchange("GET /metrics HTTP", with: listener)
            #expect(answer == "")
        }
        limits.time = .seconds(3_600)
        limits.connections = 2
        try await with(limits) { listener in
            guard case .tcp(let host, let port) = listener.endpoint else { return }
            let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            var idle: [any Channel] = []
            for _ in 0..<2 { idle.append(try await bootstrap.connect(host: host, port: port).get()) }
            let refused = try await exchange("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", with: listener)
            #expect(refused == "")
            try await idle[0].close()
            // The place is free as soon as the listener has noticed.
            while try await exchange("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", with: listener) == "" {}
            try await idle[1].close()
        }
    }
}
