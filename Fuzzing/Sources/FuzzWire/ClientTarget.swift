internal import DiskDeltaProtocol

/// The client's machine, under what a server sends, what its readers do and the passing of time. Beside it a ledger is kept of
/// what the server may send, what waits unread, and how each call ended.
struct ClientTarget {
    private struct Call {
        var credit: Int64
        var unread: [Int] = []
    }

    private var machine: ClientConnection
    private let settings: ClientSettings
    private var now = ContinuousClock.now
    private var input: [UInt8] = []
    private var watch = FrameWatch()
    private var maker = FrameMaker(isServer: true)

    private var credit: Int64
    private var calls: [StreamID: Call] = [:]
    private var highest: StreamID = 0
    private var isOver = false

    static func run(_ operations: Operations) {
        var operations = operations
        var target = ClientTarget(&operations)
        while !operations.isAtEnd, !target.isOver { target.step(&operations) }
        target.leaveNothing(target.machine.close())
        target.isOver = true
        target.check()
    }

    private init(_ operations: inout Operations) {
        settings =
            operations.flag()
            ? .default : ClientSettings(maximumFrame: 16_384, streamCredit: 40_000, connectionCredit: 100_000)
        machine = ClientConnection(settings: settings, at: now)
        credit = Int64(settings.connectionCredit)
        if operations.flag() { receive(FrameMaker.greeting(ServerSettings.default.entries)) }
    }

    private mutating func step(_ operations: inout Operations) {
        let stream = highest == 0 ? 1 : highest &- StreamID(operations.number(upTo: 8)) * 2
        switch operations.byte() % 12 {
        case 0, 1: open(Int(operations.number(upTo: 70_000)))
        case 2:
            guard let length = calls[stream]?.unread.first else { return }
            calls[stream]?.unread.removeFirst()
            machine.consumed(stream, byteCount: length)
        case 3:
            let frame = machine.cancel(stream, reason: 1)
            expect((frame != nil) == (calls[stream] != nil), "a call could be cancelled, or could not")
            calls[stream] = nil
        case 4: machine.pingAnswered()
        case 5: pass(.milliseconds(Int64(operations.number(upTo: 1 << 20))))
        case 6: _ = machine.leave()
        case 7:
            // As much as there is credit for, or a byte more.
            let left = min(calls[stream]?.credit ?? credit, credit, Int64(settings.maximumFrame) + 16)
            receive(maker.message(stream, length: Int(max(left - 16, 0)) + Int(operations.byte() % 2)))
        default: receive(maker.make(&operations))
        }
        grant()
        check()
    }

    private mutating func open(_ length: Int) {
        do throws(OpenRefusal) {
            let header = try machine.open(length: length, timeout: nil, at: now)
            expect(!isOver, "a call was opened after the end")
            expect(header.stream % 2 == 1 && header.stream > highest, "stream \(header.stream) after \(highest)")
            highest = header.stream
            calls[header.stream] = Call(credit: Int64(settings.streamCredit))
        } catch {}
    }

    private mutating func receive(_ bytes: [UInt8]) {
        input += bytes
        while !isOver, machine.bytesNeeded <= input.count {
            let piece = Array(input.prefix(machine.bytesNeeded))
            input.removeFirst(piece.count)
            let action = machine.receive(piece.span.bytes, at: now)
            let frame = watch.took(piece)
            if case .fail(let error, _) = action {
                if error.code == .flowControl, let frame, frame.type == 3 {
                    let mayCome = calls[frame.stream].map { min($0.credit, credit) } ?? credit
                    expect(frame.cost > mayCome, "DATA of \(frame.cost) refused with a credit of \(mayCome)")
                }
            } else if let frame, frame.type == 3 {
                expect(frame.cost <= credit, "DATA of \(frame.cost) with a credit of \(credit)")
                credit -= frame.cost
            }
            act(action, piece)
            grant()
        }
        machine.heard(at: now)
    }

    private mutating func act(_ action: ClientAction, _ piece: [UInt8]) {
        expect(!isOver || action == .none, "an action after the end: \(action)")
        switch action {
        case .none, .ready, .answerPing, .sendPing: break
        case .message(let stream):
            let cost = Int64(16 + piece.count)
            guard var call = calls[stream] else { fatalError("Found a message of a call that is over.") }
            expect(cost <= call.credit, "a message of \(cost) with a credit of \(call.credit)")
            call.credit -= cost
            call.unread.append(piece.count)
            calls[stream] = call
        case .end(let stream, let status, _):
            expect(status <= 16, "a status of \(status)")
            finish(stream)
        case .cancelled(let stream, let reason):
            expect(reason >= 1 && (reason <= 16 || reason == FrameHeader.refused), "a reason of \(reason)")
            finish(stream)
        case .serverLeaves(let goAway, let notTakenUp, let failed):
            for stream in notTakenUp { finish(stream) }
            for stream in failed { finish(stream) }
            if goAway.code != .noError {
                expect(calls.isEmpty, "calls that a GOAWAY with an error has left")
                isOver = true
            } else {
                expect(failed.isEmpty, "calls that failed without an error")
            }
        case .dead(let streams):
            leaveNothing(streams)
            isOver = true
        case .fail(let error, let streams):
            expect(!error.description.isEmpty && error.description.utf8.count <= 4_096, "an error without a text")
            leaveNothing(streams)
            isOver = true
        }
    }

    private mutating func finish(_ stream: StreamID) {
        expect(calls.removeValue(forKey: stream) != nil, "stream \(stream) ended twice")
        expect(!machine.isOpen(stream), "stream \(stream) has ended and is open")
    }

    /// The calls that fail with the connection are those that had not ended.
    private mutating func leaveNothing(_ streams: [StreamID]) {
        expect(Set(streams) == Set(calls.keys), "\(streams) fail, and there are \(calls.keys.sorted())")
        calls = [:]
    }

    /// What is granted never exceeds what the server started with.
    private mutating func grant() {
        while let header = machine.nextGrant() {
            expect(!isOver, "a grant after the end")
            expect(header.aux >= 1_024, "a grant of \(header.aux)")
            guard header.stream != 0 else {
                credit += Int64(header.aux)
                expect(credit <= Int64(settings.connectionCredit), "a grant beyond the connection's credit")
                continue
            }
            guard var call = calls[header.stream] else { fatalError("Found a grant for a call that is over.") }
            call.credit += Int64(header.aux)
            let unread = call.unread.reduce(Int64(0)) { $0 + Int64($1) + 16 }
            expect(call.credit + unread <= Int64(settings.streamCredit), "a grant beyond the stream's credit")
            calls[header.stream] = call
        }
    }

    private mutating func pass(_ time: Duration) {
        now = now.advanced(by: time)
        for _ in 0..<200 {
            let action = machine.timePassed(at: now)
            act(action, [])
            guard action != .none else {
                expect(machine.nextDeadline.map { $0 > now } ?? true, "a time that is over and does nothing")
                return
            }
        }
        fatalError("Found a time that does not end.")
    }

    private mutating func check() {
        expect(machine.streamCount == calls.count, "\(machine.streamCount) calls, where \(calls.count) are open")
        let unread = calls.values.reduce(Int64(0)) { sum, call in
            call.unread.reduce(sum) { $0 + Int64($1) + 16 }
        }
        expect(unread <= Int64(settings.connectionCredit), "\(unread) bytes wait unread")
        guard isOver else { return }
        expect(
            machine.receive([UInt8](repeating: 0, count: 16).span.bytes, at: now) == .none,
            "an action after the end"
        )
        expect(machine.nextGrant() == nil && !machine.acceptsCalls, "something after the end")
    }
}
