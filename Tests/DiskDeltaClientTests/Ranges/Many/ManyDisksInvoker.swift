import DiskDeltaProtocol
import Synchronization
import TestSupport

@testable import DiskDeltaClient

/// A server of many disks that answers any windows of them in one call, interleaved at random, and breaks its answers where a
/// test says.
final class ManyDisksInvoker: CallInvoker {
    struct Disk: Sendable {
        var ranges: [ChangedRange]
        var header: AnswerHeader
        /// Where batches end.
        var cuts: [UInt64] = []
        /// How its answer ends, after so many messages; nil where it is whole.
        var failure: (after: Int, error: CallError)?
    }

    struct Asked: Sendable {
        var disks: [GetVirtualDiskChangesRequest]
        var options: CallOptions
    }

    /// By the paths that requests name.
    private let disks: [String: Disk]
    private let change: @Sendable (_ call: Int, inout [BatchRangeAnswer]) -> Void
    private let fates: Mutex<[WindowedInvoker.Fate]>
    private let generator: Mutex<RepeatableGenerator>
    let asked = Mutex<[Asked]>([])
    let cancellations = Mutex(0)

    /// - Parameters:
    ///   - fates: of the calls, in their order; when there are no more, answers are whole.
    ///   - change: changes what a call would say.
    init(
        _ disks: [String: Disk],
        fates: [WindowedInvoker.Fate] = [],
        seed: UInt64 = 1,
        change: @escaping @Sendable (_ call: Int, inout [BatchRangeAnswer]) -> Void = { _, _ in }
    ) {
        self.disks = disks
        self.fates = Mutex(fates)
        generator = Mutex(RepeatableGenerator(seed: seed))
        self.change = change
    }

    func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall {
        guard let request = request as? GetVirtualDiskChangesBatchRequest else {
            throw CallError(.unsupported, "\(method.path)")
        }
        let number = asked.withLock { all in
            all.append(Asked(disks: request.disks, options: options))
            return all.count - 1
        }
        var messages = answer(request.disks)
        change(number, &messages)
        let fate = fates.withLock { $0.isEmpty ? .whole : $0.removeFirst() }
        let scripted: ScriptedInvoker
        switch fate {
        case .whole: scripted = ScriptedInvoker(messages, .success(StatusDetails()))
        case .breaks(let count, let error): scripted = ScriptedInvoker(Array(messages.prefix(count)), .failure(error))
        case .silent(let count): scripted = ScriptedInvoker(Array(messages.prefix(count)), .wait)
        case .notMade(let error): throw error
        }
        return try await scripted.open(method, request: request, options: options)
    }

    private func answer(_ requests: [GetVirtualDiskChangesRequest]) -> [BatchRangeAnswer] {
        var left = requests.enumerated().map { index, request -> [BatchRangeAnswer] in
            guard let disk = disks[request.path] else {
                let details = StatusDetails(CallError(.fileNotFound, ""))
                return [ManyAnswer.end(of: index, .notFound, details, message: "no such disk")]
            }
            guard request.ifEpoch.isEmpty || request.ifEpoch == disk.header.epoch else {
                return [ManyAnswer.end(of: index, .aborted, StatusDetails(CallError(.epochChanged, "")))]
            }
            let answer = Answer(
                disk.ranges,
                of: disk.header.answering(request),
                offset: request.byteOffset,
                length: request.byteLength,
                cuts: disk.cuts
            )
            let messages = ManyAnswer.messages(of: index, answer.messages)
            guard let (count, error) = disk.failure else {
                return messages + [ManyAnswer.end(of: index, .ok, answer.details)]
            }
            return messages.prefix(count)
                + [ManyAnswer.end(of: index, error.status, StatusDetails(error), message: error.message)]
        }
        var messages: [BatchRangeAnswer] = []
        generator.withLock { generator in
            while let next = left.indices.filter({ !left[$0].isEmpty }).randomElement(using: &generator) {
                messages.append(left[next].removeFirst())
            }
        }
        return messages
    }
}
