internal import ChangeQuery
internal import DiskDeltaProtocol
public import DiskImages

/// Answers questions about the disks of one set of files: the roots of a server, or the file system of the command line.
///
/// It speaks in messages and reasons and knows of no socket, so that a program that wants no server calls it in its own
/// process and is answered as a client would be.
public struct DiskService: Sendable {
    let files: any ImageFiles
    private let heartbeat: Heartbeat

    public init(files: any ImageFiles) {
        self.init(files: files, heartbeat: Heartbeat())
    }

    init(files: any ImageFiles, heartbeat: Heartbeat) {
        self.files = files
        self.heartbeat = heartbeat
    }

    func openChain(_ name: String) throws(CallError) -> DiskChain {
        do throws(ImageError) {
            return try DiskChain.open(name, in: files)
        } catch {
            throw CallError(error)
        }
    }

    func answer(
        _ question: Question,
        about path: String,
        _ context: CallContext
    ) throws(CallError) -> RangeAnswerStream {
        let chain = try openChain(path)
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
