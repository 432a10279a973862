public import ChangeQuery
public import DiskDeltaProtocol
public import DiskImages

/// How an error about a disk is told to a caller: the one place where the reasons of the engine become those of the wire.
extension CallError {
    /// What a caller is told of an image that could not be opened, read or written.
    public init(_ error: ImageError, resumeOffset: UInt64? = nil) {
        self.init(Self.reason(of: error.code), error.description, resumeOffset: resumeOffset)
        if error.detailCode != 0 { detailCode = error.detailCode }
    }

    /// What a caller is told of a question that cannot be answered.
    public init(_ error: QueryError, resumeOffset: UInt64? = nil) {
        self.init(Self.reason(of: error.code), error.message, resumeOffset: resumeOffset)
        if error.detailCode != 0 { detailCode = error.detailCode }
    }

    static func reason(of code: QueryError.Code) -> Reason {
        if let image = code.imageCode { return reason(of: image) }
        return switch code {
        case .invalidParameter: .invalidParameter
        case .offsetOutOfRange: .offsetOutOfRange
        case .baselineMalformed: .baselineMalformed
        case .baselineUnknown: .baselineUnknown
        case .baselineAmbiguous: .baselineAmbiguous
        case .trackingDisabled: .trackingDisabled
        case .baselineInconsistent: .baselineInconsistent
        case .epochChanged: .epochChanged
        case .resourceLimit: .resourceLimit
        default: .internal
        }
    }

    private static func reason(of code: ImageError.Code) -> Reason {
        switch code {
        case .fileNotFound: .fileNotFound
        case .pathNotAllowed: .pathNotAllowed
        case .accessDenied: .accessDenied
        case .parentNotFound: .parentNotFound
        case .parentMismatch: .parentMismatch
        case .chainCycle: .chainCycle
        case .corrupt: .imageCorrupt
        case .notADisk: .notADisk
        case .readFailed, .writeFailed: .readFailed
        case .unsupported: .unsupported
        case .alreadyExists: .alreadyExists
        case .inUse: .diskInUse
        case .resourceLimit: .resourceLimit
        case .invalidParameter: .invalidParameter
        case .changed: .epochChanged
        default: .internal
        }
    }
}
