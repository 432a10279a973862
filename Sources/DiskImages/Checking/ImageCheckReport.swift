/// What a check of a disk and everything it stands on has found.
public struct ImageCheckReport: Sendable {
    /// The most problems that a check tells of one file.
    public static let maximumProblemCount = 1_000

    /// What is wrong: as long as it is there, some answer about the disk is a refusal or cannot be trusted. Each problem has
    /// its code, the file and the place in it.
    public var problems: [ImageError] = []

    /// The names of the files that were not closed properly and whose log can be replayed, leaf first.
    ///
    /// That is a state in which the specification allows a file to be, and no problem: the disk is the file together with
    /// its log, and answers are exact. Only a writer wants it repaired first.
    public var dirtyLogs: [String] = []

    /// How many bytes of the files nothing refers to: lost until the file is compacted, and harmless.
    public var leakedBytes: UInt64 = 0

    public init() {}

    /// Whether every answer about the disk can be trusted.
    public var isSound: Bool { problems.isEmpty }

    /// Whether some file's log has to be replayed before anybody writes to it.
    public var hasDirtyLog: Bool { !dirtyLogs.isEmpty }
}

/// An image whose format has more to check than what opening it reads.
protocol CheckedImage: DiskImage {
    /// Looks at every structure of this file alone, in bounded memory, and adds what it finds to `report`: at most
    /// `ImageCheckReport.maximumProblemCount` problems.
    ///
    /// - Throws: where a structure cannot be looked at at all: `corrupt`, which is a problem as well; `readFailed`,
    ///   `resourceLimit`.
    func check(into report: inout ImageCheckReport) throws(ImageError)
}
