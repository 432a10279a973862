import Testing

@testable import DiskDeltaProtocol

/// The watch over a peer that says nothing (P-84).
struct KeepaliveTests {
    private static let start = ContinuousClock.now

    private var keepalive = Keepalive(KeepaliveTimes(interval: .seconds(60), timeout: .seconds(20)), at: Self.start)

    private mutating func check(after seconds: Int, _ expected: Keepalive.Verdict) {
        let verdict = keepalive.check(at: Self.start + .seconds(seconds))
        #expect(verdict == expected, "after \(seconds) s")
    }

    private var deadline: Duration? { keepalive.deadline.map { $0 - Self.start } }

    @Test mutating func aPeerThatSaysNothingIsAskedAndThenDead() {
        #expect(deadline == .seconds(60))
        check(after: 59, .wait)
        check(after: 60, .ask)
        #expect(deadline == .seconds(80))
        check(after: 79, .wait)
        check(after: 80, .dead)
    }

    @Test mutating func timeIsCountedFromTheLastByteNotFromTheQuestion() {
        check(after: 60, .ask)
        keepalive.hear(at: Self.start + .seconds(79))
        check(after: 80, .wait)
        #expect(deadline == .seconds(139))
        check(after: 139, .ask)
        check(after: 159, .dead)
    }

    @Test mutating func questionsAreNoCloserThanThePeerAllows() {
        keepalive.spacing = .seconds(300)
        check(after: 60, .ask)
        keepalive.hear(at: Self.start + .seconds(61))
        #expect(deadline == .seconds(360))
        check(after: 359, .wait)
        check(after: 360, .ask)
    }

    @Test func itCanBeOff() {
        var off = Keepalive(nil, at: Self.start)
        #expect(off.deadline == nil)
        let verdict = off.check(at: Self.start + .seconds(1_000_000))
        #expect(verdict == .wait)
    }
}

/// The PINGs of both sides (P-48, P-49, P-83).
struct PingTests {
    private static let header = FrameHeader(.ping, length: 8)
    private static let answer = FrameHeader(.ping, length: 8, flags: FrameHeader.acknowledgement)

    private func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
    }

    /// What comes of a PING frame; the code of the GOAWAY where it breaks a rule.
    private func receive(_ pings: inout PingExchange, _ header: FrameHeader, _ value: UInt64) -> Outcome {
        do throws(ProtocolError) {
            return .event(try pings.receive(header, bytes(value).span.bytes))
        } catch {
            return .failure(error.code.goAwayCode)
        }
    }

    private enum Outcome: Equatable {
        case event(PingExchange.Event)
        case failure(GoAwayCode?)
    }

    @Test func onePingAtATimeAndItsAnswerOnly() throws {
        var pings = PingExchange()
        let sent = [pings.send(), pings.send()]
        let first = try #require(sent[0])
        #expect(sent[1] == nil)
        let outcomes = [
            receive(&pings, Self.answer, first &+ 1), receive(&pings, Self.answer, first),
            receive(&pings, Self.answer, first),
        ]
        #expect(outcomes == [.failure(.protocolError), .event(.answered(first)), .failure(.protocolError)])
        let second = pings.send()
        #expect(second != nil && second != first)
    }

    @Test func aQuestionBeforeTheAnswerIsWrittenIsTooMuch() {
        var pings = PingExchange()
        var outcomes = [receive(&pings, Self.header, 7), receive(&pings, Self.header, 8)]
        pings.answerWritten()
        outcomes.append(receive(&pings, Self.header, 9))
        #expect(outcomes == [.event(.asked(7)), .failure(.excessiveLoad), .event(.asked(9))])
    }

    @Test func theThirdStrikeIsTheLast() throws {
        let start = ContinuousClock.now
        var policing = PingPolicing(interval: .seconds(10))
        // Half the interval is near enough.
        for index in 0..<50 { try policing.receive(at: start + .seconds(5 * index)) }
        let last = start + .seconds(5 * 49)
        try policing.receive(at: last + .milliseconds(4_999))
        try policing.receive(at: last + .milliseconds(5_000))
        let third = Result { () throws(ProtocolError) in try policing.receive(at: last + .milliseconds(5_001)) }
        guard case .failure(let error) = third else {
            Issue.record("a third strike is tolerated")
            return
        }
        #expect(error.code == .excessiveLoad)
    }

    @Test func aClientThatIsServedIsForgiven() throws {
        let start = ContinuousClock.now
        var policing = PingPolicing(interval: .seconds(10))
        for index in 0..<100 {
            try policing.receive(at: start + .milliseconds(index))
            if index % 2 == 1 { policing.forgive() }
        }
    }

    @Test func anIntervalOfNothingAllowsEverything() throws {
        var policing = PingPolicing(interval: .zero)
        let now = ContinuousClock.now
        for _ in 0..<100 { try policing.receive(at: now) }
    }
}
