internal import DequeModule
internal import DiskDeltaProtocol
internal import NIOCore
internal import Synchronization

/// A call over a connection, as its caller holds it. A call that is let go before its end is cancelled.
final class ClientCall: OutstandingCall {
    private let inbox: ClientInbox
    private let stream: StreamID
    /// A call keeps its connection open.
    private let connection: RPCConnection

    init(_ inbox: ClientInbox, _ stream: StreamID, _ connection: RPCConnection) {
        self.inbox = inbox
        self.stream = stream
        self.connection = connection
    }

    deinit {
        cancel()
    }

    func next<Response: Message>(_ type: Response.Type) async throws(CallError) -> Response? {
        guard let payload = try await inbox.receive() else { return nil }
        let decoded = payload.withUnsafeReadableBytes { bytes in
            Result { () throws(MessageError) in try Response(decoding: bytes) }
        }
        switch decoded {
        case .success(let message):
            // The server may send more when this one is taken, not when it arrived (P-44).
            connection.onEventLoop { [stream] in $0.consumed(stream, byteCount: payload.readableBytes) }
            return message
        case .failure(let error):
            let error = CallError(undecodableAnswer: error)
            end(error, reason: .internal, evenIfRead: true)
            throw error
        }
    }

    var details: StatusDetails { inbox.details }

    func cancel() {
        end(CallError(.cancelled, "the call was cancelled"), reason: .cancelled, evenIfRead: false)
    }

    private func end(_ error: CallError, reason: Status, evenIfRead: Bool) {
        guard inbox.abort(error, evenIfRead: evenIfRead) else { return }
        connection.onEventLoop { [stream] in $0.cancel(stream, reason: reason) }
    }
}

/// The messages of a call that have arrived and not been read. Its length is bounded by the credit of the stream.
final class ClientInbox: Sendable {
    typealias Received = Result<ByteBuffer?, CallError>

    private struct State {
        var messages = Deque<ByteBuffer>()
        var outcome: Result<StatusDetails, CallError>?
        /// The reader, while it waits.
        var reader: CheckedContinuation<Received, Never>?
    }

    private let state = Mutex(State())

    /// The next message, or nil when all are read and the call has succeeded.
    func receive() async throws(CallError) -> ByteBuffer? {
        let received = await withCheckedContinuation { (reader: CheckedContinuation<Received, Never>) in
            let answer = state.withLock { state -> Received? in
                if let message = state.messages.popFirst() { return .success(message) }
                if let outcome = state.outcome { return outcome.map { _ in nil } }
                guard state.reader == nil else {
                    return .failure(CallError(.internal, "a call is read by two tasks at once"))
                }
                state.reader = reader
                return nil
            }
            if let answer { reader.resume(returning: answer) }
        }
        return try received.get()
    }

    /// A message has arrived.
    func append(_ message: ByteBuffer) {
        let reader = state.withLock { state -> CheckedContinuation<Received, Never>? in
            guard state.outcome == nil else { return nil }
            if let reader = state.reader.take() { return reader }
            state.messages.append(message)
            return nil
        }
        reader?.resume(returning: .success(message))
    }

    /// The call has ended. What arrived before can still be read, so that a reader can go on from there.
    func finish(_ outcome: Result<StatusDetails, CallError>) {
        let reader = state.withLock { state -> CheckedContinuation<Received, Never>? in
            guard state.outcome == nil else { return nil }
            state.outcome = outcome
            return state.reader.take()
        }
        reader?.resume(returning: outcome.map { _ in nil })
    }

    /// This side gives the call up: what was not read is dropped, and whoever reads on gets the error, also where the end has
    /// arrived. False where it has: then the other side need not be told.
    ///
    /// - Parameter evenIfRead: whether a call that has ended, and of which every message was read, has failed too.
    func abort(_ error: CallError, evenIfRead: Bool) -> Bool {
        let (isFirst, reader) = state.withLock { state -> (Bool, CheckedContinuation<Received, Never>?) in
            let isFirst = state.outcome == nil
            guard isFirst || evenIfRead || !state.messages.isEmpty else { return (false, nil) }
            state.outcome = .failure(error)
            state.messages.removeAll()
            return (isFirst, state.reader.take())
        }
        reader?.resume(returning: .failure(error))
        return isFirst
    }

    /// What the END carried; empty until the call has succeeded.
    var details: StatusDetails {
        state.withLock { state in
            if case .success(let details) = state.outcome { details } else { StatusDetails() }
        }
    }
}
