/// What the program's exit tells that is not told by a reason.
enum ExitStatus {
    static let complete: Int32 = 0
    static let failure: Int32 = 1
    static let usage: Int32 = 2
    /// An image that was checked and found wanting.
    static let untrustworthy: Int32 = 9
    /// Interrupted a second time, before the first could be told.
    static let interrupted: Int32 = 130
}
