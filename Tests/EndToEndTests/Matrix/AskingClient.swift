import DiskDeltaClient
import DiskDeltaProtocol
import TestSupport

/// A client as a program: the Swift client's is `diskdelta`, the C client's its example.
enum AskingClient: String, CaseIterable, Sendable {
    case swift
    case c

    func program(_ carrier: Carrier) -> BuiltProgram {
        switch self {
        case .swift: Programs.diskdelta
        case .c: carrier.isEncrypted ? Programs.listChangesTLS : Programs.listChanges
        }
    }

    /// What it is told.
    ///
    /// - Parameters:
    ///   - protection: flags of the carrier.
    ///   - deadline: in ms.
    func arguments(
        _ request: GetVirtualDiskChangesRequest,
        at address: String,
        over carrier: Carrier,
        protection: [String],
        deadline: Int?
    ) -> [String] {
        let question = [address, request.path, request.limitID]
        return switch self {
        case .swift:
            ["--server", address] + protection + (deadline.map { ["--deadline", "\($0)ms"] } ?? [])
                + ["changes", request.path, "--since", request.limitID]
        case .c where carrier.isEncrypted:
            protection + (deadline.map { ["--deadline", "\($0)"] } ?? []) + question
        case .c:
            question + (deadline.map { ["5000", "\($0)"] } ?? [])
        }
    }

    /// The lines in which it prints ranges.
    func lines(_ ranges: [ChangedRange]) -> [String] {
        switch self {
        case .swift: Asking.rangeLines(ranges)
        case .c: Asking.plainLines(ranges)
        }
    }

    /// The lines of ranges that it printed.
    func rangeLines(of outcome: BuiltProgram.Outcome) -> [String] {
        switch self {
        case .swift: outcome.lines.filter { $0.hasPrefix(#"{"type":"range""#) }
        case .c: outcome.lines
        }
    }
}
