public import DiskDeltaProtocol

/// What arrives about one of many disks: its header, its batches of ranges, and its end.
public struct DiskMessage: Sendable {
    public enum Content: Sendable {
        /// What the answer about the disk is about. It comes first, and once.
        case header(AnswerHeader)
        /// A part of the answer that has been checked. The batches of one disk ascend.
        case batch(RangeBatch)
        /// The answer about the disk is complete, and every total agreed with what was received; or it has failed. Nothing more
        /// comes of this disk. The error has the offset to resume from.
        case end(Result<AnswerTotals, CallError>)
    }

    /// The disk, by its place in the question, from 0.
    public let disk: Int
    public let content: Content
}
