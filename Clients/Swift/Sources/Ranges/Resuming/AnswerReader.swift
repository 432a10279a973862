internal import DiskDeltaProtocol
internal import Synchronization

/// Pulls the messages of one answer through its check, and asks again for the rest of it where it breaks.
///
/// It is the one place in the answer that all who read it share.
actor AnswerReader<Answer: ResumableAnswer> {
    /// Asks for the rest of the answer; nil stands for the whole question, as the caller asked it.
    typealias Ask = @Sendable (Answer.Rest?, CallOptions) async throws(CallError) -> TypedCall<Answer.Message>

    private let ask: Ask
    private let callOptions: CallOptions
    private let options: RangeOptions
    private let time: TimeBudget
    private let current = CurrentCall<Answer.Message>()

    /// What is known of the answer.
    private(set) var answer: Answer
    private var series: ResumeSeries
    /// What was taken, and not handed out yet.
    private var pending: ArraySlice<Answer.Element> = []
    /// How the answer ended: nil while it has not, an error that is thrown again at every further read.
    private var end: Result<Void, CallError>?
    /// Whether a reader was told that the answer is complete.
    private var isEndTold = false
    private nonisolated let isBeingRead = Atomic(false)

    init(_ answer: Answer, _ callOptions: CallOptions, _ options: RangeOptions, _ ask: @escaping Ask) {
        self.answer = answer
        self.callOptions = callOptions
        self.options = options
        self.ask = ask
        time = TimeBudget(callOptions.timeout)
        series = ResumeSeries(options.resuming)
    }

    /// How often it was tried to resume the answer.
    var resumeAttempts: Int { series.attempts }

    /// Whether the answer has ended, and was proved.
    var isComplete: Bool {
        if case .success? = end { true } else { false }
    }

    nonisolated func cancel() {
        current.cancel()
    }

    /// Whether the answer, or the task that asks, was cancelled. An answer that has failed is.
    nonisolated var isCancelled: Bool { Task.isCancelled || current.isCancelled }

    // MARK: Reading

    /// Asks the question, and takes the first message of the answer.
    func begin() async throws(CallError) {
        do throws(CallError) {
            current.set(try await ask(nil, callOptions))
            try await take(within: nil)
        } catch {
            let error = answer.placed(error)
            fail(error)
            throw error
        }
    }

    /// Reads, unless another task does so: what `body` finds read and what it reads is nobody else's.
    nonisolated func reading<Result>(
        _ body: () async throws(CallError) -> Result
    ) async throws(CallError) -> Result {
        guard isBeingRead.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            throw CallError(.invalidParameter, "The answer is read by two tasks at once")
        }
        defer { isBeingRead.store(false, ordering: .releasing) }
        return try await body()
    }

    /// What the answer tells next; nil when it is complete, which is told once.
    func next() async throws(CallError) -> Answer.Element? {
        while true {
            // Before what has arrived: a reader that was cancelled is told no more, and not that it has all.
            if end == nil, isCancelled { fail(answer.placed(CallError(.cancelled, "the call was cancelled"))) }
            if let element = pending.popFirst() { return element }
            if let end {
                try end.get()
                guard !isEndTold else {
                    let text = "The answer was read to its end already: to read it again, ask again"
                    throw CallError(.invalidParameter, text)
                }
                isEndTold = true
                return nil
            }
            let message: Answer.Message?
            do throws(CallError) {
                message = try await receive(within: options.silenceLimit)
            } catch {
                await resume(after: error)
                continue
            }
            do throws(CallError) {
                try take(message)
            } catch {
                fail(answer.placed(error))
            }
        }
    }

    /// Waits for the next message, and takes it.
    private func take(within limit: Duration?) async throws(CallError) {
        try take(try await receive(within: limit))
    }

    /// - Parameter message: nil where END has come, with status OK.
    private func take(_ message: Answer.Message?) throws(CallError) {
        guard let message else {
            try answer.finish(try current.get().details)
            end = .success(())
            return
        }
        guard let element = try answer.receive(message) else { return }
        pending.append(element)
        series.progressed()
    }

    /// The next message. Where none comes within the limit, the call is given up: SERVER_UNAVAILABLE.
    private func receive(within limit: Duration?) async throws(CallError) -> Answer.Message? {
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

    private func fail(_ error: CallError) {
        end = .failure(error)
        pending += answer.fail(error)
        current.cancel()
    }

    // MARK: Resuming

    /// Brings the answer to where it can be read on; or to its end, where that is not possible, or not wanted.
    private func resume(after error: CallError) async {
        guard error.status != .unavailable || !answer.isProved else {
            end = .success(())
            return
        }
        do throws(CallError) {
            try await current.resuming { [self] () async throws(CallError) in try await reopen(after: error) }
        } catch {
            fail(error)
        }
    }

    private func reopen(after error: CallError) async throws(CallError) {
        let first = error
        var last = error
        while true {
            guard last.status == .unavailable || last.isUnbegun, let rest = answer.rest else {
                throw answer.placed(last)
            }
            tell(.broke, last)
            let decision = series.broke(
                at: .now,
                variation: .random(in: -1...1),
                retryDelay: .milliseconds(Int64(last.retryDelay))
            )
            guard case .tryAgain(let wait, let end) = decision else {
                tell(.gaveUp, last)
                throw incomplete(first, last)
            }
            do throws(CallError) {
                try await time.sleep(wait)
                answer.beginPart()
                let options = time.options(callOptions, attempts: series.attempts, patienceEnds: end)
                current.set(try await ask(rest, options))
                // A server that opens the disk and says nothing must not outlast the patience.
                try await take(within: max(end - .now, .milliseconds(1)))
                tell(.resumed, nil)
                return
            } catch {
                last = error
            }
        }
    }

    private func tell(_ kind: ResumeEvent.Kind, _ error: CallError?) {
        guard let observer = options.observer else { return }
        for (disk, position) in answer.places {
            observer(
                ResumeEvent(kind: kind, disk: disk, position: position, attempts: series.attempts, error: error)
            )
        }
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
        guard last.reason == .serverUnavailable || last.isUnbegun else { return answer.placed(last) }
        var error = CallError(.answerIncomplete, message)
        error.retryDelay = last.retryDelay
        return answer.placed(error)
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
