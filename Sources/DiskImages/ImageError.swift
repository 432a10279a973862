/// Why an image, or the chain it belongs to, could not be opened, read or written.
public struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, in the words of the command line's reasons. Cases may be added.
    public struct Code: Hashable, Sendable {
        enum Value: Hashable, Sendable {
            case fileNotFound, pathNotAllowed, accessDenied, parentNotFound, parentMismatch, chainCycle, corrupt,
                notADisk
            case readFailed, writeFailed, unsupported, alreadyExists, inUse, resourceLimit, invalidParameter, changed
        }

        let value: Value

        /// The file does not exist.
        public static let fileNotFound = Code(value: .fileNotFound)
        /// The name, or a symbolic link on its way, leads outside the folders that may be read.
        public static let pathNotAllowed = Code(value: .pathNotAllowed)
        /// The operating system refuses to open the file.
        public static let accessDenied = Code(value: .accessDenied)
        /// None of the places where a parent may be has a file.
        public static let parentNotFound = Code(value: .parentNotFound)
        /// There are files where the parent may be, and none has its identity.
        public static let parentMismatch = Code(value: .parentMismatch)
        /// A disk is its own ancestor.
        public static let chainCycle = Code(value: .chainCycle)
        /// A structure of the file is damaged.
        public static let corrupt = Code(value: .corrupt)
        /// The content is not a disk, or plainly not one of the format that the name claims.
        public static let notADisk = Code(value: .notADisk)
        /// The operating system failed to read the file.
        public static let readFailed = Code(value: .readFailed)
        /// The operating system failed to write the file.
        public static let writeFailed = Code(value: .writeFailed)
        /// The file needs something that this version does not do.
        public static let unsupported = Code(value: .unsupported)
        /// The file to make is already there.
        public static let alreadyExists = Code(value: .alreadyExists)
        /// Another program holds the file.
        public static let inUse = Code(value: .inUse)
        /// A limit of this software or of the machine was reached.
        public static let resourceLimit = Code(value: .resourceLimit)
        /// A value the caller gave is not allowed.
        public static let invalidParameter = Code(value: .invalidParameter)
        /// A file was changed again and again while it was opened.
        public static let changed = Code(value: .changed)
    }

    public let code: Code

    /// One sentence that a person can act on, without the path.
    public let message: String

    /// The file concerned, as it was named; empty where there is none.
    public let path: String

    /// Where in the file the trouble is, in bytes; nil where it has no place.
    public let offset: UInt64?

    /// The Win32 error code for the detail (`0xC03A…`, winerror.h); 0 where the code's own is meant.
    public let detailCode: UInt32

    public init(_ code: Code, _ message: String, path: String, offset: UInt64? = nil, detailCode: UInt32 = 0) {
        self.code = code
        self.message = message
        self.path = path
        self.offset = offset
        self.detailCode = detailCode
    }

    public var description: String {
        var text = path.isEmpty ? message : "\(path): \(message)"
        if let offset { text += " (at offset \(offset))" }
        return text
    }
}

extension ImageError {
    /// Whether it says that the content of a file is not what it should be.
    var isAboutContent: Bool {
        switch code {
        case .corrupt, .notADisk, .parentMismatch: true
        default: false
        }
    }
}
