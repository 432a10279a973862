import DiskDeltaClient
import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport
import Testing

/// A checkpoint that Hyper-V made, asked about in every way there is.
@Suite(
    "A real checkpoint",
    .enabled(if: Programs.areBuilt, Programs.absence),
    .enabled(if: Corpus.isPresent, "\(Corpus.absence)"),
    .timeLimit(.minutes(2))
)
struct RealCheckpointTests {
    private struct Expected: Decodable {
        var ranges: [[UInt64]]
    }

    private static let parentID = "{ff34003b-11ed-4cf8-a166-b2be05e20b80}"
    private static let size: UInt64 = 8 << 30
    private let folder: TemporaryFolder
    private let expected: [ChangedRange]

    init() throws {
        folder = try TemporaryFolder()
        try Corpus.unpack("vhdx/differencing.avhdx.gz", to: folder.file("leaf.avhdx"))
        var parent = VHDXBuilder(virtualSize: Self.size, blockSize: 32 << 20)
        parent.dataWriteGUID = try #require(GUID(Self.parentID))
        try parent.write(to: folder.file("Generation 1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx"))
        let bytes = Data(try Corpus.bytes("expected/differencing.avhdx.ranges.json"))
        expected = try JSONDecoder().decode(Expected.self, from: bytes).ranges.map {
            ChangedRange(offset: $0[0], length: $0[1], kind: .data)
        }
    }

    @Test func everybodyGetsTheRangesThatOtherProgramsFound() async throws {
        #expect(expected.count == 179)
        #expect(expected.reduce(0) { $0 + $1.length } == 3_174_400)
        let lines = Asking.lines(expected, processed: Self.size)

        let local = GetVirtualDiskChangesRequest(path: "leaf.avhdx", limitID: Self.parentID)
        let embedded = try Programs.diskdelta.run(Asking.arguments(local, server: nil), in: folder)
        #expect(embedded.status == 0)
        #expect(Array(embedded.lines.dropFirst()) == lines)

        try await RunningServer.with(folder) { server in
            let request = GetVirtualDiskChangesRequest(path: "d/leaf.avhdx", limitID: Self.parentID)
            for address in [server.tcp, server.unix] {
                let remote = try Programs.diskdelta.run(Asking.arguments(request, server: address), in: folder)
                #expect(remote.status == 0, "\(remote.error)")
                #expect(Array(remote.lines.dropFirst()) == lines)
                #expect(
                    remote.lines.first
                        == embedded.lines.first?
                        .replacingOccurrences(of: #""disk":"leaf.avhdx""#, with: #""disk":"d/leaf.avhdx""#)
                )

                let plain = try Programs.listChanges.run([address, request.path, Self.parentID], in: folder)
                #expect(plain.status == 0, "\(plain.error)")
                #expect(plain.lines == Asking.plainLines(expected))

                let ranges = try await withDiskDeltaClient(to: address) { client in
                    try await Asking.ranges(try await client.changes(request))
                }
                #expect(ranges == expected)
            }
        }
    }
}
