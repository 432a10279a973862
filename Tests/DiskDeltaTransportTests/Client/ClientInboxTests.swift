import DiskDeltaProtocol
import NIOCore
import Testing

@testable import DiskDeltaTransport

/// What a call that this side gave up tells whoever reads on.
@Suite("The inbox of a call", .timeLimit(.minutes(1)))
struct ClientInboxTests {
    private static let cancelled = CallError(.cancelled, "the call was cancelled")
    private let inbox = ClientInbox()

    private func arrive(_ count: Int) {
        for index in 0..<count { inbox.append(ByteBuffer(integer: UInt8(index))) }
    }

    private func error() async -> CallError? {
        await #expect(throws: CallError.self) { _ = try await inbox.receive() }
    }

    @Test("Cancelled, what has arrived is not told, not even where the end has arrived", arguments: [false, true])
    func cancelledBeforeItWasRead(hasEnded: Bool) async throws {
        arrive(3)
        if hasEnded { inbox.finish(.success(StatusDetails())) }
        #expect(try await inbox.receive() != nil)
        #expect(inbox.abort(Self.cancelled, evenIfRead: false) == !hasEnded)
        for _ in 0..<2 { #expect(await error() == Self.cancelled) }
    }

    @Test func anEndThatWasReadStays() async throws {
        arrive(1)
        inbox.finish(.success(StatusDetails(success: nil, resumeOffset: 512)))
        #expect(try await inbox.receive() != nil)
        #expect(!inbox.abort(Self.cancelled, evenIfRead: false))
        for _ in 0..<2 { #expect(try await inbox.receive() == nil) }
        #expect(inbox.details.resumeOffset == 512)
    }

    @Test("A message that cannot be read is no answer without it", arguments: [1, 3])
    func aMessageThatCannotBeRead(count: Int) async throws {
        let unreadable = CallError(.answerInvalid, "the answer could not be read")
        arrive(count)
        inbox.finish(.success(StatusDetails()))
        #expect(try await inbox.receive() != nil)
        #expect(!inbox.abort(unreadable, evenIfRead: true))
        for _ in 0..<2 { #expect(await error() == unreadable) }
    }
}
