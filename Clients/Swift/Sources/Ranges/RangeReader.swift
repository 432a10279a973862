internal import DiskDeltaProtocol
internal import Synchronization

/// Pulls the messages of one range answer through its check, and asks again for the rest of it where it breaks.
actor RangeReader {
    private let question: RangeQuestion
    private let callOptions: CallOptions
    private let options: RangeOptions
    /// When the time for all of it is up.
    private let deadline: ContinuousClock.Instant?
    private let current = CurrentCall()

    private var check: AnswerCheck
    private var series: ResumeSeries
    /// How the answer ended: nil while it has not, an error that is thrown again at every further read.
    private var end: Result<Void, CallError>?

    init(_ question: RangeQuestion, _ callOptions: CallOptions, _ options: RangeOptions) {
        self.question = question
        self.callOptions = callOptions
        self.options = options
        deadline = callOptions.timeout.map { .now + $0 }
        check = AnswerCheck(question.window)
        series = ResumeSeries(options.resuming)
    }

    var position: UInt64 { check.position }

    /// How often it was tried to resume the answer.
    var resumeAttempts: Int { series.attempts }

    /// The totals, once they have been proved.
    var provenTotals: AnswerTotals? {
        guard case .success? = end, let header = check.header else { return nil }
        var totals = check.totals
        totals.processed = header.windowLength
        totals.bytes = totals.dataBytes + totals.zeroBytes
        return totals
    }

    nonisolated func cancel() {
        current.cancel()
    }

    // MARK: Reading

    /// Asks the question, and waits for the header of the answer.
    func begin() async throws(CallError) -> AnswerHeader {
        do throws(CallError) {
            current.set(try await question.ask(nil, callOptions))
            return try await readHeader(within: nil)
        } catch {
            var error = error
            error.resumeOffset = check.position
            throw fail(error)
        }
    }

    /// The next batch; nil when the answer is complete.
    func next() async throws(CallError) -> RangeBatch? {
        while true {
            if let end {
                try end.get()
                return nil
            }
            let message: RangeAnswer?
            do throws(CallError) {
                message = try await receive(within: options.silenceLimit)
            } catch {
                try await resume(after: error)
                continue
            }
            do throws(CallError) {
                guard let message else {
                    try check.finish(try current.get().details)
                    end = .success(())
                    return nil
                }
                guard let batch = try check.receive(message) else {
                    throw CallError(.internal, "A header came and was not noticed", resumeOffset: check.position)
                }
                series.progressed()
                return batch
            } catch {
                throw fail(error)
            }
        }
    }

    private func readHeader(within limit: Duration?) async throws(CallError) -> AnswerHeader {
        guard let message = try await receive(within: limit) else {
            try check.finish(try current.get().details)
            throw CallError(.answerInvalid, "The server's answer breaks rule P-60: it has no header")
        }
        guard try check.receive(message) == nil, let header = check.header else {
            throw CallError(.answerInvalid, "The server's answer breaks rule P-60: it does not start with a header")
        }
        return header
    }

    /// The next message. Where none comes within the limit, the call is given up: SERVER_UNAVAILABLE.
    private func receive(within limit: Duration?) async throws(CallError) -> RangeAnswer? {
        let call = try current.get()
        guard let limit else { return try await call.next() }
        let alarm = Alarm()
        async let _: Void = alarm.ring(after: limit) { call.cancel() }
        do throws(CallError) {
            return try await call.next()
        } catch {
            guard error.reason == .cancelled, alarm.hasRung, !current.isCancelled, !Task.isCancelled else {
                throw error
            }
            throw CallError(.serverUnavailable, "the server has said nothing for \(limit)")
        }
    }

    private func fail(_ error: CallError) -> CallError {
        end = .failure(error)
        current.cancel()
        return error
    }

    // MARK: Resuming

    /// Brings the answer to where its next batch can be read. Throws where that is not possible, or not wanted.
    private func resume(after error: CallError) async throws(CallError) {
        do throws(CallError) {
            try await current.resuming { [self] () async throws(CallError) in try await reopen(after: error) }
        } catch {
            throw fail(error)
        }
    }

    private func reopen(after error: CallError) async throws(CallError) {
        let first = error
        var last = error
        while true {
            guard last.status == .unavailable || last.isUnbegun, let rest = check.rest else {
                last.resumeOffset = check.position
                throw last
            }
            tell(.broke, last)
            let now = ContinuousClock.now
            guard case .tryAgain(let wait, let end) = series.broke(at: now, variation: .random(in: -1...1)) else {
                tell(.gaveUp, last)
                throw incomplete(first, last)
            }
            do throws(CallError) {
                try await sleep(wait)
                check.beginPart()
                current.set(try await question.ask(rest, optionsOfPart(patienceEnds: end)))
                // A server that opens the disk and says nothing must not outlast the patience.
                _ = try await readHeader(within: max(end - .now, .milliseconds(1)))
                tell(.resumed, nil)
                return
            } catch {
                last = error
            }
        }
    }

    private func optionsOfPart(patienceEnds end: ContinuousClock.Instant) -> CallOptions {
        var part = callOptions
        part.timeout = deadline.map { $0 - .now }
        part.waitForReady = true
        part.readyTimeout = max(end - .now, .zero)
        part.previousAttempts = callOptions.previousAttempts + series.attempts
        return part
    }

    private func sleep(_ wait: Duration) async throws(CallError) {
        guard wait > .zero else { return }
        let end = ContinuousClock.now + wait
        guard (try? await Task.sleep(until: deadline.map { min($0, end) } ?? end)) != nil else {
            throw CurrentCall.cancelled
        }
        guard deadline.map({ $0 > .now }) ?? true else { throw CallError(.deadline, "the time for the call is up") }
    }

    private func tell(_ kind: ResumeEvent.Kind, _ error: CallError?) {
        options.observer?(
            ResumeEvent(kind: kind, position: check.position, attempts: series.attempts, error: error)
        )
    }

    /// What broke the answer, and where the reader can go on himself.
    private func incomplete(_ first: CallError, _ last: CallError) -> CallError {
        var message = "The connection broke before the answer was complete: \(first.message)"
        if series.attempts > 0 {
            message +=
                series.attempts == 1
                ? "; one attempt to resume it failed" : "; \(series.attempts) attempts to resume it failed"
            if last != first { message += ", the last because: \(last.message)" }
        }
        // A reason that the server itself gave is not covered up.
        guard last.reason == .serverUnavailable || last.isUnbegun else {
            var error = last
            error.resumeOffset = check.position
            return error
        }
        return CallError(.answerIncomplete, message, resumeOffset: check.position)
    }
}

/// Says whether a time has passed.
private final class Alarm: Sendable {
    private let flag = Atomic(false)

    var hasRung: Bool { flag.load(ordering: .acquiring) }

    /// Runs `body` when the time has passed, unless the task is cancelled before.
    func ring(after time: Duration, _ body: @Sendable () -> Void) async {
        guard (try? await Task.sleep(for: time)) != nil else { return }
        flag.store(true, ordering: .releasing)
        body()
    }
}
