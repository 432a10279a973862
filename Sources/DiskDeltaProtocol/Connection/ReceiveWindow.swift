/// The credit that the receiver of DATA has given away, of a stream or of the connection.
struct ReceiveWindow: Sendable {
    /// What the peer may still send, in bytes.
    private(set) var credit: Int

    /// What was consumed since the last grant, in bytes.
    private var consumed = 0

    /// How much must be consumed before it is granted again, in bytes.
    private let threshold: Int

    init(credit: UInt32, threshold: UInt32) {
        self.credit = Int(credit)
        self.threshold = Int(threshold)
    }

    /// Whether a frame of this cost may arrive; it is paid for.
    mutating func receive(cost: Int) -> Bool {
        guard cost <= credit else { return false }
        credit -= cost
        return true
    }

    /// The reader took a message of this cost. What is due to be granted, 0 where that can wait.
    mutating func consume(cost: Int) -> UInt32 {
        consumed += cost
        guard consumed >= threshold, let grant = UInt32(exactly: consumed) else { return 0 }
        credit += consumed
        consumed = 0
        return grant
    }
}
