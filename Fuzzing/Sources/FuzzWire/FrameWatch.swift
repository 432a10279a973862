/// Puts the pieces that a machine took together to frames, so that a ledger can be kept beside it.
struct FrameWatch {
    struct Frame {
        let header: [UInt8]
        let payload: [UInt8]

        var type: UInt8 { header.count > 4 ? header[4] : 0 }
        var stream: UInt32 { header.bigEndian(at: 8) }
        var aux: UInt32 { header.bigEndian(at: 12) }
        var cost: Int64 { 16 + Int64(payload.count) }
    }

    private var hasPreface = false
    private var header: [UInt8]?

    /// A piece was taken: the frame that it completes.
    mutating func took(_ piece: [UInt8]) -> Frame? {
        guard hasPreface else {
            hasPreface = true
            return nil
        }
        guard let header else {
            header = piece
            return nil
        }
        self.header = nil
        return Frame(header: header, payload: piece)
    }
}
