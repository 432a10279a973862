import DiskDeltaProtocol
import Testing

@testable import DiskDeltaClient

/// What a header says is held against the question, rule by rule (`Docs/Protocol.md`, section 15).
@Suite("The header that answers a question")
struct AnswerExpectationTests {
    private static let changes = GetVirtualDiskChangesRequest(path: "d", limitID: "b")
    private static let allocation = GetVirtualDiskAllocationRequest(path: "d")

    /// What answers `changes`.
    private static let header = AnswerHeader(
        disk: "d",
        format: .vhdx,
        size: 65_536,
        since: "b",
        epoch: "e",
        granularity: 4_096,
        basis: .changes,
        unit: 512
    )
    /// What answers `allocation`.
    private static let allocated = with { header in
        header.since = ""
        header.basis = .allocated
    }
    /// What answers `changes` in place of the changes.
    private static func fallback(_ basis: AnswerBasis) -> AnswerHeader {
        with { header in
            header.since = ""
            header.basis = basis
            header.basisReason = .baselineUnknown
            header.basisMessage = "nothing bears the id b"
        }
    }

    private static func with(
        _ header: AnswerHeader = header,
        _ change: (inout AnswerHeader) -> Void
    ) -> AnswerHeader {
        var changed = header
        change(&changed)
        return changed
    }

    private static func asked(_ change: (inout GetVirtualDiskChangesRequest) -> Void) -> AnswerExpectation {
        var request = changes
        change(&request)
        return AnswerExpectation(request)
    }

    private let job = AnswerExpectation(JobResultsRequest(id: "j"))

    /// The rule that the header breaks; nil where it answers the question.
    private func broken(_ header: AnswerHeader, _ question: AnswerExpectation) -> String? {
        do throws(BrokenRule) {
            try question.check(header)
            return nil
        } catch {
            return error.rule
        }
    }

    @Test func theHeadersThemselvesAreAccepted() {
        #expect(broken(Self.header, Self.asked { _ in }) == nil)
        #expect(broken(Self.allocated, AnswerExpectation(Self.allocation)) == nil)
        #expect(broken(Self.header, job) == nil)
    }

    @Test("What was asked is repeated (P-100)")
    func p100() {
        let same = Self.asked { _ in }
        #expect(broken(Self.with { $0.disk = "e" }, same) == "P-100")
        #expect(broken(Self.with { $0.epoch = "" }, same) == "P-100")
        #expect(broken(Self.with { $0.target = "t" }, same) == "P-100")
        #expect(broken(Self.with { $0.assumedAtRest = true }, same) == "P-100")
        #expect(broken(Self.header, Self.asked { $0.targetSnapshotID = "t" }) == "P-100")
        #expect(broken(Self.with { $0.target = "{t}" }, Self.asked { $0.targetSnapshotID = "t" }) == nil)
        #expect(broken(Self.header, Self.asked { $0.ifEpoch = "f" }) == "P-100")
        #expect(broken(Self.header, Self.asked { $0.ifEpoch = "e" }) == nil)
        for size in [0, 65_535, 65_537, .max] as [UInt64] {
            #expect(broken(Self.header, Self.asked { $0.ifSize = size }) == "P-100")
        }
        #expect(broken(Self.header, Self.asked { $0.ifSize = 65_536 }) == nil)
        // A server that proved it has done more than it was asked to.
        #expect(broken(Self.header, Self.asked { $0.assumeAtRest = true }) == nil)
        #expect(broken(Self.with { $0.assumedAtRest = true }, Self.asked { $0.assumeAtRest = true }) == nil)

        var allocation = Self.allocation
        allocation.ifEpoch = "f"
        #expect(broken(Self.allocated, AnswerExpectation(allocation)) == "P-100")
        allocation = Self.allocation
        allocation.ifSize = 1
        #expect(broken(Self.allocated, AnswerExpectation(allocation)) == "P-100")
        allocation = Self.allocation
        #expect(broken(Self.with(Self.allocated) { $0.target = "t" }, AnswerExpectation(allocation)) == "P-100")
        #expect(broken(Self.with(Self.allocated) { $0.assumedAtRest = true }, AnswerExpectation(allocation)) == "P-100")
        allocation.assumeAtRest = true
        #expect(broken(Self.with(Self.allocated) { $0.assumedAtRest = true }, AnswerExpectation(allocation)) == nil)

        #expect(broken(Self.with { $0.epoch = "" }, job) == "P-100")
        let own = Self.with { header in
            header.disk = "of the job"
            header.target = "t"
            header.assumedAtRest = true
        }
        #expect(broken(own, job) == nil)
    }

    @Test("The basis is one that the question allows (P-101)")
    func p101() {
        let bases = [0, 1, 2, 3, 4, -1, .max].map { AnswerBasis(rawValue: $0) }
        let questions: [(AnswerExpectation, allowed: [AnswerBasis])] = [
            (Self.asked { $0.onUnavailable = .fail }, [.changes]),
            (Self.asked { $0.onUnavailable = .allocated }, [.changes, .allocated]),
            (Self.asked { $0.onUnavailable = .whole }, [.changes, .whole]),
            (Self.asked { $0.onUnavailable = OnUnavailable(rawValue: 7) }, [.changes]),
            (job, [.changes, .allocated, .whole]),
        ]
        for (question, allowed) in questions {
            for basis in bases {
                let header = basis == .changes ? Self.header : Self.fallback(basis)
                #expect(broken(header, question) == (allowed.contains(basis) ? nil : "P-101"), "\(basis)")
                // The reason, the message and the baseline are those of the basis.
                let others = [
                    Self.with(header) { $0.since = $0.since.isEmpty ? "b" : "" },
                    Self.with(header) { $0.basisReason = $0.basisReason == .none ? .baselineUnknown : .none },
                ]
                for other in others { #expect(broken(other, question) == "P-101", "\(basis)") }
            }
            #expect(broken(Self.with { $0.basisMessage = "why" }, question) == "P-101")
            #expect(broken(Self.allocated, question) == "P-101")
        }
        let allocation = AnswerExpectation(Self.allocation)
        for basis in bases where basis != .allocated {
            #expect(broken(Self.with(Self.allocated) { $0.basis = basis }, allocation) == "P-101")
        }
        #expect(broken(Self.header, allocation) == "P-101")
        #expect(broken(Self.with(Self.allocated) { $0.since = "b" }, allocation) == "P-101")
        #expect(broken(Self.with(Self.allocated) { $0.basisReason = .baselineUnknown }, allocation) == "P-101")
        #expect(broken(Self.with(Self.allocated) { $0.basisMessage = "why" }, allocation) == "P-101")
        // A reason of a later version is one too.
        let later = Self.with(Self.fallback(.whole)) { $0.basisReason = Reason(rawValue: 999) }
        #expect(broken(later, Self.asked { $0.onUnavailable = .whole }) == nil)
    }

    @Test("The format is named, known or not (P-102)")
    func p102() {
        for question in [Self.asked { _ in }, job] {
            #expect(broken(Self.with { $0.format = .unknown }, question) == "P-102")
            #expect(broken(Self.with { $0.format = ImageFormat(rawValue: 99) }, question) == nil)
        }
        #expect(broken(Self.header, Self.asked { $0.imageFormat = .raw }) == "P-102")
        #expect(broken(Self.with { $0.format = .raw }, Self.asked { $0.imageFormat = .raw }) == nil)
        // The format of a target may be that of another file of the chain.
        let target = Self.with { $0.target = "t" }
        let question = Self.asked { request in
            request.imageFormat = .raw
            request.targetSnapshotID = "t"
        }
        #expect(broken(target, question) == nil)
        var allocation = Self.allocation
        allocation.imageFormat = .qcow2
        #expect(broken(Self.allocated, AnswerExpectation(allocation)) == "P-102")
    }

    @Test("The granularity is a power of two, and not below the unit or what was asked for (P-103)")
    func p103() {
        for question in [Self.asked { _ in }, job] {
            for granularity in [0, 1, 256, 768, 4_097, .max] as [UInt64] {
                #expect(broken(Self.with { $0.granularity = granularity }, question) == "P-103")
            }
            for granularity in [512, 1 << 31, 1 << 63] as [UInt64] {
                #expect(broken(Self.with { $0.granularity = granularity }, question) == nil)
            }
        }
        #expect(broken(Self.header, Self.asked { $0.granularity = 8_192 }) == "P-103")
        #expect(broken(Self.header, Self.asked { $0.granularity = 4_096 }) == nil)
        #expect(broken(Self.header, Self.asked { $0.granularity = 512 }) == nil)
        var allocation = Self.allocation
        allocation.granularity = 8_192
        #expect(broken(Self.allocated, AnswerExpectation(allocation)) == "P-103")
    }
}
