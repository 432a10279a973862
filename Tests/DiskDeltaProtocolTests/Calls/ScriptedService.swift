import DiskDeltaProtocol
import Synchronization

/// A service whose answer about changes is a list of messages, and which counts how often it was pulled.
final class ScriptedService: ImageManagementService {
    enum Step: Sendable {
        case message(RangeAnswer)
        case failure(CallError)
        /// Waits until the call is given up.
        case wait
    }

    private let steps: [Step]
    let pulls = Mutex(0)
    let contexts = Mutex<[CallContext]>([])
    let sawCancellation = Mutex(false)

    init(_ steps: [Step]) {
        self.steps = steps
    }

    static func batch(_ processedEnd: UInt64) -> RangeAnswer {
        RangeAnswer(part: .runs(RangeRuns(processedEnd: processedEnd, gap: [0, 1], length: [1, 2])))
    }

    func getVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        contexts.withLock { $0.append(context) }
        guard request.path != "gone" else { throw CallError(.fileNotFound, "gone is not there") }
        return Answer(self)
    }

    private final class Answer: ResponseStream {
        private let service: ScriptedService
        private var steps: ArraySlice<Step>

        init(_ service: ScriptedService) {
            self.service = service
            steps = service.steps[...]
        }

        func next() async throws(CallError) -> RangeAnswer? {
            service.pulls.withLock { $0 += 1 }
            switch steps.popFirst() {
            case .message(let message): return message
            case .failure(let error): throw error
            case .wait:
                try? await Task.sleep(for: .seconds(3600))
                service.sawCancellation.withLock { $0 = Task.isCancelled }
                return nil
            case nil: return nil
            }
        }

        var totals: AnswerTotals? { AnswerTotals(processed: 4096, ranges: 2, bytes: 3, dataBytes: 3) }
        var resumeOffset: UInt64? { 4096 }
    }
}
