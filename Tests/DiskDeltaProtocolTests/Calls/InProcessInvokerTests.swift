import DiskDeltaProtocol
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct InProcessInvokerTests {
    private let request = GetVirtualDiskChangesRequest(path: "root/disk.vhdx", limitID: "L")

    private func client(_ service: ScriptedService, identity: String = "") -> ImageManagementClient {
        var router = ServiceRouter()
        router.register(service)
        return ImageManagementClient(InProcessInvoker(router, identity: identity))
    }

    @Test func aStreamEndsWithItsDetails() async throws {
        let service = ScriptedService([.message(ScriptedService.batch(512)), .message(ScriptedService.batch(4096))])
        let call = try await client(service, identity: "somebody").getVirtualDiskChanges(request)
        #expect(try await call.next() == ScriptedService.batch(512))
        #expect(call.details == StatusDetails())
        #expect(try await call.next() == ScriptedService.batch(4096))
        #expect(try await call.next() == nil)
        #expect(try await call.next() == nil)
        #expect(call.details.totals == AnswerTotals(processed: 4096, ranges: 2, bytes: 3, dataBytes: 3))
        #expect(call.details.resumeOffset == 4096)
        #expect(call.details.reason == Reason.none)
        #expect(service.contexts.withLock { $0.map(\.identity) } == ["somebody"])
        #expect(service.contexts.withLock { $0.map(\.deadline) } == [nil])
    }

    @Test func nothingIsMadeBeforeItIsAskedFor() async throws {
        let steps = (1...9).map { ScriptedService.Step.message(ScriptedService.batch($0)) }
        let service = ScriptedService(steps)
        let call = try await client(service).getVirtualDiskChanges(request)
        for expected in 1...3 {
            _ = try await call.next()
            for _ in 0..<20 { await Task.yield() }
            #expect(service.pulls.withLock { $0 } == expected)
        }
    }

    @Test func aRefusalArrivesAsItWasMade() async throws {
        let call = try await client(ScriptedService([])).getVirtualDiskChanges(
            GetVirtualDiskChangesRequest(path: "gone")
        )
        let expected = CallError(.fileNotFound, "gone is not there")
        await #expect(throws: expected) { try await call.next() }
        await #expect(throws: expected) { try await call.next() }
    }

    @Test func anErrorInTheMiddleKeepsItsResumeOffset() async throws {
        let error = CallError(.imageCorrupt, "a block lies outside the file", resumeOffset: 512)
        let service = ScriptedService([.message(ScriptedService.batch(512)), .failure(error)])
        let call = try await client(service).getVirtualDiskChanges(request)
        #expect(try await call.next() != nil)
        await #expect(throws: error) { try await call.next() }
        #expect(call.details == StatusDetails())
    }

    @Test func theDeadlineEndsACallThatWaits() async throws {
        let service = ScriptedService([.message(ScriptedService.batch(512)), .wait])
        let call = try await client(service).getVirtualDiskChanges(
            request,
            options: CallOptions(timeout: .milliseconds(200))
        )
        #expect(try await call.next() != nil)
        let error = await #expect(throws: CallError.self) { try await call.next() }
        #expect(error?.reason == .deadline)
        #expect(error?.status == .deadlineExceeded)
        while !service.sawCancellation.withLock({ $0 }) { await Task.yield() }
    }

    @Test func cancelEndsACallThatWaits() async throws {
        let service = ScriptedService([.wait])
        let call = try await client(service).getVirtualDiskChanges(request)
        async let waiting = #expect(throws: CallError.self) { try await call.next() }
        while service.pulls.withLock({ $0 }) == 0 { await Task.yield() }
        call.cancel()
        call.cancel()
        #expect(await waiting?.reason == .cancelled)
        while !service.sawCancellation.withLock({ $0 }) { await Task.yield() }
        await #expect(throws: CallError.self) { try await call.next() }
    }

    @Test func aSecondReaderIsTurnedAway() async throws {
        let service = ScriptedService([.wait])
        let call = try await client(service).getVirtualDiskChanges(request)
        async let first = #expect(throws: CallError.self) { try await call.next() }
        while service.pulls.withLock({ $0 }) == 0 { await Task.yield() }
        let second = await #expect(throws: CallError.self) { try await call.next() }
        #expect(second?.reason == .internal)
        call.cancel()
        #expect(await first?.reason == .cancelled)
    }

    @Test func cancelAfterTheEndChangesNothing() async throws {
        let call = try await client(ScriptedService([])).getVirtualDiskChanges(request)
        #expect(try await call.next() == nil)
        call.cancel()
        #expect(try await call.next() == nil)
        #expect(call.details.resumeOffset == 4096)
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        let service = ScriptedService([.wait])
        let client = client(service)
        let request = request
        let task = Task { () async -> CallError? in
            do throws(CallError) {
                _ = try await client.getVirtualDiskChanges(request).next()
                return nil
            } catch {
                return error
            }
        }
        while service.pulls.withLock({ $0 }) == 0 { await Task.yield() }
        task.cancel()
        #expect(await task.value?.reason == .cancelled)
        while !service.sawCancellation.withLock({ $0 }) { await Task.yield() }
    }

    @Test func aCallThatIsForgottenIsCancelled() async throws {
        let service = ScriptedService([.message(ScriptedService.batch(1)), .wait])
        do {
            let call = try await client(service).getVirtualDiskChanges(request)
            _ = try await call.next()
            let waiting = Task { try await call.next() }
            while service.pulls.withLock({ $0 }) < 2 { await Task.yield() }
            waiting.cancel()
            _ = await waiting.result
        }
        while !service.sawCancellation.withLock({ $0 }) { await Task.yield() }
    }

    @Test func aMethodThatTheServiceLeavesOutIsRefusedByName() async throws {
        let error = await #expect(throws: CallError.self) {
            try await client(ScriptedService([])).listBaselines(VirtualHardDiskRequest(path: "p"))
        }
        #expect(error?.status == .unimplemented)
        #expect(error?.reason == .unsupported)
        #expect(error?.message.contains("diskdelta.v1.ImageManagement/ListBaselines") == true)
    }

    @Test func aServiceThatIsNotThereIsRefusedByName() async throws {
        let error = await #expect(throws: CallError.self) {
            try await HealthClient(InProcessInvoker(ServiceRouter())).check(HealthCheckRequest())
        }
        #expect(error?.status == .unimplemented)
        #expect(error?.message.contains("diskdelta.v1.Health/Check") == true)
    }

    @Test func aRequestThatCannotTravelIsTheCallersMistake() async throws {
        let error = await #expect(throws: CallError.self) {
            try await client(ScriptedService([])).listBaselines(VirtualHardDiskRequest(path: "a\0b"))
        }
        #expect(error?.reason == .invalidParameter)
    }

    @Test func aUnaryMethodAnswersWithOneMessage() async throws {
        struct Server: ServerInfoService {
            func getServerInfo(
                _ request: GetServerInfoRequest,
                context: CallContext
            ) async throws(CallError) -> GetServerInfoResponse {
                GetServerInfoResponse(version: "1.0", identity: context.identity)
            }
        }
        var router = ServiceRouter()
        router.register(Server())
        let info = try await ServerInfoClient(InProcessInvoker(router, identity: "me")).getServerInfo(
            GetServerInfoRequest()
        )
        #expect(info == GetServerInfoResponse(version: "1.0", identity: "me"))
    }
}
