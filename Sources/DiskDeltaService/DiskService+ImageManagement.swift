internal import ChangeQuery
public import DiskDeltaProtocol
internal import DiskImages

extension DiskService: ImageManagementService {
    /// The methods that are answered; the others are refused by name.
    public static let answeredMethods = [
        ImageManagementMethods.getVirtualDiskChanges, ImageManagementMethods.getVirtualDiskAllocation,
        ImageManagementMethods.getVirtualHardDiskSettingData, ImageManagementMethods.listBaselines,
    ]

    public func getVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        try answer(
            Question(
                .changes(since: request.limitID, target: request.targetSnapshotID),
                offset: request.byteOffset,
                length: request.byteLength,
                granularity: request.granularity == 0 ? nil : request.granularity,
                ifEpoch: request.ifEpoch
            ),
            about: request.path,
            context
        )
    }

    public func getVirtualDiskAllocation(
        _ request: GetVirtualDiskAllocationRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        try answer(
            Question(
                .allocation,
                offset: request.byteOffset,
                length: request.byteLength,
                granularity: request.granularity == 0 ? nil : request.granularity,
                ifEpoch: request.ifEpoch
            ),
            about: request.path,
            context
        )
    }

    public func getVirtualHardDiskSettingData(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> VirtualHardDiskSettingData {
        let chain = try openChain(request.path, for: .query, context)
        let layers = chain.layers
        guard let leaf = layers.first else { throw CallError(.internal, "The chain of \(request.path) has no layer") }
        let what = leaf.description
        return VirtualHardDiskSettingData(
            type: VirtualHardDiskType(what.diskType),
            format: ImageFormat(chain.format),
            path: request.path,
            parentPath: layers.dropFirst().first?.file.name ?? "",
            maxInternalSize: what.virtualSize,
            blockSize: UInt64(what.blockSize),
            logicalSectorSize: what.logicalSectorSize,
            physicalSectorSize: what.physicalSectorSize,
            virtualDiskID: what.virtualDiskID?.description ?? "",
            identifier: what.identifier?.description ?? "",
            epoch: Epoch(of: chain).description,
            chain: layers.map { layer in
                Layer(
                    path: layer.file.name,
                    format: ImageFormat(layer.description.format),
                    identifier: layer.description.identifier?.description ?? ""
                )
            }
        )
    }

    public func listBaselines(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> ListBaselinesResponse {
        let chain = try openChain(request.path, for: .query, context)
        return ListBaselinesResponse(
            epoch: Epoch(of: chain).description,
            baselines: ChangeQuery.Baseline.all(of: chain).map(DiskDeltaProtocol.Baseline.init),
            tracking: ChangeTrackingState()
        )
    }
}

extension DiskDeltaProtocol.Baseline {
    init(_ baseline: ChangeQuery.Baseline) {
        self.init(
            id: baseline.id,
            kind: BaselineKind(baseline.kind),
            path: baseline.path,
            created: baseline.created,
            granularity: baseline.granularity,
            usable: baseline.problem == nil,
            reason: baseline.problem.map { CallError.reason(of: $0.code).name } ?? ""
        )
    }
}

extension BaselineKind {
    init(_ kind: ChangeQuery.Baseline.Kind) {
        self =
            switch kind {
            case .layer: .layer
            case .snapshot: .snapshot
            case .bitmap: .bitmap
            case .backing: .backing
            }
    }
}

extension VirtualHardDiskType {
    init(_ type: ImageDescription.DiskType) {
        self =
            switch type {
            case .fixed: .fixed
            case .dynamic: .dynamic
            case .differencing: .differencing
            }
    }
}
