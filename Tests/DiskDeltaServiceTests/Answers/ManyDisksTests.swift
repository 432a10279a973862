import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import TestSupport
import Testing

@testable import DiskDeltaService

/// One question about many disks: each has the answer that it would have had alone.
@Suite("Many disks in one question")
struct ManyDisksTests {
    private let folder: TemporaryFolder
    private let images: ImageManagementClient

    init() throws {
        folder = try TemporaryFolder()
        var router = ServiceRouter()
        router.register(DiskService(files: try RootedFiles([Root(name: "vms", directory: folder.path)])))
        images = ImageManagementClient(InProcessInvoker(router))
    }

    /// The messages of each disk, in their order, and of the whole in which order the disks had their turns.
    private func ask(
        _ disks: [GetVirtualDiskChangesRequest]
    ) async throws -> (messages: [[BatchRangeAnswer.Part]], turns: [Int]) {
        let call = try await images.getVirtualDiskChangesBatch(GetVirtualDiskChangesBatchRequest(disks: disks))
        var messages = [[BatchRangeAnswer.Part]](repeating: [], count: disks.count)
        var turns: [Int] = []
        while let message = try await call.next() {
            turns.append(Int(message.disk))
            messages[Int(message.disk)].append(try #require(message.part))
        }
        #expect(call.details.totals == nil)
        return (messages, turns)
    }

    private func alone(_ request: GetVirtualDiskChangesRequest) async throws -> (
        messages: [RangeAnswer], end: BatchDiskEnd
    ) {
        var messages: [RangeAnswer] = []
        do throws(CallError) {
            let call = try await images.getVirtualDiskChanges(request)
            while let message = try await call.next() { messages.append(message) }
            return (messages, BatchDiskEnd(status: .ok, details: call.details))
        } catch {
            return (messages, BatchDiskEnd(error))
        }
    }

    @Test("Random questions about random chains", arguments: [1, 2, 3, 4] as [UInt64])
    func eachAsAlone(seed: UInt64) async throws {
        print("many disks: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let model = try SectorModel(depth: 3, in: folder, using: &generator)
        let questions = (0..<40).map { _ in
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: GetVirtualDiskChangesRequest(path: "vms/nothing.vhdx", limitID: model.id(1))
            case 1: GetVirtualDiskChangesRequest(path: "vms/0.avhdx", limitID: "yesterday")
            case 2: GetVirtualDiskChangesRequest(path: "vms/0.avhdx", limitID: model.id(1), byteOffset: 3)
            case 3: GetVirtualDiskChangesRequest(path: "vms/0.avhdx", limitID: "yesterday", onUnavailable: .whole)
            default:
                GetVirtualDiskChangesRequest(
                    path: "vms/0.avhdx",
                    limitID: model.id(Int.random(in: 1..<3, using: &generator)),
                    byteOffset: UInt64.random(in: 0..<8, using: &generator) * 65_536
                )
            }
        }
        let (messages, turns) = try await ask(questions)
        for (question, parts) in zip(questions, messages) {
            let expected = try await alone(question)
            #expect(parts.dropLast() == expected.messages.map { .answer($0) }[...])
            #expect(parts.last == .end(expected.end))
        }
        // Interleaved, and never many at a time.
        var open: Set<Int> = []
        var most = 0
        for (index, disk) in turns.enumerated() {
            open.insert(disk)
            most = max(most, open.count)
            if !turns[(index + 1)...].contains(disk) { open.remove(disk) }
        }
        #expect(most > 1 && most <= ManyDisksAnswer.width + 1)
    }

    @Test func noDiskIsNoTrouble() async throws {
        #expect(try await ask([]).turns == [])
    }

    @Test func tooManyAreRefused() async throws {
        let request = GetVirtualDiskChangesRequest(path: "vms/0.avhdx", limitID: "x")
        let many = [GetVirtualDiskChangesRequest](repeating: request, count: DiskService.maximumBatchDisks + 1)
        let error = await #expect(throws: CallError.self) { try await ask(many) }
        #expect(error?.reason == .invalidParameter)
        #expect(try await ask(Array(many.dropLast())).turns.count == DiskService.maximumBatchDisks)
    }
}
