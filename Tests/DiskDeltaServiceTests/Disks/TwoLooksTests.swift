import DiskDeltaProtocol
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService
@testable import DiskImages

/// Disks of whose files the system does not tell who writes to them: they are answered about when their times stayed the same.
@Suite("Disks that are looked at twice")
struct TwoLooksTests {
    /// The file system, as one that knows no leases.
    private struct UnknownFiles: ImageFiles {
        func open(_ name: String) throws(ImageError) -> ImageFile {
            try Self.unknown(try LocalFiles().open(name))
        }

        func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
            try Self.unknown(try LocalFiles().open(path, besides: child))
        }

        private static func unknown(_ file: ImageFile) throws(ImageError) -> ImageFile {
            try ImageFile(
                takingDescriptor: dup(file.descriptor),
                name: file.name,
                path: file.path,
                folder: file.folder,
                standing: .unknown
            )
        }
    }

    private let folder: TemporaryFolder
    private let service = DiskService(files: UnknownFiles())

    init() throws {
        folder = try TemporaryFolder()
        let file = try RawFile(folder.file("disk.raw"), create: true)
        try file.truncate(to: 1 << 20)
        try file.write([UInt8](repeating: 1, count: 65_536), at: 0)
    }

    private func bytes(assumesRest: Bool = false) async throws -> UInt64 {
        let request = GetVirtualDiskAllocationRequest(path: folder.file("disk.raw"), assumeAtRest: assumesRest)
        let summary = try await service.getVirtualDiskAllocationSummary(request, context: CallContext())
        #expect(summary.header?.assumedAtRest == assumesRest)
        return summary.bytes
    }

    private func expect(_ expected: UInt64, assumesRest: Bool = false) async throws {
        let found = try await bytes(assumesRest: assumesRest)
        #expect(found == expected)
    }

    @Test("The first question waits for the second look, the next one for nothing")
    func theFirstWaits() async throws {
        let clock = ContinuousClock()
        let first = try await clock.measure { try await expect(65_536) }
        #expect(first >= FileLooks.interval)
        let second = try await clock.measure { try await expect(65_536) }
        #expect(second < FileLooks.interval)
    }

    @Test("Many disks of one question wait together")
    func manyDisks() async throws {
        let names = (0..<12).map { folder.file("\($0).raw") }
        for name in names { try RawFile(name, create: true).truncate(to: 1 << 20) }
        let request = GetVirtualDiskChangesBatchRequest(
            disks: names.map {
                GetVirtualDiskChangesRequest(path: $0, limitID: "bitmap:none", onUnavailable: .allocated)
            }
        )
        var ended: [UInt32] = []
        let start = ContinuousClock.now
        let answer = try await service.getVirtualDiskChangesBatch(request, context: CallContext())
        while let message = try await answer.next() {
            guard case .end(let end) = message.part else { continue }
            #expect(end.status == .ok, "\(end.message)")
            ended.append(message.disk)
        }
        #expect(ended.sorted() == Array(0..<12))
        // One after the other they would wait for 24 s.
        #expect(ContinuousClock.now - start < .seconds(12))
    }

    @Test("What is written between the looks is in the answer")
    func writtenMeanwhile() async throws {
        async let answer = bytes()
        try await Task.sleep(for: .milliseconds(500))
        try RawFile(folder.file("disk.raw")).write([UInt8](repeating: 1, count: 65_536), at: 524_288)
        #expect(try await answer == 131_072)
    }

    @Test("Who knows that the disk is at rest waits for nothing")
    func assumed() async throws {
        let time = try await ContinuousClock().measure { try await expect(65_536, assumesRest: true) }
        #expect(time < FileLooks.interval)
    }

    @Test("A question that is cancelled while it waits ends")
    func cancelled() async throws {
        let task = Task { try await bytes() }
        try await Task.sleep(for: .milliseconds(100))
        task.cancel()
        do {
            _ = try await task.value
            Issue.record("it was answered")
        } catch let error as CallError {
            #expect(error.reason == .cancelled)
        }
    }

    @Test("A disk that changes at every look is refused")
    func neverAtRest() async throws {
        let path = folder.file("disk.raw")
        let writer = Task {
            while !Task.isCancelled {
                #expect(utimes(path, nil) == 0)
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
        defer { writer.cancel() }
        do {
            _ = try await bytes()
            Issue.record("it was answered")
        } catch let error as CallError {
            #expect(error.reason == .epochChanged)
        }
    }
}
