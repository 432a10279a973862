public import DiskImages

/// Why a question about a disk cannot be answered.
public struct QueryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What stands in the way. Cases may be added.
    public struct Code: Hashable, Sendable {
        enum Value: Hashable, Sendable {
            case invalidParameter, offsetOutOfRange, baselineMalformed, baselineUnknown, baselineAmbiguous, epochChanged
            case trackingDisabled, baselineInconsistent, resourceLimit
            case image(ImageError.Code)
        }

        let value: Value

        /// A value of the question is not allowed.
        public static let invalidParameter = Code(value: .invalidParameter)
        /// The window starts beyond the end of the disk.
        public static let offsetOutOfRange = Code(value: .offsetOutOfRange)
        /// The id of a baseline or of a target has none of the forms that an id can have.
        public static let baselineMalformed = Code(value: .baselineMalformed)
        /// The id is well-formed, but nothing of this disk bears it.
        public static let baselineUnknown = Code(value: .baselineUnknown)
        /// The id fits more than one thing.
        public static let baselineAmbiguous = Code(value: .baselineAmbiguous)
        /// What should have recorded the writes since the baseline was switched off.
        public static let trackingDisabled = Code(value: .trackingDisabled)
        /// What recorded the writes since the baseline may lack some.
        public static let baselineInconsistent = Code(value: .baselineInconsistent)
        /// The disk is not, or no longer, in the state that the question is about.
        public static let epochChanged = Code(value: .epochChanged)
        /// This machine has no room for another answer now.
        public static let resourceLimit = Code(value: .resourceLimit)

        /// Whether it means that the changes since a baseline can't be told, whatever else can be told of the disk.
        var isAboutBaseline: Bool {
            switch value {
            case .baselineMalformed, .baselineUnknown, .baselineAmbiguous, .trackingDisabled, .baselineInconsistent:
                true
            default: false
            }
        }

        /// An image of the chain could not be read; the code says why.
        public static func image(_ code: ImageError.Code) -> Code {
            Code(value: .image(code))
        }

        /// What is wrong with an image, where that is what stands in the way.
        public var imageCode: ImageError.Code? {
            if case .image(let code) = value { code } else { nil }
        }
    }

    public let code: Code

    /// One sentence that a person can act on; it names the file and the offset where there is one.
    public let message: String

    /// The Win32 error code for the detail; 0 where the code's own is meant.
    public let detailCode: UInt32

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
        self.detailCode = 0
    }

    /// An image of the chain could not be read.
    public init(_ error: ImageError) {
        code = error.code == .changed ? .epochChanged : .image(error.code)
        message = error.description
        detailCode = error.detailCode
    }

    public var description: String { message }
}
