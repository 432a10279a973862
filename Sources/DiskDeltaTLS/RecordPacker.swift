package import NIOCore

/// Makes full records of writes of any length: short ones are collected, long ones encrypted from where they lie.
struct RecordPacker {
    private let session: TLSSession
    /// What is too little for a record.
    private var rest = ByteBuffer()

    /// - Parameter count: how many bytes will be added.
    init(_ session: TLSSession, expecting count: Int) {
        self.session = session
        session.reserveOutput(for: min(count, 64 * TLSSession.recordLength))
        rest.reserveCapacity(min(count, TLSSession.recordLength))
    }

    mutating func add(_ bytes: ByteBuffer) throws(TLSError) {
        var bytes = bytes
        if rest.readableBytes > 0 {
            let missing = min(TLSSession.recordLength - rest.readableBytes, bytes.readableBytes)
            if var part = bytes.readSlice(length: missing) { rest.writeBuffer(&part) }
            guard rest.readableBytes == TLSSession.recordLength else { return }
            try finish()
        }
        let whole = bytes.readableBytes - bytes.readableBytes % TLSSession.recordLength
        if let part = bytes.readSlice(length: whole) { try session.send(part) }
        rest.writeBuffer(&bytes)
    }

    /// Encrypts what is left.
    mutating func finish() throws(TLSError) {
        try session.send(rest)
        rest.clear()
    }
}

extension TLSSession {
    /// Encrypts the bytes of a buffer.
    package func send(_ buffer: ByteBuffer) throws(TLSError) {
        try buffer.withUnsafeReadableBytes { bytes throws(TLSError) in try send(bytes) }
    }
}
