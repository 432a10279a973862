/// The credit that the sender of DATA has, of a stream or of the connection.
///
/// A sender takes the cost of the largest message before it makes one, and gives back what the frame did not need. What
/// is taken still counts as credit towards the peer, who cannot know of it.
struct SendWindow: Sendable {
    /// The credit in bytes as the peer counts it.
    private(set) var credit: Int

    /// The part of the credit that is taken for messages in the making.
    private(set) var reserved = 0

    private let initial: Int

    init(credit: UInt32) {
        self.credit = Int(credit)
        initial = Int(credit)
    }

    /// What can still be taken, in bytes.
    var free: Int { credit - reserved }

    /// What was paid and not granted again, in bytes.
    var spent: Int { max(initial - credit, 0) }

    /// Adds what the peer grants. False where that raises the credit above what it started with.
    mutating func grant(_ count: UInt32, stream: StreamID) throws(ProtocolError) -> Bool {
        guard Int(count) <= Int(CreditRule.maximum) - credit else {
            throw ProtocolError(
                .flowControl,
                "A grant of \(count) bytes raises the credit of stream \(stream) above 2^31 - 1 (P-42)."
            )
        }
        credit += Int(count)
        return credit <= initial
    }

    /// Takes `count` bytes, which must be free.
    mutating func reserve(_ count: Int) {
        reserved += count
    }

    /// Gives back what was taken, and pays `cost` of it.
    mutating func settle(reserved count: Int, cost: Int) {
        reserved -= count
        credit -= cost
    }
}
