internal import DiskDeltaProtocol

/// What was asked, as far as the header of the answer must fit it (`Docs/Protocol.md`, section 15).
struct AnswerExpectation: Sendable {
    enum Subject: Sendable {
        /// The changes, or what the question takes where they can't be told.
        case changes(OnUnavailable)
        case allocation
        /// The results of a job, whose question about changes only the server knows.
        case job
    }

    var subject = Subject.changes(.fail)
    /// Empty for a job.
    var disk = ""
    var hasTarget = false
    /// Of a job, 0 stands for the start of its window, whose length only the header tells.
    var offset: UInt64
    var length: UInt64?
    var granularity: UInt64 = 0
    var ifEpoch = ""
    var assumesRest = false
    var imageFormat = ImageFormat.unknown
    var ifSize: UInt64?

    var isOfJob: Bool {
        if case .job = subject { true } else { false }
    }
}

extension AnswerExpectation {
    init(_ request: GetVirtualDiskChangesRequest) {
        self.init(
            subject: .changes(request.onUnavailable),
            disk: request.path,
            hasTarget: !request.targetSnapshotID.isEmpty,
            offset: request.byteOffset,
            length: request.byteLength,
            granularity: request.granularity,
            ifEpoch: request.ifEpoch,
            assumesRest: request.assumeAtRest,
            imageFormat: request.imageFormat,
            ifSize: request.ifSize
        )
    }

    init(_ request: GetVirtualDiskAllocationRequest) {
        self.init(
            subject: .allocation,
            disk: request.path,
            offset: request.byteOffset,
            length: request.byteLength,
            granularity: request.granularity,
            ifEpoch: request.ifEpoch,
            assumesRest: request.assumeAtRest,
            imageFormat: request.imageFormat,
            ifSize: request.ifSize
        )
    }

    init(_ request: JobResultsRequest) {
        self.init(subject: .job, offset: request.byteOffset)
    }
}

/// A rule of `Docs/Protocol.md` that an answer breaks, and how.
struct BrokenRule: Error {
    var rule: String
    var what: String

    init(_ rule: String, _ what: String) {
        self.rule = rule
        self.what = what
    }
}

extension AnswerExpectation {
    /// Holds what a header says, its window aside, against what was asked for.
    func check(_ header: AnswerHeader) throws(BrokenRule) {
        try checkRepeated(header)
        try checkBasis(header)
        guard header.format != .unknown else { throw BrokenRule("P-102", "the header names no format") }
        guard imageFormat == .unknown || hasTarget || header.format == imageFormat else {
            throw BrokenRule("P-102", "the format is \(header.format), and \(imageFormat) was asked for")
        }
        guard header.granularity.nonzeroBitCount == 1, header.granularity >= header.unit,
            header.granularity >= granularity
        else { throw BrokenRule("P-103", "a granularity of \(header.granularity) for a unit of \(header.unit)") }
    }

    private func checkRepeated(_ header: AnswerHeader) throws(BrokenRule) {
        guard !header.epoch.isEmpty else { throw BrokenRule("P-100", "the header names no epoch") }
        guard !isOfJob else { return }
        // By its bytes: names that look alike are those of other files.
        guard header.disk.utf8.elementsEqual(disk.utf8) else {
            throw BrokenRule("P-100", "the answer is about another disk")
        }
        guard header.target.isEmpty != hasTarget else { throw BrokenRule("P-100", "the target is another one") }
        guard ifEpoch.isEmpty || header.epoch == ifEpoch else {
            throw BrokenRule("P-100", "the disk is in another epoch than the one it was to be in")
        }
        guard ifSize == nil || header.size == ifSize else {
            throw BrokenRule("P-100", "the disk has another size than the one it was to have")
        }
        guard !header.assumedAtRest || assumesRest else {
            throw BrokenRule("P-100", "the server assumed what it was not asked to: that the files are at rest")
        }
    }

    private func checkBasis(_ header: AnswerHeader) throws(BrokenRule) {
        let isAllowed =
            switch subject {
            case .allocation: header.basis == .allocated
            case .changes(let fallback): header.basis == .changes || fallback.basis == header.basis
            case .job: [.changes, .allocated, .whole].contains(header.basis)
            }
        guard isAllowed else { throw BrokenRule("P-101", "the basis \(header.basis) was not asked for") }
        guard header.since.isEmpty == (header.basis != .changes) else {
            throw BrokenRule("P-101", "a baseline that does not fit the basis \(header.basis)")
        }
        var isFallback = header.basis != .changes
        if case .allocation = subject { isFallback = false }
        guard (header.basisReason != .none) == isFallback, isFallback || header.basisMessage.isEmpty else {
            throw BrokenRule("P-101", "a reason that does not fit the basis \(header.basis)")
        }
    }
}

extension OnUnavailable {
    /// The basis of an answer in place of the changes; nil where there is none.
    fileprivate var basis: AnswerBasis? {
        switch self {
        case .allocated: .allocated
        case .whole: .whole
        default: nil
        }
    }
}
