import DiskDeltaProtocol
import TestSupport
import Testing

/// Whole conversations, against the bytes that every implementation shares.
struct ConversationVectorTests {
    @Test(arguments: WireVector.all("client"))
    func client(_ vector: WireVector) {
        let expected = vector.expected
        #expect(outcome(vector.bytes, step: vector.bytes.count) == expected)
        #expect(outcome(vector.bytes, step: 1) == expected)
        #expect(outcome(vector.bytes, step: 7) == expected)
    }

    @Test(arguments: WireVector.all("client").filter { $0["result"] == "complete" })
    func noPrefixIsComplete(_ vector: WireVector) {
        let complete = WireVector.Line(word: "result", value: "complete")
        var isComplete = false
        for count in 0...vector.bytes.count {
            let isCompleteNow = outcome(Array(vector.bytes.prefix(count)), step: count).contains(complete)
            #expect(isCompleteNow || !isComplete, "complete and then not")
            isComplete = isCompleteNow
            if isComplete { #expect(vector.name == "client-goaway-then-end" || count == vector.bytes.count) }
        }
        #expect(isComplete)
    }

    @Test(arguments: WireVector.all("server"))
    func server(_ vector: WireVector) {
        for step in [1, 5, max(vector.bytes.count, 1)] {
            #expect(found(vector, step: step) == vector.expected.filter { $0.word != "ends" })
        }
    }

    /// What a client that opened streams 1 and 3 finds, as the vectors tell it.
    private func outcome(_ bytes: [UInt8], step: Int) -> [WireVector.Line] {
        var connection = ClientConnection()
        for stream: StreamID in [1, 3] {
            let header = try? connection.open(length: 10, timeout: nil)
            #expect(header?.stream == stream)
        }
        var messages = 0
        var result: WireVector.Line?
        var feeder = Feeder()
        for start in stride(from: 0, to: bytes.count, by: max(step, 1)) {
            feeder.feed(bytes[start..<min(start + step, bytes.count)], to: &connection) { connection, action, piece in
                switch action {
                case .message(let stream):
                    if stream == 1 { messages += 1 }
                    connection.consumed(stream, byteCount: piece.count)
                case .end(1, let status, _):
                    result = .init(word: "result", value: status == 0 ? "complete" : "status \(status)")
                case .cancelled(1, let reason):
                    let status = reason == FrameHeader.refused ? 8 : reason
                    result = .init(word: "result", value: "status \(status)")
                case .serverLeaves(_, let notTakenUp, let failed):
                    if notTakenUp.contains(1) { result = .init(word: "result", value: "refused") }
                    if failed.contains(1) { result = .init(word: "result", value: "broken") }
                case .fail(let error, let streams):
                    #expect(result != nil || streams.contains(1))
                    result = .init(word: "error", value: error.code.goAwayCode?.name ?? "NONE")
                case .answerPing:
                    connection.pingAnswered()
                case .none, .ready, .end, .cancelled, .sendPing, .dead:
                    break
                }
                return true
            }
        }
        return [
            .init(word: "messages", value: "\(messages)"), result ?? .init(word: "result", value: "broken"),
        ]
    }

    /// What a server finds, as the vectors tell it.
    private func found(_ vector: WireVector, step: Int) -> [WireVector.Line] {
        var connection = ServerConnection()
        var feeder = Feeder()
        var found: [WireVector.Line] = []
        for start in stride(from: 0, to: vector.bytes.count, by: step) {
            let bytes = vector.bytes[start..<min(start + step, vector.bytes.count)]
            feeder.feed(bytes, to: &connection) { connection, action in
                switch action {
                case .open(let stream, let open, _):
                    found.append(.init(word: "opened", value: "\(stream) \(open.path)"))
                    if vector.all("ends").contains("\(stream)") {
                        let ended = connection.end(stream)
                        #expect(ended)
                        connection.handlerReturned(stream)
                    }
                case .cancel(let stream): found.append(.init(word: "cancelled", value: "\(stream)"))
                case .refuse(let stream): found.append(.init(word: "refused", value: "\(stream)"))
                case .fail(let error):
                    found.append(.init(word: "error", value: error.code.goAwayCode?.name ?? "NONE"))
                case .answerPing: connection.pingAnswered()
                case .none, .sendPreface, .ready, .clientLeaves, .stalled, .sendPing, .goAway, .dead: break
                }
                return true
            }
        }
        return found
    }
}
