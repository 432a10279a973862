internal import ChangeQuery
internal import DiskDeltaProtocol
public import DiskImages

/// Answers questions about the disks of one set of files: the roots of a server, or the file system of the command line.
///
/// It speaks in messages and reasons and knows of no socket, so that a program that wants no server calls it in its own
/// process and is answered as a client would be.
public struct DiskService: Sendable {
    /// What a caller sees of the files.
    struct View {
        var files: any ImageFiles
        /// Tells views apart: two of the same roots are alike.
        var roots: RootSelection
    }

    private let view: @Sendable (CallContext, Permission) -> View
    private let heartbeat: Heartbeat
    private let chains: ChainCache
    private let looks = FileLooks()

    /// How often a disk is opened of whose files nothing proves that they are at rest.
    private static let maximumLooks = 4

    /// Answers everybody about all of `files`.
    public init(files: any ImageFiles) {
        self.init(files: files, heartbeat: Heartbeat())
    }

    /// Answers about those of `roots` that a caller may use by the policy that is in force when the call begins.
    public init(roots: RootedFiles, policy: @escaping @Sendable () -> Policy) {
        view = { context, permission in
            let selection = policy().roots(context.identity, permission)
            return View(files: roots.restricted(to: selection), roots: selection)
        }
        heartbeat = Heartbeat()
        chains = ChainCache()
    }

    init(files: any ImageFiles, heartbeat: Heartbeat) {
        view = { _, _ in View(files: files, roots: .all) }
        self.heartbeat = heartbeat
        // A program that asks one question and ends has no use for chains that stay open.
        chains = ChainCache(IdleChains.Limits(chains: 0))
    }

    /// The files where the caller has the permission, with the name of the disk noted.
    func files(of name: String, for permission: Permission, _ context: CallContext) -> any ImageFiles {
        context.notes.disk = name
        return view(context, permission).files
    }

    /// Opens a disk in those files where the caller has the permission, each of its layers too.
    ///
    /// - Parameters:
    ///   - format: what the caller says of its format.
    ///   - assumesRest: whether the caller knows that nobody writes to it.
    func openDisk(
        _ name: String,
        _ format: ImageFormat,
        for permission: Permission,
        assumingRest assumesRest: Bool = false,
        _ context: CallContext
    ) throws(CallError) -> OpenDisk {
        context.notes.disk = name
        let view = view(context, permission)
        let saidFormat = try format.asSaid()
        do throws(ImageError) {
            return try chains.open(
                name,
                view.roots,
                saidFormat: saidFormat,
                in: view.files,
                assumingRest: assumesRest
            )
        } catch {
            throw CallError(error)
        }
    }

    /// The totals of a question, without its ranges.
    func summary(
        _ question: Question,
        about path: String,
        _ format: ImageFormat,
        _ context: CallContext
    ) async throws(CallError) -> ChangesSummary {
        let (disk, plan) = try await plan(question, about: path, format, context)
        defer { withExtendedLifetime(disk) {} }
        return try await RangeSummary.run(plan, disk: path, heartbeat)
    }

    func answer(
        _ question: Question,
        about path: String,
        _ format: ImageFormat,
        _ context: CallContext
    ) async throws(CallError) -> RangeAnswerStream {
        context.notes.namesEpoch = !(question.ifEpoch ?? "").isEmpty
        let (disk, plan) = try await plan(question, about: path, format, context)
        return RangeAnswerStream(
            plan,
            of: disk,
            named: path,
            maximumMessage: context.maximumMessage,
            heartbeat: heartbeat
        )
    }

    /// Opens a disk and plans the answer to a question about it.
    ///
    /// Where only the files' times can show that they are at rest, it waits, and opens them anew: what was read before is not
    /// what the answer may rest on.
    private func plan(
        _ question: Question,
        about path: String,
        _ format: ImageFormat,
        _ context: CallContext
    ) async throws(CallError) -> (OpenDisk, Plan) {
        for _ in 0..<Self.maximumLooks {
            let wait: Duration
            do {
                let disk = try openDisk(path, format, for: .query, assumingRest: question.assumesRest, context)
                let plan: Plan
                do throws(QueryError) {
                    plan = try Plan(question, about: disk.chain)
                } catch {
                    throw CallError(error, resumeOffset: question.offset)
                }
                guard let time = plan.wait(by: looks) else { return (disk, plan) }
                wait = time
            }
            do {
                try await Task.sleep(for: wait)
            } catch {
                throw CallError(.cancelled, "The call was cancelled")
            }
        }
        throw CallError(
            .epochChanged,
            "\(path) is written to all the time: ask with a --target below it, or when it is at rest",
            resumeOffset: question.offset
        )
    }

    /// Looks at the files of many disks, if nothing proves that those of the first are at rest: so the disks wait together, and
    /// not one after the other.
    func lookAhead(_ requests: [GetVirtualDiskChangesRequest], _ context: CallContext) async {
        for (index, request) in requests.enumerated() where !request.assumeAtRest {
            guard !Task.isCancelled else { return }
            // What is wrong with a disk is told when it is asked about.
            let disk = try? openDisk(request.path, request.imageFormat, for: .query, context.forPart)
            let mustWait = disk?.chain.look(by: looks) ?? false
            guard index > 0 || mustWait else { return }
            await Task.yield()
        }
    }
}
