internal import DiskDeltaProtocol

/// The answer about many disks: their answers interleaved, each with its own header and its own end (P-95 to P-98).
///
/// A few disks are open at a time, in the order of the request, and give a message each in turn; where one has come to its end,
/// the next takes its place. A failure of one is its own end and no other's.
final class ManyDisksAnswer: ResponseStream {
    /// How many disks are open at a time: enough that a slow one does not hold up the others, and few enough for memory and
    /// descriptors not to follow the number of disks.
    static let width = 8

    typealias Asking = (GetVirtualDiskChangesRequest) async throws(CallError) -> any ResponseStream<RangeAnswer>

    private let requests: [GetVirtualDiskChangesRequest]
    private let ask: Asking
    /// How many disks were begun.
    private var begun = 0
    private var open: [(disk: Int, stream: any ResponseStream<RangeAnswer>)] = []
    /// Whose turn it is, of those that are open.
    private var turn = 0
    private var rangesOfEndedDisks: UInt64 = 0

    init(_ requests: [GetVirtualDiskChangesRequest], ask: @escaping Asking) {
        self.requests = requests
        self.ask = ask
    }

    func next() async throws(CallError) -> BatchRangeAnswer? {
        guard !Task.isCancelled else { throw CallError(.cancelled, "The call was cancelled") }
        if open.count < Self.width, begun < requests.count {
            let disk = begun
            begun += 1
            do throws(CallError) {
                open.append((disk, try await ask(requests[disk])))
            } catch {
                return Self.end(of: disk, BatchDiskEnd(error))
            }
            turn = open.count - 1
        }
        guard !open.isEmpty else { return nil }
        if turn >= open.count { turn = 0 }
        let (disk, stream) = open[turn]
        do throws(CallError) {
            if let message = try await stream.next() {
                turn += 1
                return BatchRangeAnswer(disk: UInt32(clamping: disk), part: .answer(message))
            }
        } catch {
            guard !Task.isCancelled else { throw error }
            close(stream)
            return Self.end(of: disk, BatchDiskEnd(error))
        }
        close(stream)
        return Self.end(
            of: disk,
            BatchDiskEnd(
                status: .ok,
                details: StatusDetails(success: stream.totals, resumeOffset: stream.resumeOffset)
            )
        )
    }

    /// How many ranges were found, on all disks.
    var rangeCount: UInt64 {
        open.reduce(rangesOfEndedDisks) { $0 &+ $1.stream.rangeCount }
    }

    private func close(_ stream: any ResponseStream<RangeAnswer>) {
        rangesOfEndedDisks &+= stream.rangeCount
        open.remove(at: turn)
    }

    private static func end(of disk: Int, _ end: BatchDiskEnd) -> BatchRangeAnswer {
        BatchRangeAnswer(disk: UInt32(clamping: disk), part: .end(end))
    }
}

extension BatchDiskEnd {
    /// How an answer failed: what END would have said of it.
    init(_ error: CallError) {
        self.init(status: error.status, message: error.message, details: StatusDetails(error))
    }
}
