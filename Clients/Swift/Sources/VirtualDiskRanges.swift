public import DiskDeltaProtocol

/// The answer of the WMI method `Msvm_ImageManagementService.GetVirtualDiskChanges`: how far the window was answered for, and
/// two parallel arrays.
public struct VirtualDiskRanges: Hashable, Sendable {
    /// What the answer is about: the disk's size, its epoch, the window that was answered for.
    public let header: AnswerHeader

    /// How many bytes of the window were answered for, from its start. It is the length of the whole window, unless there are
    /// more ranges than were asked for; then ask again for the window that starts so much later. It is 0 only for a window of
    /// no bytes.
    public private(set) var processedByteLength: UInt64

    /// Where each range starts, in bytes from the start of the disk, in ascending order.
    public private(set) var changedByteOffsets: [UInt64] = []

    /// How long each range is, in bytes; as many as there are offsets. Ranges do not touch.
    public private(set) var changedByteLengths: [UInt64] = []

    init(_ header: AnswerHeader) {
        self.header = header
        processedByteLength = header.windowLength
    }

    /// Adds a range that starts at or after the end of the last. False where it would be one too many: then everything before
    /// it is answered for.
    mutating func add(_ range: ChangedRange, maximum: Int) -> Bool {
        if let last = changedByteOffsets.indices.last,
            changedByteOffsets[last] + changedByteLengths[last] == range.offset
        {
            // WMI has no kinds: what touches is one range.
            changedByteLengths[last] += range.length
            return true
        }
        guard changedByteOffsets.count < maximum else {
            processedByteLength = range.offset - header.windowOffset
            return false
        }
        changedByteOffsets.append(range.offset)
        changedByteLengths.append(range.length)
        return true
    }
}

extension DiskDeltaClient {
    /// Which ranges changed, in the form of the WMI method of the same name.
    ///
    /// For a program that is ported from it, or from `QueryChangesVirtualDisk`. Window in, two arrays out:
    ///
    /// ```swift
    /// var request = GetVirtualDiskChangesRequest(path: "vms/web.avhdx", limitID: baseline)
    /// repeat {
    ///     let answer = try await client.getVirtualDiskChanges(request, maximumRanges: 4_096)
    ///     for (offset, length) in zip(answer.changedByteOffsets, answer.changedByteLengths) {
    ///         try copy(offset, length)
    ///     }
    ///     request.byteOffset += answer.processedByteLength
    ///     // So that the answers fit together: another state of the disk is an error (EPOCH_CHANGED).
    ///     request.ifEpoch = answer.header.epoch
    ///     size = answer.header.size
    /// } while request.byteOffset < size
    /// ```
    ///
    /// Ranges of both kinds are in it, because WMI has no kinds: what became zero has changed. ``changes(_:options:)`` tells
    /// them apart, and needs no cap.
    ///
    /// - Parameters:
    ///   - maximumRanges: how many ranges may be answered with, at least 1. Where there are more, the answer ends before
    ///     the first that is too many, and the rest of it is not asked for.
    /// - Throws: INVALID_PARAMETER where `maximumRanges` is below 1. An answer that breaks and cannot be resumed is an error,
    ///   never a shorter answer.
    public func getVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        maximumRanges: Int,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> VirtualDiskRanges {
        try Self.check(maximumRanges)
        return try await Self.collect(try await changes(request, options: options), maximumRanges)
    }

    /// Which ranges hold data, in the form of ``getVirtualDiskChanges(_:maximumRanges:options:)``.
    public func getVirtualDiskAllocation(
        _ request: GetVirtualDiskAllocationRequest,
        maximumRanges: Int,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> VirtualDiskRanges {
        try Self.check(maximumRanges)
        return try await Self.collect(try await allocation(request, options: options), maximumRanges)
    }

    private static func check(_ maximumRanges: Int) throws(CallError) {
        guard maximumRanges > 0 else {
            throw CallError(.invalidParameter, "An answer of at most \(maximumRanges) ranges would tell nothing")
        }
    }

    private static func collect(_ stream: RangeStream, _ maximum: Int) async throws(CallError) -> VirtualDiskRanges {
        var answer = VirtualDiskRanges(stream.header)
        for try await batch in stream {
            var isFull = false
            batch.forEach { range in
                if !isFull { isFull = !answer.add(range, maximum: maximum) }
            }
            if isFull {
                stream.cancel()
                break
            }
        }
        return answer
    }
}
