internal import ChangeQuery
public import DiskDeltaProtocol
internal import DiskImages

/// All methods of the service are answered.
extension DiskService: ImageManagementService {
    /// The most disks that one question may be about.
    public static let maximumBatchDisks = 256

    public func getVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        try await answer(try Question(request), about: request.path, request.imageFormat, context)
    }

    public func getVirtualDiskAllocation(
        _ request: GetVirtualDiskAllocationRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        try await answer(Question(request), about: request.path, request.imageFormat, context)
    }

    public func getVirtualDiskChangesBatch(
        _ request: GetVirtualDiskChangesBatchRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<BatchRangeAnswer> {
        guard request.disks.count <= Self.maximumBatchDisks else {
            throw CallError(
                .invalidParameter,
                "A question about \(request.disks.count) disks is one too long: ask about \(Self.maximumBatchDisks) at a time"
            )
        }
        context.notes.disk = request.disks.map(\.path).joined(separator: ", ")
        context.notes.namesEpoch = request.disks.contains { !$0.ifEpoch.isEmpty }
        await lookAhead(request.disks, context)
        // A refused disk is the end of its own answer; each of the others is asked about all the same.
        return ManyDisksAnswer(request.disks) { [self] (disk) async throws(CallError) in
            try await getVirtualDiskChanges(disk, context: context.forPart)
        }
    }

    public func getVirtualDiskChangesSummary(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> ChangesSummary {
        try await summary(try Question(request), about: request.path, request.imageFormat, context)
    }

    public func getVirtualDiskAllocationSummary(
        _ request: GetVirtualDiskAllocationRequest,
        context: CallContext
    ) async throws(CallError) -> ChangesSummary {
        try await summary(Question(request), about: request.path, request.imageFormat, context)
    }
}

extension Question {
    /// - Throws: INVALID_PARAMETER where what is to be done without changes is none of the known values: a caller that asks for
    ///   more than this server knows must not get less.
    init(_ request: GetVirtualDiskChangesRequest) throws(CallError) {
        let onUnavailable: OnUnavailable
        switch request.onUnavailable {
        case .fail: onUnavailable = .fail
        case .allocated: onUnavailable = .allocated
        case .whole: onUnavailable = .whole
        default:
            throw CallError(
                .invalidParameter,
                "The value \(request.onUnavailable.rawValue) of on_unavailable is not known here"
            )
        }
        self.init(
            .changes(since: request.limitID, target: request.targetSnapshotID),
            offset: request.byteOffset,
            length: request.byteLength,
            granularity: request.granularity == 0 ? nil : request.granularity,
            ifEpoch: request.ifEpoch,
            ifSize: request.ifSize,
            onUnavailable: onUnavailable,
            assumesRest: request.assumeAtRest
        )
    }

    init(_ request: GetVirtualDiskAllocationRequest) {
        self.init(
            .allocation,
            offset: request.byteOffset,
            length: request.byteLength,
            granularity: request.granularity == 0 ? nil : request.granularity,
            ifEpoch: request.ifEpoch,
            ifSize: request.ifSize,
            assumesRest: request.assumeAtRest
        )
    }
}

extension ImageFormat {
    /// What a caller says of the format of a disk; nil where that is nothing.
    ///
    /// - Throws: INVALID_PARAMETER where it is none of the known values.
    func asSaid() throws(CallError) -> ImageDescription.Format? {
        switch self {
        case .unknown: nil
        case .vhdx: .vhdx
        case .vhd: .vhd
        case .vhdset: .vhdset
        case .qcow2: .qcow2
        case .raw: .raw
        default: throw CallError(.invalidParameter, "The value \(rawValue) of image_format is not known here")
        }
    }
}
