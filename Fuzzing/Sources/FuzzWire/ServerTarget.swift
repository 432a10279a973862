internal import DiskDeltaProtocol

/// The server's machine, under what a client sends, what its handlers do and the passing of time. Beside it a ledger is
/// kept of what the client has granted, and what the machine allows to be sent is held against that.
struct ServerTarget {
    private struct Stream {
        var credit: Int64
        var nextMessage: UInt32 = 0
        var isOpen = true
        var waits = false
    }

    private var machine: ServerConnection
    private let settings: ServerSettings
    private var now = ContinuousClock.now
    private var input: [UInt8] = []
    private var maker = FrameMaker(isServer: false)

    private var settingsOfClient = ClientSettings.default
    private var credit: Int64 = 0
    private var streams: [StreamID: Stream] = [:]
    private var highest: StreamID = 0
    private var lastGoAway: UInt32?
    private var watch = FrameWatch()
    private var isOver = false

    static func run(_ operations: Operations) {
        var operations = operations
        var target = ServerTarget(&operations)
        while !operations.isAtEnd, !target.isOver { target.step(&operations) }
        target.machine.close()
        target.isOver = true
        target.checkEnd()
    }

    private init(_ operations: inout Operations) {
        settings = ServerSettings(
            maximumFrame: operations.flag() ? 16_384 : 65_536,
            maximumStreams: operations.flag() ? 2 : 64,
            minimumPingInterval: operations.flag() ? 0 : 10_000
        )
        var times = ServerTimes()
        if operations.flag() { times.age = .seconds(20) }
        if operations.flag() { times.keepalive = nil }
        machine = ServerConnection(settings: settings, times: times, at: now)
        switch operations.byte() % 3 {
        case 0: break
        case 1: receive(FrameMaker.greeting(ClientSettings.default.entries))
        default:
            // Credit for four of the longest messages, which is soon spent.
            let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600)
            receive(FrameMaker.greeting(settings.entries))
        }
    }

    private mutating func step(_ operations: inout Operations) {
        let stream = highest == 0 ? 1 : highest &- StreamID(operations.number(upTo: 8)) * 2
        switch operations.byte() % 16 {
        case 0: machine.requestCredit(for: stream, at: now)
        case 1: send(on: stream, Int(operations.number(upTo: 300_000)))
        case 2: end(stream)
        case 3:
            machine.handlerReturned(stream, at: now)
            streams[stream] = nil
        case 4: act(machine.beginDrain("why", at: now))
        case 5: act(machine.decideDrain())
        case 6: machine.pingAnswered()
        case 7: pass(.milliseconds(Int64(operations.number(upTo: 1 << 24))))
        case 8: act(machine.endedEarly(at: now))
        case 9: makeReady()
        case 10: serve(stream, &operations)
        default: receive(maker.make(&operations))
        }
        check()
    }

    private mutating func receive(_ bytes: [UInt8]) {
        input += bytes
        while !isOver, machine.bytesNeeded <= input.count {
            let piece = Array(input.prefix(machine.bytesNeeded))
            input.removeFirst(piece.count)
            let action = machine.receive(piece.span.bytes, at: now)
            if case .fail = action {} else if let frame = watch.took(piece) { note(frame) }
            act(action)
        }
        machine.heard(unread: input.count, at: now)
    }

    /// Keeps the ledger: what a frame that was accepted means for credit.
    private mutating func note(_ frame: FrameWatch.Frame) {
        switch frame.type {
        case 1:
            for offset in stride(from: 0, to: frame.payload.count, by: 8) {
                let value = frame.payload.bigEndian(at: offset + 4)
                switch frame.payload.bigEndian(at: offset) >> 16 {
                case 1: settingsOfClient.maximumFrame = value
                case 3: settingsOfClient.streamCredit = value
                case 4: settingsOfClient.connectionCredit = value
                default: break
                }
            }
            credit = Int64(settingsOfClient.connectionCredit)
        case 6 where frame.stream == 0: credit += Int64(frame.aux)
        case 6: streams[frame.stream]?.credit += Int64(frame.aux)
        default: break
        }
    }

    private mutating func act(_ action: ServerAction) {
        expect(!isOver || action == .none, "an action after the end: \(action)")
        switch action {
        case .none, .sendPreface, .ready: break
        case .open(let stream, _, _):
            expect(stream % 2 == 1 && stream > highest, "stream \(stream) was opened after \(highest)")
            highest = stream
            streams[stream] = Stream(credit: Int64(settingsOfClient.streamCredit))
            expect(machine.isOpen(stream), "stream \(stream) was opened and is not open")
        case .refuse(let stream):
            expect(!machine.isOpen(stream), "a refused stream is open")
            highest = max(highest, stream)
        case .cancel(let stream), .stalled(let stream):
            expect(streams[stream]?.isOpen == true, "stream \(stream) was cancelled and was not open")
            expect(!machine.isOpen(stream), "a cancelled stream is open")
            streams[stream]?.isOpen = false
        case .answerPing, .sendPing: break
        case .goAway(let header, _, _):
            expect(header.aux <= lastGoAway ?? .max, "GOAWAY rises to \(header.aux)")
            lastGoAway = header.aux
        case .clientLeaves(let goAway):
            if goAway.code != .noError { isOver = true }
        case .dead: isOver = true
        case .fail(let error):
            expect(!error.description.isEmpty && error.description.utf8.count <= 4_096, "an error without a text")
            isOver = true
        }
    }

    private mutating func send(on stream: StreamID, _ length: Int) {
        guard let header = machine.sendMessage(on: stream, length: length) else { return }
        guard var record = streams[stream], record.isOpen, !isOver else {
            fatalError("Found a message on stream \(stream), which is not open.")
        }
        let cost = Int64(16 + length)
        expect(length <= Int(settingsOfClient.maximumFrame), "a message above max_frame")
        expect(header.aux == record.nextMessage, "message \(header.aux) in place of \(record.nextMessage)")
        expect(cost <= record.credit && cost <= credit, "a message of \(cost) with \(record.credit) and \(credit)")
        record.credit -= cost
        record.nextMessage &+= 1
        credit -= cost
        streams[stream] = record
    }

    private mutating func makeReady() {
        while let stream = machine.nextReady() {
            expect(streams[stream]?.isOpen == true, "stream \(stream) is ready and not open")
            send(on: stream, 0)
        }
    }

    /// A handler makes messages for as long as there is credit.
    private mutating func serve(_ stream: StreamID, _ operations: inout Operations) {
        for _ in 0..<8 {
            machine.requestCredit(for: stream, at: now)
            guard let ready = machine.nextReady() else { return }
            expect(streams[ready]?.isOpen == true, "stream \(ready) is ready and not open")
            send(on: ready, Int(operations.number(upTo: UInt64(settingsOfClient.maximumFrame))))
        }
    }

    private mutating func end(_ stream: StreamID) {
        let wasOpen = streams[stream]?.isOpen == true
        expect(machine.end(stream) == (wasOpen && !isOver), "stream \(stream) could be ended, or could not")
        streams[stream]?.isOpen = false
    }

    private mutating func pass(_ time: Duration) {
        now = now.advanced(by: time)
        for _ in 0..<200 {
            let action = machine.timePassed(at: now)
            act(action)
            guard action != .none else {
                expect(machine.nextDeadline.map { $0 > now } ?? true, "a time that is over and does nothing")
                return
            }
        }
        fatalError("Found a time that does not end.")
    }

    private mutating func check() {
        expect(
            machine.streamCount <= min(Int(settings.maximumStreams), settingsOfClient.streamLimit(settings)),
            "too many streams"
        )
        expect(machine.streamCount <= streams.count, "a stream that nobody opened")
        expect(credit >= 0, "credit below nothing")
        if isOver { checkEnd() }
    }

    private mutating func checkEnd() {
        expect(machine.nextReady() == nil, "a stream is ready after the end")
        expect(
            machine.receive([UInt8](repeating: 0, count: 16).span.bytes, at: now) == .none,
            "an action after the end"
        )
        expect(machine.timePassed(at: now.advanced(by: .seconds(1_000_000))) == .none, "an action after the end")
        for stream in streams.keys {
            expect(
                !machine.isOpen(stream) && machine.sendMessage(on: stream, length: 0) == nil,
                "a stream after the end"
            )
        }
    }
}
