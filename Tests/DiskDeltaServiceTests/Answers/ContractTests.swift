import DiskDeltaProtocol
import DiskImages
import Testing

@testable import ChangeQuery
@testable import DiskDeltaService

/// The table "Reasons, and how they map" of the contract of the command line, word for word.
enum Contract {
    struct Row: CustomTestStringConvertible {
        var reason: String
        var status: String
        var returnValue: UInt32
        var detailCode: UInt32
        var exit: UInt32

        var testDescription: String { reason }
    }

    private static let text = """
        | FILE_NOT_FOUND | NOT_FOUND | 32779 | | 3 |
        | PATH_NOT_ALLOWED, ACCESS_DENIED | PERMISSION_DENIED | 32769 | | 4 |
        | UNAUTHENTICATED | UNAUTHENTICATED | 32769 | | 4 |
        | INVALID_PARAMETER | INVALID_ARGUMENT | 32773 | | 2 |
        | OFFSET_OUT_OF_RANGE | OUT_OF_RANGE | 32773 | | 2 |
        | BASELINE_MALFORMED | INVALID_ARGUMENT | 32773 | 0xC03A0029 | 5 |
        | BASELINE_UNKNOWN | FAILED_PRECONDITION | 32775 | 0xC03A0030 | 5 |
        | BASELINE_AMBIGUOUS | FAILED_PRECONDITION | 32775 | | 5 |
        | TRACKING_DISABLED | FAILED_PRECONDITION | 32775 | 0xC03A002A | 5 |
        | CHANGED_OFFLINE | FAILED_PRECONDITION | 32775 | 0xC03A0022 | 5 |
        | BASELINE_INCONSISTENT | FAILED_PRECONDITION | 32775 | 0xC03A0024 | 5 |
        | EPOCH_CHANGED | ABORTED | 32775 | | 5 |
        | PARENT_NOT_FOUND | FAILED_PRECONDITION | 32779 | 0xC03A000D | 9 |
        | PARENT_MISMATCH | FAILED_PRECONDITION | 32775 | 0xC03A000E | 9 |
        | CHAIN_CYCLE | FAILED_PRECONDITION | 32775 | 0xC03A0018 | 9 |
        | IMAGE_CORRUPT | DATA_LOSS | 32768 | | 9 |
        | NOT_A_DISK | INVALID_ARGUMENT | 32776 | 0xC03A0004 | 9 |
        | READ_FAILED | INTERNAL | 32768 | | 1 |
        | UNSUPPORTED | UNIMPLEMENTED | 32770 | | 1 |
        | ALREADY_EXISTS | ALREADY_EXISTS | 32773 | | 1 |
        | DISK_IN_USE | UNAVAILABLE | 32774 | | 7 |
        | RESOURCE_LIMIT | RESOURCE_EXHAUSTED | 32778 | | 7 |
        | SERVER_UNAVAILABLE | UNAVAILABLE | 32777 | | 7 |
        | DEADLINE | DEADLINE_EXCEEDED | 32772 | | 8 |
        | ANSWER_INCOMPLETE | UNAVAILABLE | 32771 | | 6 |
        | ANSWER_INVALID | INTERNAL | 32768 | | 9 |
        | CANCELLED | CANCELLED | 32768 | | 130 |
        | JOB_NOT_FOUND | NOT_FOUND | 32779 | | 3 |
        | JOB_NOT_READY | FAILED_PRECONDITION | 32775 | | 1 |
        | INTERNAL | INTERNAL | 32768 | | 1 |
        """

    static let rows: [Row] = text.split(separator: "\n").flatMap { line -> [Row] in
        let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast().map { cell in
            cell.drop { $0 == " " }.split(separator: " ").joined(separator: " ")
        }
        return cells[0].split(separator: ", ").map { reason in
            Row(
                reason: String(reason),
                status: cells[1],
                returnValue: UInt32(cells[2]) ?? 0,
                detailCode: UInt32(cells[3].dropFirst(2), radix: 16) ?? 0,
                exit: UInt32(cells[4]) ?? 0
            )
        }
    }

    static func row(_ reason: String) -> Row? { rows.first { $0.reason == reason } }
}

@Suite("Reasons, as the contract maps them")
struct ContractTests {
    @Test("The table of the messages is the contract's", arguments: Contract.rows)
    func theTable(row: Contract.Row) throws {
        let reason = try #require(Reason(name: row.reason))
        #expect(reason.status.name == row.status)
        #expect(reason.returnValue == row.returnValue)
        #expect(reason.detailCode == row.detailCode)
        #expect(reason.exitCode == row.exit)
    }

    @Test func theContractHasEveryReason() {
        #expect(Contract.rows.count == 31)
        #expect(Set(Reason.all.map(\.name)) == Set(Contract.rows.map(\.reason) + ["NONE"]))
    }

    private func expect(_ error: CallError, _ reason: String, detailCode: UInt32? = nil) throws {
        let row = try #require(Contract.row(reason))
        #expect(error.reason.name == row.reason)
        #expect(error.status.name == row.status)
        #expect(error.detailCode == detailCode ?? row.detailCode)
        #expect(error.message.contains("what happened"))
    }

    private static let imageErrors: [(ImageError.Code, String)] = [
        (.fileNotFound, "FILE_NOT_FOUND"), (.pathNotAllowed, "PATH_NOT_ALLOWED"), (.accessDenied, "ACCESS_DENIED"),
        (.parentNotFound, "PARENT_NOT_FOUND"), (.parentMismatch, "PARENT_MISMATCH"), (.chainCycle, "CHAIN_CYCLE"),
        (.corrupt, "IMAGE_CORRUPT"), (.notADisk, "NOT_A_DISK"), (.readFailed, "READ_FAILED"),
        (.writeFailed, "READ_FAILED"), (.unsupported, "UNSUPPORTED"), (.alreadyExists, "ALREADY_EXISTS"),
        (.inUse, "DISK_IN_USE"), (.resourceLimit, "RESOURCE_LIMIT"), (.invalidParameter, "INVALID_PARAMETER"),
    ]

    @Test("An error of an image", arguments: imageErrors)
    func images(code: ImageError.Code, reason: String) throws {
        let error = ImageError(code, "what happened", path: "vms/a.vhdx", offset: 4096)
        for told in [CallError(error), CallError(QueryError(error))] {
            try expect(told, reason)
            #expect(told.message.contains("vms/a.vhdx") && told.message.contains("4096"))
            #expect(told.resumeOffset == nil)
        }
        #expect(CallError(error, resumeOffset: 7).resumeOffset == 7)
        let own = ImageError(code, "what happened", path: "a", detailCode: 0xC03A_0013)
        try expect(CallError(own), reason, detailCode: 0xC03A_0013)
        try expect(CallError(QueryError(own)), reason, detailCode: 0xC03A_0013)
    }

    private static let questionErrors: [(QueryError.Code, String)] = [
        (.invalidParameter, "INVALID_PARAMETER"), (.offsetOutOfRange, "OFFSET_OUT_OF_RANGE"),
        (.baselineMalformed, "BASELINE_MALFORMED"), (.baselineUnknown, "BASELINE_UNKNOWN"),
        (.baselineAmbiguous, "BASELINE_AMBIGUOUS"), (.epochChanged, "EPOCH_CHANGED"),
    ]

    @Test("An error of a question", arguments: questionErrors)
    func questions(code: QueryError.Code, reason: String) throws {
        try expect(CallError(QueryError(code, "what happened")), reason)
        #expect(CallError(QueryError(code, "what happened"), resumeOffset: 512).resumeOffset == 512)
    }
}
