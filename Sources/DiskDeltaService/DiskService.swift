internal import ChangeQuery
internal import DiskDeltaProtocol
public import DiskImages

/// Answers questions about the disks of one set of files: the roots of a server, or the file system of the command line.
///
/// It speaks in messages and reasons and knows of no socket, so that a program that wants no server calls it in its own
/// process and is answered as a client would be.
public struct DiskService: Sendable {
    private let files: @Sendable (CallContext, Permission) -> any ImageFiles
    private let heartbeat: Heartbeat

    /// Answers everybody about all of `files`.
    public init(files: any ImageFiles) {
        self.init(files: files, heartbeat: Heartbeat())
    }

    /// Answers about those of `roots` that a caller may use by the policy that is in force when the call begins.
    public init(roots: RootedFiles, policy: @escaping @Sendable () -> Policy) {
        files = { context, permission in
            roots.restricted(to: policy().roots(context.identity, permission))
        }
        heartbeat = Heartbeat()
    }

    init(files: any ImageFiles, heartbeat: Heartbeat) {
        self.files = { _, _ in files }
        self.heartbeat = heartbeat
    }

    /// Opens a disk in those files where the caller has the permission, each of its layers too.
    func openChain(_ name: String, for permission: Permission, _ context: CallContext) throws(CallError) -> DiskChain {
        context.notes.disk = name
        do throws(ImageError) {
            return try DiskChain.open(name, in: files(context, permission))
        } catch {
            throw CallError(error)
        }
    }

    func answer(
        _ question: Question,
        about path: String,
        _ context: CallContext
    ) throws(CallError) -> RangeAnswerStream {
        let chain = try openChain(path, for: .query, context)
        context.notes.namesEpoch = !(question.ifEpoch ?? "").isEmpty
        do throws(QueryError) {
            return RangeAnswerStream(
                try Plan(question, about: chain),
                disk: path,
                maximumMessage: context.maximumMessage,
                heartbeat: heartbeat
            )
        } catch {
            throw CallError(error, resumeOffset: question.offset)
        }
    }
}
