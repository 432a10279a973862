import DiskDeltaClient
import Foundation
import TestSupport
import Testing

/// Both clients, over every carrier, through every way in which an answer can end. Whatever happens, what a client calls
/// complete is the whole answer, and what it printed before a failure is the answer's beginning.
@Suite(
    "Every client over every carrier, through every end",
    .enabled(if: Programs.areBuilt && Programs.listChangesTLS.isBuilt && TestCertificates.canBeMade, Programs.absence),
    .timeLimit(.minutes(5))
)
struct MatrixTests {
    static let cells = AskingClient.allCases.flatMap { client in Carrier.allCases.map { Cell(client, $0) } }

    struct Cell: Sendable, CustomTestStringConvertible {
        let client: AskingClient
        let carrier: Carrier

        init(_ client: AskingClient, _ carrier: Carrier) {
            self.client = client
            self.carrier = carrier
        }

        var testDescription: String { "\(client) over \(carrier)" }
    }

    private let folder: TemporaryFolder
    private let ranges: [ChangedRange]
    private let protection: Protection

    init() throws {
        folder = try TemporaryFolder()
        ranges = try LargeAnswers.writeShort(in: folder)
        protection = try Protection(in: folder)
    }

    @Test("The answer is complete", arguments: cells)
    func complete(_ cell: Cell) throws {
        let server = try start(cell)
        let relay = try relay(cell, to: server, [.pass])
        expectWhole(try ask(cell, relay).outcome(), cell)
        #expect(relay.connectionCount == 1)
        #expect(try server.stop().status == 0)
    }

    @Test("The client gives up in the midst of the answer", arguments: cells)
    func cancelled(_ cell: Cell) throws {
        let server = try start(cell)
        let (held, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let relay = try relay(cell, to: server, [holding(cell, to: server, held, until: release)])
        let question = try ask(cell, relay)
        #expect(held.wait(timeout: .now() + 30) == .success)
        question.program.send(SIGINT)
        let outcome = try question.outcome()
        release.signal()
        #expect(outcome.status == 130, "\(outcome)")
        expectBeginning(outcome, cell)
        #expect(try server.stop().status == 0)
    }

    @Test("The client's time is up in the midst of the answer", arguments: cells)
    func deadline(_ cell: Cell) throws {
        let server = try start(cell)
        let (held, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let relay = try relay(cell, to: server, [holding(cell, to: server, held, until: release)])
        let outcome = try ask(cell, relay, deadline: 1_500).outcome()
        release.signal()
        #expect(outcome.status == 8, "\(outcome)")
        expectBeginning(outcome, cell)
        #expect(try server.stop().status == 0)
    }

    @Test("The server is killed in the midst of the answer, and started again", arguments: cells)
    func restarted(_ cell: Cell) throws {
        let first = try start(cell)
        let (held, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let relay = try relay(cell, to: first, [holding(cell, to: first, held, until: release), .pass])
        let question = try ask(cell, relay)
        #expect(held.wait(timeout: .now() + 30) == .success)
        first.kill()
        let second = try start(cell, at: first)
        release.signal()
        expectWhole(try question.outcome(), cell)
        #expect(relay.connectionCount >= 2)
        #expect(try second.stop().status == 0)
    }

    @Test("The connection is cut after any number of bytes", arguments: cells)
    func cut(_ cell: Cell) throws {
        let server = try start(cell)
        let size = try answerSize(cell, server)
        let seed = Self.seed ?? .random(in: 1...999_999)
        var random = RepeatableGenerator(seed: seed)
        for _ in 0..<cutCount {
            let limit = Int.random(in: 0..<size, using: &random)
            let relay = try relay(cell, to: server, [.cut(after: limit), .pass])
            let outcome = try ask(cell, relay).outcome()
            let place = "cut after \(limit) of \(size), seed \(seed)"
            if outcome.status == 0 {
                expectWhole(outcome, cell, place)
            } else {
                // Before the header nobody knows whether the server had begun, and so nobody asks again.
                #expect(outcome.status == 7, "\(place): \(outcome)")
                #expect(cell.client.rangeLines(of: outcome).isEmpty, "\(place)")
            }
        }
        #expect(try server.stop().status == 0)
    }

    @Test("Every connection is cut in the midst of the answer", arguments: cells)
    func neverWhole(_ cell: Cell) throws {
        let server = try start(cell)
        let relay = try relay(cell, to: server, [.cut(after: try answerSize(cell, server) - 40), .cut(after: 64)])
        let outcome = try ask(cell, relay).outcome()
        #expect(outcome.status == 6, "\(outcome)")
        expectBeginning(outcome, cell)
        #expect(try server.stop().status == 0)
    }

    // MARK: The parts of a cell

    /// What places the cuts; `DISKDELTA_SEED` repeats a run.
    private static let seed = ProcessInfo.processInfo.environment["DISKDELTA_SEED"].flatMap(UInt64.init)

    /// How many cuts each cell is put through; `DISKDELTA_MATRIX_CUTS` asks for more.
    private var cutCount: Int { ProcessInfo.processInfo.environment["DISKDELTA_MATRIX_CUTS"].flatMap { Int($0) } ?? 4 }

    private func start(_ cell: Cell, at former: RunningServer? = nil) throws -> RunningServer {
        try RunningServer.start(
            root: folder,
            tcp: former?.tcp ?? "127.0.0.1:0",
            arguments: protection.serverArguments(cell.carrier)
        )
    }

    private func relay(_ cell: Cell, to server: RunningServer, _ plans: [Relay.Plan]) throws -> Relay {
        guard cell.carrier == .unix else { return try Relay(to: server.tcp, plans) }
        return try Relay(to: server.unix, at: folder.file("relay-\(UUID().uuidString.prefix(8))"), plans)
    }

    private struct Question {
        let program: RunningProgram

        /// How it ended. It must end soon: no client may hang.
        func outcome() throws -> BuiltProgram.Outcome {
            guard program.wait(seconds: 60) else {
                program.kill()
                throw BuiltProgram.Failure(description: "the client hangs: \(try program.outcome())")
            }
            return try program.outcome()
        }
    }

    private func ask(_ cell: Cell, _ relay: Relay, deadline: Int? = nil) throws -> Question {
        let arguments = cell.client.arguments(
            LargeAnswers.short,
            at: relay.address,
            over: cell.carrier,
            protection: protection.clientArguments(cell.carrier),
            deadline: deadline
        )
        return Question(program: try cell.client.program(cell.carrier).start(arguments, in: folder))
    }

    /// How many bytes the server sends for a whole answer, all that protects them included.
    private func answerSize(_ cell: Cell, _ server: RunningServer) throws -> Int {
        let relay = try relay(cell, to: server, [.pass])
        expectWhole(try ask(cell, relay).outcome(), cell)
        return relay.byteCount
    }

    /// Holds the answer when most of it has arrived.
    private func holding(
        _ cell: Cell,
        to server: RunningServer,
        _ held: DispatchSemaphore,
        until release: DispatchSemaphore
    ) throws -> Relay.Plan {
        .hold(after: try answerSize(cell, server) - 40) {
            held.signal()
            _ = release.wait(timeout: .now() + 60)
        }
    }

    // MARK: What must be true

    private func expectWhole(_ outcome: BuiltProgram.Outcome, _ cell: Cell, _ what: String = "") {
        #expect(outcome.status == 0, "\(what) \(outcome.error)")
        #expect(cell.client.rangeLines(of: outcome) == cell.client.lines(ranges), "\(what)")
    }

    private func expectBeginning(_ outcome: BuiltProgram.Outcome, _ cell: Cell) {
        let printed = cell.client.rangeLines(of: outcome)
        #expect(Array(cell.client.lines(ranges).prefix(printed.count)) == printed)
    }
}
