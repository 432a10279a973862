import DiskDeltaProtocol
import Testing

@Suite struct InProcessInvokerTests {
    struct Service: ImageManagementService {
        func getVirtualHardDiskState(
            _ request: VirtualHardDiskRequest,
            context: CallContext
        ) async throws(CallError) -> VirtualHardDiskState {
            guard request.path == "there" else { throw CallError(.fileNotFound, "\(request.path) is not there") }
            return VirtualHardDiskState(fileSize: 7)
        }
    }

    @Test func aUnaryMethodAnswers() async throws {
        var router = ServiceRouter()
        router.register(Service())
        let client = ImageManagementClient(InProcessInvoker(router))
        let state = try await client.getVirtualHardDiskState(VirtualHardDiskRequest(path: "there"))
        #expect(state.fileSize == 7)
        let error = await #expect(throws: CallError.self) {
            try await client.getVirtualHardDiskState(VirtualHardDiskRequest(path: "gone"))
        }
        #expect(error?.reason == .fileNotFound)
        #expect(error?.message == "gone is not there")
    }
}
