internal import ChangeQuery
public import DiskDeltaProtocol
internal import DiskImages

/// What a disk is, and what may be asked about it.
extension DiskService {
    public func getVirtualHardDiskSettingData(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> VirtualHardDiskSettingData {
        let disk = try openDisk(request.path, request.imageFormat, for: .query, context)
        let chain = disk.chain
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
            },
            parentIdentifier: what.parent?.identifiers.first?.description ?? "",
            parentTimestamp: what.parentModificationTime.map(TimeText.seconds) ?? "",
            dataAlignment: what.dataAlignment
        )
    }

    public func listBaselines(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> ListBaselinesResponse {
        let disk = try openDisk(request.path, request.imageFormat, for: .query, context)
        let chain = disk.chain
        return ListBaselinesResponse(
            epoch: Epoch(of: chain).description,
            baselines: ChangeQuery.Baseline.all(of: chain).map(DiskDeltaProtocol.Baseline.init),
            tracking: ChangeTrackingState()
        )
    }

    public func getVirtualHardDiskState(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> VirtualHardDiskState {
        let disk = try openDisk(request.path, request.imageFormat, for: .query, context)
        guard let leaf = disk.chain.layers.first else {
            throw CallError(.internal, "The chain of \(request.path) has no layer")
        }
        do throws(ImageError) {
            return VirtualHardDiskState(
                fileSize: try leaf.file.storageSize(),
                fileLength: leaf.file.size,
                inUse: leaf.file.isLocked,
                physicalSectorSize: leaf.description.physicalSectorSize,
                alignment: leaf.description.dataAlignment % 4_096 == 0 ? .kib4 : .bytes512,
                fragmentationPercentage: try leaf.fragmentationPercentage(),
                timestamp: TimeText.nanoseconds(leaf.file.modificationTime),
                epoch: Epoch(of: disk.chain).description
            )
        } catch {
            throw CallError(error)
        }
    }

    public func validateVirtualHardDisk(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> ValidationReport {
        let saidFormat = try request.imageFormat.asSaid()
        do throws(ImageError) {
            let files = files(of: request.path, for: .query, context)
            let report = try DiskChain.check(request.path, in: files, saidFormat: saidFormat)
            return ValidationReport(
                problems: report.problems.map { problem in
                    ValidationProblem(
                        reason: CallError(problem).reason.name,
                        path: problem.path,
                        offset: problem.offset ?? 0,
                        message: problem.message
                    )
                }
            )
        } catch {
            throw CallError(error)
        }
    }
}

extension ImageDescription {
    /// What the offsets of the disk's data in the file are multiples of by the rules of the format, in bytes.
    var dataAlignment: UInt64 {
        switch format {
        // [MS-VHDX] 2.5.1: FileOffsetMB.
        case .vhdx: 1 << 20
        // A block begins with its bitmap, at a sector.
        case .vhd, .raw, .vhdset: 512
        case .qcow2: UInt64(blockSize)
        }
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
