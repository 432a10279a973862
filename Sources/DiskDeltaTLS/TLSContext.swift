internal import COpenSSL

/// What connections of one kind are protected by: certificate, key, trust. It never changes, and serves any number of
/// connections on any threads.
///
/// - TLS 1.3 and nothing else, with the cipher suites and groups that the system's OpenSSL is set up for; see ``KeyExchange``.
/// - No connection goes on from an earlier one: there are no session tickets and no cache of sessions, so that each proves anew
///   who the peer is, and nothing is sent before the handshake is over.
package final class TLSContext: @unchecked Sendable {
    /// Whom a client trusts to say who a server is.
    package enum Authorities: Sendable {
        /// Those of the system, as OpenSSL is set up.
        case system
        case certificates([TLSCertificate])
    }

    /// What a server asks of its clients.
    package enum ClientCertificates: Sendable {
        case none
        /// A client may come without a certificate; one that is not of these authorities is refused.
        case optional([TLSCertificate])
        case required([TLSCertificate])
    }

    // Sendable, because it is not changed after its initializer, and what OpenSSL changes in it by itself it locks.
    let pointer: OpaquePointer
    let isServer: Bool
    fileprivate let applicationProtocols: [[UInt8]]

    /// For servers. A client that offers none of the protocols gets a connection without a protocol (ALPN, RFC 7301).
    package static func server(
        _ identity: TLSIdentity,
        clients: ClientCertificates,
        applicationProtocols: [String]
    ) throws(TLSError) -> TLSContext {
        let context = try TLSContext(isServer: true, applicationProtocols)
        try context.use(identity)
        SSL_CTX_set_alpn_select_cb(context.pointer, selectProtocol, Unmanaged.passUnretained(context).toOpaque())
        let mode: Int32
        switch clients {
        case .none:
            mode = SSL_VERIFY_NONE
        case .optional(let authorities):
            mode = SSL_VERIFY_PEER
            try context.trustClients(of: authorities)
        case .required(let authorities):
            mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
            try context.trustClients(of: authorities)
        }
        SSL_CTX_set_verify(context.pointer, mode, TLSVerification.callback)
        return context
    }

    /// For clients, which always verify the server.
    package static func client(
        authorities: Authorities,
        identity: TLSIdentity?,
        applicationProtocols: [String]
    ) throws(TLSError) -> TLSContext {
        let context = try TLSContext(isServer: false, applicationProtocols)
        if let identity { try context.use(identity) }
        switch authorities {
        case .system:
            try context.require(SSL_CTX_set_default_verify_paths(context.pointer) == 1, .other)
        case .certificates(let certificates):
            try context.trust(certificates)
        }
        let offer = context.applicationProtocols.flatMap { [UInt8(truncatingIfNeeded: $0.count)] + $0 }
        // The only function of OpenSSL's whose success is 0.
        try context.require(
            offer.isEmpty || SSL_CTX_set_alpn_protos(context.pointer, offer, UInt32(offer.count)) == 0,
            .other
        )
        SSL_CTX_set_verify(context.pointer, SSL_VERIFY_PEER, TLSVerification.callback)
        return context
    }

    private init(isServer: Bool, _ applicationProtocols: [String]) throws(TLSError) {
        try OpenSSL.prepare()
        ERR_clear_error()
        guard let pointer = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else {
            throw TLSError(.other, "OpenSSL cannot be used: \(OpenSSL.lastReason())")
        }
        self.pointer = pointer
        self.isServer = isServer
        self.applicationProtocols = applicationProtocols.map { Array($0.utf8) }
        // What the system's configuration says otherwise does not count.
        try require(copenssl_SSL_CTX_set_min_proto_version(pointer, TLS1_3_VERSION) == 1, .other)
        try require(copenssl_SSL_CTX_set_max_proto_version(pointer, TLS1_3_VERSION) == 1, .other)
        // 112 bits or more: no RSA keys below 2048 bits, no SHA-1.
        SSL_CTX_set_security_level(pointer, max(2, SSL_CTX_get_security_level(pointer)))
        KeyExchange.leaveOutFiniteFields(pointer)
        copenssl_SSL_CTX_set_no_ticket(pointer)
        try require(SSL_CTX_set_num_tickets(pointer, 0) == 1, .other)
        copenssl_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        try require(SSL_CTX_set_max_early_data(pointer, 0) == 1, .other)
        // Buffers of idle connections are given back; the certificates sent are those that were given and no others.
        copenssl_SSL_CTX_set_mode(pointer, Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_NO_AUTO_CHAIN))
    }

    deinit {
        SSL_CTX_free(pointer)
    }

    private func use(_ identity: TLSIdentity) throws(TLSError) {
        for (place, certificate) in identity.chain.enumerated() {
            let isTaken =
                if place == 0 {
                    SSL_CTX_use_certificate(pointer, certificate.pointer)
                } else {
                    copenssl_SSL_CTX_add1_chain_cert(pointer, certificate.pointer)
                }
            try require(isTaken == 1, .unusable)
        }
        try require(SSL_CTX_use_PrivateKey(pointer, identity.key.pointer) == 1, .unusable)
        try require(SSL_CTX_check_private_key(pointer) == 1, .keyMismatch)
    }

    private func trust(_ authorities: [TLSCertificate]) throws(TLSError) {
        let store = SSL_CTX_get_cert_store(pointer)
        for authority in authorities { try require(X509_STORE_add_cert(store, authority.pointer) == 1, .unusable) }
    }

    /// The longest list of authorities' names that is sent. With one of 64 KiB no handshake would succeed (RFC 8446, 4.2.4).
    private static let maximumNames = 60_000

    /// Clients are told whose certificates are asked for, unless those are too many: then each must know by itself what to show.
    private func trustClients(of authorities: [TLSCertificate]) throws(TLSError) {
        try trust(authorities)
        let length = authorities.reduce(0) { $0 + 2 + Int(i2d_X509_NAME(X509_get_subject_name($1.pointer), nil)) }
        guard length <= Self.maximumNames else { return }
        for authority in authorities {
            try require(SSL_CTX_add_client_CA(pointer, authority.pointer) == 1, .unusable)
        }
    }

    private func require(_ isDone: Bool, _ kind: TLSError.Kind) throws(TLSError) {
        guard isDone else { throw TLSError(kind, OpenSSL.lastReason()) }
    }
}

/// Chooses among the protocols that a client offers: the server's first that is there. If there is none the connection has none,
/// and it is for whoever uses it to close it.
private func selectProtocol(
    _: OpaquePointer?,
    _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ selectedCount: UnsafeMutablePointer<UInt8>?,
    _ offer: UnsafePointer<UInt8>?,
    _ offerCount: UInt32,
    _ context: UnsafeMutableRawPointer?
) -> Int32 {
    guard let selected, let selectedCount, let offer, let context else { return SSL_TLSEXT_ERR_NOACK }
    let offered = UnsafeBufferPointer(start: offer, count: Int(offerCount))
    // A session keeps its context, and OpenSSL calls this from within the session only.
    for wanted in Unmanaged<TLSContext>.fromOpaque(context).takeUnretainedValue().applicationProtocols {
        var rest = offered[...]
        while let count = rest.popFirst() {
            let name = rest.prefix(Int(count))
            guard name.count == Int(count) else { break }
            if !name.isEmpty, name.elementsEqual(wanted) {
                selected.pointee = offer + name.startIndex
                selectedCount.pointee = count
                return SSL_TLSEXT_ERR_OK
            }
            rest = rest.dropFirst(Int(count))
        }
    }
    return SSL_TLSEXT_ERR_NOACK
}
