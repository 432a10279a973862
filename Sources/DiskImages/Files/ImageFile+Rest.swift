internal import CDiskDeltaSystem
internal import Glibc

extension ImageFile {
    /// Whether the file is at rest: whether what is read from it belongs to the times that it has.
    ///
    /// The system sets the times of a file when a write begins. What a write under way has not reached yet is old, and will be
    /// something else with the same times. So a file is at rest only if nobody is writing to it.
    public enum Rest: Hashable, Sendable {
        /// Nobody had it open for writing when it was opened, and every change since would show in its times.
        case proved
        /// Somebody had it open for writing, or mapped in memory so that it can be written.
        case inUse
        /// The system does not tell who writes, or keeps times too coarse to tell two changes apart. Only that the times stay
        /// the same for a while shows it: ``FileLooks``.
        case unproved
    }

    /// Whether somebody has the file open for writing now, as far as the system tells.
    ///
    /// Who opens it for writing in the moment of the call waits for some microseconds.
    public var isOpenForWriting: Bool { diskdelta_look_for_writers(descriptor) == DISKDELTA_WRITERS_SOME }

    /// How the system knows a file: found when it is opened, before anything is read.
    struct Standing: Sendable {
        let rest: Rest
        /// Whether its times tell for ever whether it has changed. If stores to a mapping in memory may leave them alone, they
        /// tell only while nobody has it open for writing.
        let timesNoteEverything: Bool

        /// What a file is known by of which the system tells nothing.
        static let unknown = Standing(rest: .unproved, timesNoteEverything: false)

        private init(rest: Rest, timesNoteEverything: Bool) {
            self.rest = rest
            self.timesNoteEverything = timesNoteEverything
        }

        init(of descriptor: Int32, changeTime: Int64) {
            let fileSystem = diskdelta_file_system(descriptor)
            timesNoteEverything = fileSystem == DISKDELTA_FILE_SYSTEM_EXACT
            rest =
                switch diskdelta_look_for_writers(descriptor) {
                case DISKDELTA_WRITERS_SOME: .inUse
                case DISKDELTA_WRITERS_NONE where fileSystem != DISKDELTA_FILE_SYSTEM_OTHER:
                    Self.isCoarse(changeTime) ? .unproved : .proved
                default: .unproved
                }
        }

        /// Whether a time may be one of those that a file system keeps in whole seconds. A precise one is taken for such one
        /// time in many millions, and then merely looked at twice.
        private static func isCoarse(_ time: Int64) -> Bool { time % 1_000_000_000 == 0 }
    }

    /// An error for a file that somebody has open for writing.
    var inUseError: ImageError {
        error(
            .inUse,
            """
            A program has the file open for writing, so that what it holds may not be settled. Ask about a target below it, ask \
            when the program has closed it, or say that it is at rest (--assume-at-rest) if you know that nothing is written.
            """
        )
    }
}
