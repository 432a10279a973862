internal import DiskDeltaProtocol

/// What is told where an answer is not the one that was asked for, but what `--on-unavailable` took for it.
enum FallbackWarning {
    /// Writes a line to standard error where the header of an answer, or of a summary, says so.
    static func tell(_ header: AnswerHeader) {
        guard header.isFallback else { return }
        StandardError.write(
            "warning: \(header.disk): the changes cannot be told, so this is \(header.basis.whatItIs):"
                + " \(header.basisReason.name): \(header.basisMessage)"
        )
    }

    /// Writes the fields that say so, after that of the basis.
    static func write(_ header: AnswerHeader, to line: inout JSONWriter) {
        guard header.isFallback else { return }
        line.field("basis_reason", header.basisReason.name)
        line.field("basis_message", header.basisMessage)
    }
}

extension AnswerHeader {
    /// Whether the changes that were asked for could not be told.
    var isFallback: Bool { basisReason != .none }
}

extension AnswerBasis {
    fileprivate var whatItIs: String {
        switch self {
        case .allocated: "all that holds data"
        case .whole: "the whole window"
        default: "something else"
        }
    }
}
