import DiskDeltaClient
import DiskDeltaProtocol
import TestSupport
import Testing

/// The ways to ask, each brought to the lines or ranges that it must give.
enum Asking {
    /// The answer that the Swift client gets, with its totals compared.
    static func ranges(_ stream: RangeStream) async throws -> [ChangedRange] {
        var ranges: [ChangedRange] = []
        for try await batch in stream { batch.forEach { ranges.append($0) } }
        let totals = await stream.totals
        #expect(totals?.ranges == UInt64(ranges.count))
        #expect(totals?.bytes == ranges.reduce(0) { $0 + $1.length })
        return ranges
    }

    /// What `diskdelta` is told: at `server`, or embedded.
    static func arguments(_ request: GetVirtualDiskChangesRequest, server: String?) -> [String] {
        var arguments = server.map { ["--server", $0] } ?? []
        arguments += ["changes", request.path, "--since", request.limitID, "--offset", "\(request.byteOffset)"]
        if !request.targetSnapshotID.isEmpty { arguments += ["--target", request.targetSnapshotID] }
        if let length = request.byteLength { arguments += ["--length", "\(length)"] }
        if request.granularity > 0 { arguments += ["--granularity", "\(request.granularity)"] }
        return arguments
    }

    /// The lines of `diskdelta changes` after the header.
    static func lines(_ ranges: [ChangedRange], offset: UInt64 = 0, processed: UInt64) -> [String] {
        func bytes(_ kind: RangeKind) -> UInt64 { ranges.reduce(0) { $0 + ($1.kind == kind ? $1.length : 0) } }
        let (data, zero) = (bytes(.data), bytes(.zero))
        return rangeLines(ranges) + [
            #"{"type":"end","complete":true,"return_value":0,"processed":\#(processed),"next_offset":\#(offset + processed),"#
                + #""ranges":\#(ranges.count),"bytes":\#(data + zero),"data_bytes":\#(data),"zero_bytes":\#(zero)}"#
        ]
    }

    static func rangeLines(_ ranges: [ChangedRange]) -> [String] {
        ranges.map {
            #"{"type":"range","offset":\#($0.offset),"length":\#($0.length),"kind":"\#($0.kind.rawValue)"}"#
        }
    }

    /// The lines of `list-changes`.
    static func plainLines(_ ranges: [ChangedRange]) -> [String] {
        ranges.map { "\($0.offset) \($0.length) \($0.kind.rawValue)" }
    }
}
