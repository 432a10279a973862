/// An entry of the block allocation table ([MS-VHDX] 2.5.1): a state, and where the block lies in the file.
struct VHDXBlockEntry: Equatable {
    /// The states of payload blocks; a sector bitmap block has only `notPresent` and `fullyPresent`.
    enum State: UInt64 {
        case notPresent = 0
        case undefined = 1
        case zero = 2
        case unmapped = 3
        case fullyPresent = 6
        case partiallyPresent = 7
    }

    private static let stateMask: UInt64 = 0b111
    private static let reservedMask: UInt64 = 0xF_FFF8

    /// The entry as it stands in the file.
    let word: UInt64

    init(word: UInt64) {
        self.word = word
    }

    /// - Parameter offset: a multiple of 1 MiB; 0 for none.
    init(_ state: State, offset: UInt64 = 0) {
        word = state.rawValue | offset & ~(Self.stateMask | Self.reservedMask)
    }

    /// Nil for an entry that the specification does not describe: a reserved state, or a reserved bit that is set.
    var state: State? {
        word & Self.reservedMask == 0 ? State(rawValue: word & Self.stateMask) : nil
    }

    /// Where the block begins in the file, in bytes: a multiple of 1 MiB. It counts in the two present states only.
    var offset: UInt64 { word & ~(Self.stateMask | Self.reservedMask) }
}
