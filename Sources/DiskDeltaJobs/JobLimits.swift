/// How much a server keeps and does for those who start jobs.
public struct JobLimits: Hashable, Sendable {
    /// How many jobs run at a time; the others wait their turn.
    public var running = 2

    /// How many jobs that have not ended one identity may have.
    public var unendedPerIdentity: UInt32 = 16

    /// How long it is worth waiting, in milliseconds, before a job that was refused for that is started again.
    public var retryDelay: UInt32 = 5_000

    /// How long a job is kept when it has ended.
    public var retention = Duration.seconds(7 * 24 * 3_600)

    /// How many jobs that have ended are kept; of more, those that ended first go.
    public var keptJobs = 10_000

    /// How many bytes all results may take together; where they take more, those of the jobs that ended first go.
    public var resultBytesInAll: UInt64 = 8 << 30

    /// How many bytes the results of one job may take. A range takes two to four; a job that finds more fails.
    public var resultBytesPerJob: UInt64 = 1 << 30

    /// What a job may lose, and do again, where the server is killed: the time between two moments at which it makes sure of
    /// what it has.
    public var commitInterval = Duration.seconds(1)

    /// The same in bytes of results.
    public var commitBytes: UInt64 = 4 << 20

    /// How often it is looked for jobs whose time is up.
    public var sweepInterval = Duration.seconds(60)

    public init() {}
}
