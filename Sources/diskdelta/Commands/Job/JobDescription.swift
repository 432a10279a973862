internal import DiskDeltaProtocol

/// A job as it is printed.
struct JobDescription {
    let job: Job

    private var request: GetVirtualDiskChangesRequest { job.request ?? GetVirtualDiskChangesRequest() }
    private var since: String { job.since.isEmpty ? request.limitID : job.since }
    private var target: String { job.target.isEmpty ? request.targetSnapshotID : job.target }

    var object: [UInt8] {
        JSONWriter.object { write(to: &$0) }
    }

    func write(to line: inout JSONWriter) {
        line.field("type", "job")
        line.field("id", job.id)
        line.field("job_state", job.jobState.word)
        line.field("job_state_code", job.jobState.rawValue)
        line.field("percent_complete", job.percentComplete)
        line.field("start_time", job.startTime)
        line.field("elapsed_time", json: Array(seconds.utf8))
        line.field("error_code", job.errorCode)
        line.field("error_description", job.errorDescription)
        line.field("return_value", job.returnValue)
        line.field("disk", request.path)
        line.field("since", since)
        line.field("target", target)
    }

    var table: String {
        var lines = [
            "job      \(job.id)",
            "disk     \(request.path)",
            "since    \(since)",
        ]
        if !target.isEmpty { lines.append("target   \(target)") }
        lines.append("state    \(job.jobState.word), \(job.percentComplete) %")
        if !job.startTime.isEmpty { lines.append("started  \(job.startTime), has run \(seconds) s") }
        if job.reason != .none { lines.append("failed   \(job.reason.name): \(job.errorDescription)") }
        if let totals = job.totals {
            lines.append("found    \(totals.ranges) \(totals.ranges == 1 ? "range" : "ranges"), \(totals.bytes.asSize)")
        }
        if !job.expires.isEmpty { lines.append("kept     until \(job.expires)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The job in a line of a list.
    var row: String {
        let percent = "\(job.percentComplete)".leftPadded(to: 3)
        let state = job.jobState.word
        let space = String(repeating: " ", count: max(0, 10 - state.count))
        return "\(job.id)  \(percent) %  \(state)\(space)  \(request.path)"
    }

    /// The time that it has run, in seconds with three decimals.
    private var seconds: String {
        let milliseconds = String(job.elapsedTime % 1000)
        return "\(job.elapsedTime / 1000).\(String(repeating: "0", count: 3 - milliseconds.count))\(milliseconds)"
    }
}
