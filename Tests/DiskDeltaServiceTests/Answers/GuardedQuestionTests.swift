import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import TestSupport
import Testing

@testable import DiskDeltaService

/// What a question says of the disk beside its name: the format of its file, and the size that it must have.
@Suite("What a question says of its disk")
struct GuardedQuestionTests {
    private typealias Ask = (_ format: ImageFormat) async throws -> Void

    private let folder: TemporaryFolder
    private let images: ImageManagementClient

    init() throws {
        folder = try TemporaryFolder()
        var disk = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        disk.dataWriteGUID = GUID(high: 2, low: 2)
        for name in ["disk.img", "disk.vhdx", "disk"] { try disk.write(to: folder.file(name)) }
        var router = ServiceRouter()
        router.register(DiskService(files: try RootedFiles([Root(name: "vms", directory: folder.path)])))
        images = ImageManagementClient(InProcessInvoker(router))
    }

    /// All questions that can say a format, about one disk.
    private func questions(_ name: String) -> [(what: String, ask: Ask)] {
        let path = "vms/\(name)"
        let images = images
        func changes(_ format: ImageFormat) -> GetVirtualDiskChangesRequest {
            GetVirtualDiskChangesRequest(path: path, onUnavailable: .whole, imageFormat: format)
        }
        func allocation(_ format: ImageFormat) -> GetVirtualDiskAllocationRequest {
            GetVirtualDiskAllocationRequest(path: path, imageFormat: format)
        }
        func disk(_ format: ImageFormat) -> VirtualHardDiskRequest {
            VirtualHardDiskRequest(path: path, imageFormat: format)
        }
        return [
            (
                "changes",
                { format in
                    let call = try await images.getVirtualDiskChanges(changes(format))
                    while try await call.next() != nil {}
                }
            ),
            (
                "batch",
                { format in
                    let request = GetVirtualDiskChangesBatchRequest(disks: [changes(format)])
                    let call = try await images.getVirtualDiskChangesBatch(request)
                    while let message = try await call.next() {
                        guard case .end(let end)? = message.part, end.status != .ok else { continue }
                        throw CallError(end.details?.reason ?? .internal, end.message)
                    }
                }
            ),
            (
                "summary",
                { format in
                    _ = try await images.getVirtualDiskChangesSummary(changes(format))
                }
            ),
            (
                "allocation",
                { format in
                    let call = try await images.getVirtualDiskAllocation(allocation(format))
                    while try await call.next() != nil {}
                }
            ),
            (
                "summary of the allocation",
                { format in
                    _ = try await images.getVirtualDiskAllocationSummary(allocation(format))
                }
            ),
            (
                "settings",
                { format in
                    _ = try await images.getVirtualHardDiskSettingData(disk(format))
                }
            ),
            ("state", { format in _ = try await images.getVirtualHardDiskState(disk(format)) }),
            ("baselines", { format in _ = try await images.listBaselines(disk(format)) }),
            (
                "check",
                { format in
                    let report = try await images.validateVirtualHardDisk(disk(format))
                    guard let problem = report.problems.first else { return }
                    #expect(problem.reason == "NOT_A_DISK")
                    throw CallError(.notADisk, problem.message)
                }
            ),
        ]
    }

    /// Nil where it is answered.
    private func reason(_ ask: Ask, _ format: ImageFormat) async throws -> Reason? {
        do {
            try await ask(format)
            return nil
        } catch let error as CallError {
            return error.reason
        }
    }

    @Test("The format goes with every question, and never against a name that claims one")
    func formats() async throws {
        let other = ImageFormat(rawValue: 99)
        for (what, ask) in questions("disk.img") {
            #expect(try await reason(ask, .unknown) == .notADisk, "\(what)")
            // What another question said is said by no question that is silent.
            #expect(try await reason(ask, .raw) == nil, "\(what)")
            #expect(try await reason(ask, .unknown) == .notADisk, "\(what)")
            for format in [ImageFormat.vhdx, .qcow2, .vhd, .vhdset, other] {
                #expect(try await reason(ask, format) == .invalidParameter, "\(what) \(format)")
            }
        }
        for (what, ask) in questions("disk") {
            for format in [ImageFormat.unknown, .vhdx, .raw] {
                #expect(try await reason(ask, format) == nil, "\(what)")
            }
            for format in [ImageFormat.qcow2, .vhd] { #expect(try await reason(ask, format) == .notADisk, "\(what)") }
            for format in [ImageFormat.vhdset, other] {
                #expect(try await reason(ask, format) == .invalidParameter, "\(what) \(format)")
            }
        }
        for (what, ask) in questions("disk.vhdx") {
            for format in [ImageFormat.unknown, .vhdx] { #expect(try await reason(ask, format) == nil, "\(what)") }
            for format in [ImageFormat.qcow2, .vhd, .raw, .vhdset, other] {
                #expect(try await reason(ask, format) == .invalidParameter, "\(what) \(format)")
            }
        }
    }

    @Test func whatIsSaidDecidesWhatTheDiskIs() async throws {
        let raw = try await images.getVirtualHardDiskSettingData(
            VirtualHardDiskRequest(path: "vms/disk", imageFormat: .raw)
        )
        let vhdx = try await images.getVirtualHardDiskSettingData(VirtualHardDiskRequest(path: "vms/disk"))
        #expect(raw.format == .raw && vhdx.format == .vhdx && raw.maxInternalSize != vhdx.maxInternalSize)
    }

    @Test func aSetIsAskedForByItsCatalogue() async throws {
        let request = VirtualHardDiskRequest(path: "vms/disk.img", imageFormat: .raw)
        let error = await #expect(throws: CallError.self) { try await images.getVHDSetInformation(request) }
        #expect(error?.reason == .invalidParameter)
    }

    @Test("A disk of another size than it must have is EPOCH_CHANGED, whatever is asked of it")
    func sizes() async throws {
        let size: UInt64 = 8 << 20
        let id = GUID(high: 2, low: 2).description
        for (ifSize, expected) in [(nil, nil), (size, nil), (0, .epochChanged), (size + 512, .epochChanged)]
            as [(UInt64?, Reason?)]
        {
            let changes = GetVirtualDiskChangesRequest(path: "vms/disk.vhdx", limitID: id, ifSize: ifSize)
            let allocation = GetVirtualDiskAllocationRequest(path: "vms/disk.vhdx", ifSize: ifSize)
            let images = images
            let asking: [() async throws -> Void] = [
                {
                    let call = try await images.getVirtualDiskChanges(changes)
                    while try await call.next() != nil {}
                },
                { _ = try await images.getVirtualDiskChangesSummary(changes) },
                {
                    let call = try await images.getVirtualDiskAllocation(allocation)
                    while try await call.next() != nil {}
                },
                { _ = try await images.getVirtualDiskAllocationSummary(allocation) },
            ]
            for ask in asking {
                #expect(try await reason({ _ in try await ask() }, .unknown) == expected)
            }
        }
    }
}
