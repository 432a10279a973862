import DiskDeltaProtocol
import Testing

@Suite struct ServiceRouterTests {
    private var router: ServiceRouter {
        var router = ServiceRouter()
        router.register(ScriptedService([.message(ScriptedService.batch(512))]))
        return router
    }

    private func accept(_ path: String, _ request: [UInt8]) throws(CallError) -> AcceptedCall {
        try request.withUnsafeBufferPointer { request throws(CallError) in
            try router.accept(path: path, request: UnsafeRawBufferPointer(request))
        }
    }

    @Test func everyMethodOfARegisteredServiceIsListed() {
        #expect(Set(router.methods) == Set(ImageManagementMethods.all))
        #expect(router.methods.map(\.path) == router.methods.map(\.path).sorted())
        #expect(ServiceRouter().methods.isEmpty)
    }

    @Test func theMethodsAreTheSchemas() {
        #expect(ImageManagementMethods.all.count == 11)
        #expect(
            ImageManagementMethods.getVirtualDiskChanges
                == MethodDescriptor(
                    service: "diskdelta.v1.ImageManagement",
                    method: "GetVirtualDiskChanges",
                    isServerStreaming: true
                )
        )
        #expect(!ImageManagementMethods.getVHDSetInformation.isServerStreaming)
        #expect(ImageManagementMethods.getVHDSetInformation.path == "diskdelta.v1.ImageManagement/GetVHDSetInformation")
    }

    @Test func theServerPullsAndThenAsksForTheDetails() async throws {
        let bytes = try GetVirtualDiskChangesRequest(path: "p").encode()
        let accepted = try accept("diskdelta.v1.ImageManagement/GetVirtualDiskChanges", bytes)
        #expect(accepted.method == ImageManagementMethods.getVirtualDiskChanges)
        let call = try await accepted.open(CallContext())
        #expect(try await call.next() as? RangeAnswer == ScriptedService.batch(512))
        #expect(try await call.next() == nil)
        #expect(call.details.totals?.ranges == 2)
        #expect(call.details.resumeOffset == 4096)
    }

    @Test(
        arguments: [
            "", "/", "diskdelta.v1.ImageManagement", "diskdelta.v1.ImageManagement/", "ImageManagement/ListBaselines",
            "diskdelta.v1.ImageManagement/listBaselines", "diskdelta.v1.Health/Check",
        ]
    )
    func anUnknownPathIsRefusedByName(path: String) {
        let error = #expect(throws: CallError.self) { try accept(path, []) }
        #expect(error?.status == .unimplemented)
        #expect(error?.reason == .unsupported)
        #expect(error?.message.hasSuffix(path) == true)
    }

    @Test func aRequestThatCannotBeReadIsNobodysArgument() {
        let error = #expect(throws: CallError.self) {
            try accept("diskdelta.v1.ImageManagement/ListBaselines", [0x0A, 0x05, 0x61])
        }
        #expect(error?.status == .internal)
        #expect(error?.reason == .internal)
        #expect(error?.message.contains("diskdelta.v1.ImageManagement/ListBaselines") == true)
    }

    @Test func aRequestThatUnfoldsTooFarIsALimit() {
        let error = #expect(throws: CallError.self) {
            let bytes = (0..<60_000).flatMap { _ in [0x0A, 0x00] as [UInt8] }
            return try accept("diskdelta.v1.ImageManagement/GetVirtualDiskChangesBatch", bytes)
        }
        #expect(error?.status == .resourceExhausted)
        #expect(error?.reason == .resourceLimit)
    }

    @Test func theLaterRegistrationAnswers() async throws {
        var router = router
        router.registerUnary(ImageManagementMethods.getVirtualHardDiskState) {
            (_: VirtualHardDiskRequest, _) throws(CallError) in VirtualHardDiskState(fileSize: 99)
        }
        let client = ImageManagementClient(InProcessInvoker(router))
        #expect(try await client.getVirtualHardDiskState(VirtualHardDiskRequest()).fileSize == 99)
    }
}
