internal import DiskDeltaProtocol
internal import DiskImages

/// What is found of a job that was written down.
enum StoredJob: Hashable, Sendable {
    /// It is what was written.
    case sound(JobRecord)
    /// It is not, and nothing of it is told.
    case damaged(DamagedJob)

    /// Whose it is; nil where nobody can say.
    var owner: DamagedJob.Owner? {
        switch self {
        case .sound(let record): DamagedJob.Owner(name: record.owner, root: record.root)
        case .damaged(let job): job.owner
        }
    }
}

/// A job whose record is not what was written.
struct DamagedJob: Hashable, Sendable {
    /// Whose a job is: who started it, and the root of its disk.
    struct Owner: Hashable, Sendable {
        var name: String
        var root: String
    }

    /// As it stands there; where nobody can say whose the job is, it may be damaged too.
    let id: String
    /// Nil where that is damaged as well.
    var owner: Owner?

    var explanation: String { "The record of the job \(id) is damaged: delete it, and start the job again" }

    /// How it stands in a list.
    var message: Job {
        Job(
            id: id,
            jobState: .exception,
            errorCode: Reason.internal.returnValue,
            errorDescription: explanation,
            returnValue: Reason.internal.returnValue,
            reason: .internal,
            owner: owner?.name ?? ""
        )
    }
}

extension CallError {
    /// What is told of a job whose record is damaged, whatever is asked of it.
    init(_ job: DamagedJob) {
        self.init(.internal, job.explanation)
    }
}
