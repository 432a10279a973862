import DiskDeltaProtocol
import Synchronization

@testable import DiskDeltaClient

/// A server of one disk that answers any window, and breaks its answers where a test says.
final class WindowedInvoker: CallInvoker {
    /// What becomes of one call.
    enum Fate: Sendable {
        case whole
        /// After so many messages it ends with the error.
        case breaks(after: Int, CallError)
        /// After so many messages nothing comes.
        case silent(after: Int)
        /// It cannot be made.
        case notMade(CallError)
    }

    struct Asked: Sendable {
        var offset: UInt64
        var length: UInt64?
        var epoch: String
        var request: GetVirtualDiskChangesRequest
        var options: CallOptions
    }

    private let ranges: [ChangedRange]
    private let header: AnswerHeader
    /// Where batches end.
    private let cuts: [UInt64]
    /// Changes what a call would say.
    private let change: @Sendable (_ call: Int, inout [RangeAnswer]) -> Void
    private let fates: Mutex<[Fate]>
    let asked = Mutex<[Asked]>([])

    /// - Parameters:
    ///   - fates: of the calls, in their order; when there are no more, answers are whole.
    init(
        _ ranges: [ChangedRange],
        header: AnswerHeader,
        cuts: [UInt64] = [],
        fates: [Fate] = [],
        change: @escaping @Sendable (_ call: Int, inout [RangeAnswer]) -> Void = { _, _ in }
    ) {
        self.ranges = ranges
        self.header = header
        self.cuts = cuts
        self.change = change
        self.fates = Mutex(fates)
    }

    func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall {
        guard let request = request as? GetVirtualDiskChangesRequest else {
            throw CallError(.unsupported, "\(method.path)")
        }
        let asked = Asked(
            offset: request.byteOffset,
            length: request.byteLength,
            epoch: request.ifEpoch,
            request: request,
            options: options
        )
        let number = self.asked.withLock { all in
            all.append(asked)
            return all.count - 1
        }
        let fate = fates.withLock { $0.isEmpty ? .whole : $0.removeFirst() }
        var answer = Answer(
            ranges,
            of: header.answering(request),
            offset: request.byteOffset,
            length: request.byteLength,
            cuts: cuts
        )
        change(number, &answer.messages)
        let scripted: ScriptedInvoker
        switch fate {
        case .whole: scripted = ScriptedInvoker(answer.messages, .success(answer.details))
        case .breaks(let count, let error):
            scripted = ScriptedInvoker(Array(answer.messages.prefix(count)), .failure(error))
        case .silent(let count): scripted = ScriptedInvoker(Array(answer.messages.prefix(count)), .wait)
        case .notMade(let error): throw error
        }
        return try await scripted.open(method, request: request, options: options)
    }
}
