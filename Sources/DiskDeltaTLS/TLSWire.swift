internal import COpenSSL
internal import NIOCore

/// The two ends of OpenSSL's pipe: where it takes what has arrived, and puts what is to be sent. The session owns it; OpenSSL
/// borrows it while the session calls.
///
/// It reads straight from what the channel has read. Of OpenSSL's own memory BIOs each would keep a copy, and its room for as long
/// as the connection lasts.
final class TLSWire {
    /// What has arrived and was not taken yet; lent for the duration of one call.
    var input = UnsafeRawBufferPointer(start: nil, count: 0)
    /// What is to be sent.
    var output = ByteBuffer()
    /// How many bytes were taken since the peer last got anywhere.
    var taken = 0
    /// Why the peer's certificate is not trusted: the first that was found.
    var distrust: TLSError.Distrust?

    // Made once and never changed.
    nonisolated(unsafe) private static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "diskdelta") else { return nil }
        BIO_meth_set_read(method, read)
        BIO_meth_set_write(method, write)
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    /// Gives both ends to an `SSL`, which must not outlive this. False if there is no memory.
    func attach(to ssl: OpaquePointer) -> Bool {
        guard let method = Self.method, let bio = BIO_new(method) else { return false }
        let this = Unmanaged.passUnretained(self).toOpaque()
        BIO_set_data(bio, this)
        BIO_set_init(bio, 1)
        SSL_set_bio(ssl, bio, bio)
        return SSL_set_ex_data(ssl, 0, this) == 1
    }

    private static func wire(of bio: OpaquePointer?) -> TLSWire? {
        guard let bio, let data = BIO_get_data(bio) else { return nil }
        BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY)
        return Unmanaged<TLSWire>.fromOpaque(data).takeUnretainedValue()
    }

    private static let read: @convention(c) (OpaquePointer?, UnsafeMutablePointer<CChar>?, Int32) -> Int32 = {
        bio,
        place,
        room in
        guard let wire = wire(of: bio), let place, room > 0 else { return -1 }
        let count = min(Int(room), wire.input.count)
        guard count > 0, let bytes = wire.input.baseAddress else {
            // More will come: the end of the connection is not for OpenSSL to judge.
            BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return -1
        }
        UnsafeMutableRawPointer(place).copyMemory(from: bytes, byteCount: count)
        wire.input = UnsafeRawBufferPointer(rebasing: wire.input[count...])
        wire.taken += count
        return Int32(count)
    }

    private static let write: @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, Int32) -> Int32 = {
        bio,
        bytes,
        count in
        guard let wire = wire(of: bio), let bytes, count > 0 else { return -1 }
        wire.output.writeBytes(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
        return count
    }
}
