import DiskDeltaProtocol
import DiskImages
import Testing

@testable import DiskDeltaService

/// What this version does not do is refused by name.
@Suite("Methods that are not answered")
struct UnansweredMethodTests {
    private let invoker: InProcessInvoker

    init() {
        var router = ServiceRouter()
        router.register(DiskService(files: LocalFiles()))
        invoker = InProcessInvoker(router)
    }

    private func expect(_ method: String, _ call: () async throws -> Void) async throws {
        let error = await #expect(throws: CallError.self) { try await call() }
        #expect(error?.status == .unimplemented, "\(method)")
        #expect(error?.reason == .unsupported, "\(method)")
        #expect(error?.reason.exitCode == 1)
        #expect(error?.reason.returnValue == 32770)
        #expect(error?.message.contains(method) == true, "\(error?.message ?? "")")
    }

    @Test func servicesThatAreNotThere() async throws {
        try await expect("diskdelta.v1.Jobs/GetJob") {
            _ = try await JobsClient(invoker).getJob(JobRequest())
        }
        try await expect("diskdelta.v1.ReferencePoints/ListReferencePoints") {
            _ = try await ReferencePointsClient(invoker).listReferencePoints(ListReferencePointsRequest())
        }
    }
}
