internal import ArgumentParser
internal import DiskDeltaProtocol

/// What to answer with where the changes since a baseline cannot be told.
enum Fallback: String, ExpressibleByArgument, CaseIterable {
    /// Nothing: the reason is the answer.
    case fail
    /// The ranges that hold data.
    case allocated
    /// The whole window.
    case whole

    var onUnavailable: OnUnavailable {
        switch self {
        case .fail: .fail
        case .allocated: .allocated
        case .whole: .whole
        }
    }
}

extension GetVirtualDiskChangesRequest {
    /// The question that the flags of a command ask.
    init(disk: String, since: String, target: String?, _ window: WindowOptions) {
        self.init(
            path: disk,
            limitID: since,
            targetSnapshotID: target ?? "",
            byteOffset: window.offset?.bytes ?? 0,
            byteLength: window.length?.bytes,
            granularity: window.granularity?.bytes ?? 0,
            ifEpoch: window.ifEpoch ?? "",
            onUnavailable: window.onUnavailable.onUnavailable,
            assumeAtRest: window.assumesRest,
            imageFormat: window.disk.onTheWire,
            ifSize: window.ifSize?.bytes
        )
    }
}

extension GetVirtualDiskAllocationRequest {
    /// The question that the flags of a command ask. What is allocated can always be told, so there is nothing to fall back to.
    init(disk: String, _ window: WindowOptions) {
        self.init(
            path: disk,
            byteOffset: window.offset?.bytes ?? 0,
            byteLength: window.length?.bytes,
            granularity: window.granularity?.bytes ?? 0,
            ifEpoch: window.ifEpoch ?? "",
            assumeAtRest: window.assumesRest,
            imageFormat: window.disk.onTheWire,
            ifSize: window.ifSize?.bytes
        )
    }
}
