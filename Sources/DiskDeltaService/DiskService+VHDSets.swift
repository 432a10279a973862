public import DiskDeltaProtocol
internal import DiskImages

/// VHD Sets, by the catalogues that describe them.
extension DiskService {
    public func getVHDSetInformation(
        _ request: VirtualHardDiskRequest,
        context: CallContext
    ) async throws(CallError) -> VHDSetInformation {
        let files = files(of: request.path, for: .query, context)
        guard [.unknown, .vhdset].contains(request.imageFormat) else {
            throw CallError(.invalidParameter, "This is asked of the catalogue of a VHD Set: leave image_format out")
        }
        do throws(ImageError) {
            let set = try VHDSet.open(request.path, in: files)
            return VHDSetInformation(
                path: request.path,
                snapshotIDs: set.snapshots.map(\.id.description),
                allPaths: set.paths(in: files)
            )
        } catch {
            throw CallError(error)
        }
    }

    public func getVHDSnapshotInformation(
        _ request: VHDSnapshotRequest,
        context: CallContext
    ) async throws(CallError) -> VHDSnapshotInformationList {
        let files = files(of: request.path, for: .query, context)
        let set: VHDSet
        do throws(ImageError) {
            set = try VHDSet.open(request.path, in: files)
        } catch {
            throw CallError(error)
        }
        var wanted: [GUID] = []
        for text in request.snapshotIDs {
            guard let id = GUID(text) else {
                throw CallError(.baselineMalformed, "\"\(text.prefix(80))\" is no SnapshotId: that is a GUID")
            }
            guard set.snapshots.contains(where: { $0.id == id }) else {
                throw CallError(.baselineUnknown, "The set has no snapshot \(id)")
            }
            wanted.append(id)
        }
        let shown = set.snapshots.filter { wanted.isEmpty || wanted.contains($0.id) }
        return VHDSnapshotInformationList(
            snapshots: shown.map { snapshot in
                VHDSnapshotInformation(
                    filePath: request.path,
                    snapshotID: snapshot.id.description,
                    snapshotPath: snapshot.snapshotPath.flatMap { set.name(of: $0, in: files) } ?? "",
                    parentPaths: set.parentNames(of: snapshot, in: files),
                    creationTime: snapshot.created?.text ?? "",
                    resilientChangeTrackingID: snapshot.resilientChangeTrackingID
                )
            }
        )
    }
}
