import DiskImages
import Foundation
import TestSupport
import Testing

/// A checkpoint that Hyper-V made, asked about as a backup program would.
@Suite(
    "A real checkpoint",
    .enabled(if: Program.isBuilt, "\(Program.absence)"),
    .enabled(if: Corpus.isPresent, "\(Corpus.absence)")
)
struct CheckpointTests {
    private struct Expected: Decodable {
        var ranges: [[UInt64]]
    }

    private static let parentID = "{ff34003b-11ed-4cf8-a166-b2be05e20b80}"
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try Corpus.unpack("vhdx/differencing.avhdx.gz", to: folder.file("leaf.avhdx"))
        var parent = VHDXBuilder(virtualSize: 8 << 30, blockSize: 32 << 20)
        parent.dataWriteGUID = try #require(GUID(Self.parentID))
        try parent.write(to: folder.file("Generation 1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx"))
    }

    @Test func theRangesThatOtherProgramsFound() throws {
        let bytes = Data(try Corpus.bytes("expected/differencing.avhdx.ranges.json"))
        let expected = try JSONDecoder().decode(Expected.self, from: bytes).ranges
        let outcome = try Program.run("changes", "leaf.avhdx", "--since", Self.parentID, in: folder)
        #expect(outcome.status == 0)
        #expect(
            outcome.lines.dropFirst().dropLast()
                == expected.map { range in
                    #"{"type":"range","offset":\#(range[0]),"length":\#(range[1]),"kind":"data"}"#
                }[...]
        )
        #expect(expected.count == 179)
        #expect(
            outcome.lines.last
                == #"{"type":"end","complete":true,"return_value":0,"processed":8589934592,"next_offset":8589934592,"#
                + #""ranges":179,"bytes":3174400,"data_bytes":3174400,"zero_bytes":0}"#
        )
    }

    @Test func itsBaselineIsItsParent() throws {
        let object = try Program.run("info", "leaf.avhdx", in: folder).lastObject()
        let baselines = object["baselines"] as? [[String: Any]]
        #expect(baselines?.compactMap { $0["id"] as? String } == [Self.parentID])
        #expect(object["disk_type"] as? String == "differencing")
        #expect(object["size"] as? Int == 8 << 30)
    }
}
