internal import DiskDeltaProtocol
internal import NIOCore

/// Carries one call: pulls a message when there is credit for it, and not before.
struct CallTask: Sendable {
    let accepted: AcceptedCall
    let context: CallContext
    let stream: OutgoingStream
    /// The longest message in bytes that the client accepts.
    let maximumMessage: Int

    func run() async {
        var call: ServerCall?
        var isEarly = false
        do throws(CallError) {
            let opened = try await accepted.open(context)
            call = opened
            let details = try await carry(opened, &isEarly)
            stream.finish(.success(details), ranges: opened.rangesSoFar)
        } catch {
            stream.finish(.failure(error), ranges: call?.rangesSoFar ?? 0, isEarly: isEarly)
        }
    }

    /// `isEarly` becomes true where the answer cannot be sent, whatever its service says.
    private func carry(_ call: ServerCall, _ isEarly: inout Bool) async throws(CallError) -> StatusDetails {
        var mayGoOn = await stream.waitForCredit()
        while mayGoOn {
            guard let payload = try await nextPayload(of: call, &isEarly) else { return call.details }
            mayGoOn = await stream.send(payload, position: call.resumeOffset)
        }
        // Nobody is left to be told.
        throw CallError(.cancelled, "the call was cancelled")
    }

    /// The next message, packed. The message itself, which may hold much memory, does not wait until it can be sent.
    private func nextPayload(of call: ServerCall, _ isEarly: inout Bool) async throws(CallError) -> ByteBuffer? {
        guard let message = try await call.next() else { return nil }
        isEarly = true
        let payload = try payload(of: message)
        isEarly = false
        return payload
    }

    private func payload(of message: some Message) throws(CallError) -> ByteBuffer {
        let encoding: MessageEncoding
        do {
            encoding = try message.prepareEncoding()
        } catch {
            throw CallError(unencodableAnswer: error)
        }
        guard encoding.byteCount <= maximumMessage else {
            throw CallError(
                .resourceLimit,
                "a message of \(encoding.byteCount) bytes is longer than the \(maximumMessage) that the client accepts"
            )
        }
        return OutgoingFrames.dataPayload(encoding)
    }
}
