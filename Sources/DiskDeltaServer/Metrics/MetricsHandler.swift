internal import NIOCore
internal import NIOHTTP1

/// What can be asked for.
enum MetricsPage: String, Sendable {
    case metrics = "/metrics"
    case health = "/healthz"
}

/// What is answered.
struct MetricsAnswer: Sendable {
    var status: HTTPResponseStatus = .ok
    var contentType = "text/plain; charset=utf-8"
    var text: String
}

/// Answers the one request of a connection, and closes it.
final class MetricsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: @Sendable (MetricsPage) -> MetricsAnswer
    private var hasAnswered = false

    init(answer: @escaping @Sendable (MetricsPage) -> MetricsAnswer) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data), !hasAnswered else { return }
        hasAnswered = true
        let path = head.uri.prefix { $0 != "?" }
        switch (head.method, MetricsPage(rawValue: String(path))) {
        case (.GET, let page?), (.HEAD, let page?):
            send(answer(page), to: head, context)
        case (_, .some):
            send(MetricsAnswer(status: .methodNotAllowed, text: "only GET and HEAD\n"), to: head, context)
        case (_, nil):
            send(MetricsAnswer(status: .notFound, text: "there are /metrics and /healthz\n"), to: head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func send(_ answer: MetricsAnswer, to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let body = ByteBuffer(string: answer.text)
        var headers: HTTPHeaders = [
            "content-type": answer.contentType, "content-length": "\(body.readableBytes)", "connection": "close",
            "cache-control": "no-store",
        ]
        if answer.status == .methodNotAllowed { headers.add(name: "allow", value: "GET, HEAD") }
        let response = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if head.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }
}
