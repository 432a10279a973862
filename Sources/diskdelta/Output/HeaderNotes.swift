internal import DiskDeltaProtocol

/// What the header of an answer says that its reader must not overlook: that the answer is not the one that was asked for, but
/// what `--on-unavailable` took for it, or that nothing proved the disk to be at rest.
enum HeaderNotes {
    /// Writes a line to standard error if an answer, or a summary, is not the one that was asked for.
    static func tell(_ header: AnswerHeader) {
        guard header.isFallback else { return }
        StandardError.write(
            "warning: \(header.disk): the changes cannot be told, so this is \(header.basis.whatItIs):"
                + " \(header.basisReason.name): \(header.basisMessage)"
        )
    }

    /// Writes the fields that say so, after that of the basis.
    static func write(_ header: AnswerHeader, to line: inout JSONWriter) {
        if header.isFallback {
            line.field("basis_reason", header.basisReason.name)
            line.field("basis_message", header.basisMessage)
        }
        if header.assumedAtRest { line.field("assumed_at_rest", true) }
    }

    /// The lines of a table that say so.
    static func lines(_ header: AnswerHeader) -> [String] {
        header.assumedAtRest ? ["at rest      as the caller says: nothing proved it"] : []
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
