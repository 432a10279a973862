/// Refuses a hello that says that it is longer than any is, before OpenSSL sees it: that makes room for all of a message, up to
/// 128 KiB, when its first four bytes are there, and a peer that has proved nothing could have that for nine bytes on each of many connections.
///
/// It follows what a client sends in plaintext: one hello or two, in records of any length (RFC 8446, 5.1).
struct HelloLimit {
    /// One with keys of all groups and names of all kinds has some thousand bytes.
    static let maximum = 16 << 10

    private static let changeCipherSpec: UInt8 = 20
    private static let handshake: UInt8 = 22

    private var recordHeader: [UInt8] = []
    private var recordRest = 0
    private var messageHeader: [UInt8] = []
    private var messageRest = 0
    /// What comes is encrypted, or is not TLS.
    private var isOver = false

    /// Looks at what has arrived next. False if it announces too much.
    mutating func admits(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var bytes = bytes[...]
        while !isOver, let byte = bytes.first {
            if recordRest == 0 {
                bytes = bytes.dropFirst()
                beginRecord(byte)
            } else if recordHeader.first == Self.handshake, messageRest == 0 {
                bytes = bytes.dropFirst()
                recordRest -= 1
                messageHeader.append(byte)
                guard messageHeader.count == 4 else { continue }
                messageRest = messageHeader.dropFirst().reduce(0) { $0 << 8 | Int($1) }
                messageHeader = []
                guard messageRest <= Self.maximum else { return false }
            } else {
                let isMessage = recordHeader.first == Self.handshake
                let count = min(bytes.count, recordRest, isMessage ? messageRest : .max)
                bytes = bytes.dropFirst(count)
                recordRest -= count
                if isMessage { messageRest -= count }
            }
        }
        return true
    }

    private mutating func beginRecord(_ byte: UInt8) {
        if recordHeader.count == 5 { recordHeader = [] }
        recordHeader.append(byte)
        isOver = ![Self.handshake, Self.changeCipherSpec].contains(recordHeader.first)
        if recordHeader.count == 5 { recordRest = Int(recordHeader[3]) << 8 | Int(recordHeader[4]) }
    }
}
