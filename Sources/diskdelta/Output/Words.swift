internal import DiskDeltaProtocol

/// The words that the command line uses for values of the wire.
extension ImageFormat {
    var word: String { name.lowercased() }
}

extension VirtualHardDiskType {
    var word: String { name.lowercased() }
}

extension BaselineKind {
    /// `layer`, `snapshot`, `reference-point`, `bitmap`, `backing`.
    var word: String { String(name.lowercased().map { $0 == "_" ? "-" : $0 }) }
}

extension AnswerBasis {
    /// `changes`, `allocated`, `whole`.
    var word: String { name.lowercased() }
}

extension JobState {
    /// `new`, `starting`, `running`, `completed`, `terminated`, `exception`.
    var word: String { name.lowercased() }
}
