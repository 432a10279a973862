internal import DiskDeltaProtocol
internal import DiskDeltaTLS
internal import Foundation
internal import NIOCore

/// The TLS of a client's connections to one server, with all files read and all options judged.
struct ClientTLS: Sendable {
    private let context: TLSContext
    /// The name or address that the certificate must be for.
    private let name: TLSPeerName
    private let words: TLSFailureText

    /// Reads the files. Throws INVALID_PARAMETER, with the name of the file and what is wrong with it.
    init(_ options: TLSOptions, to endpoint: Endpoint) throws(CallError) {
        guard case .tcp(let host, _) = endpoint else {
            throw CallError(.invalidParameter, "\(endpoint) is a Unix socket, which carries no TLS")
        }
        let authorities: TLSContext.Authorities =
            switch options.authorities {
            case .file(let path): .certificates(try Self.certificates(in: path))
            case .system: .system
            }
        let identity = try options.identity.map { files throws(CallError) in try Self.identity(in: files) }
        do throws(TLSError) {
            context = try TLSContext.client(
                authorities: authorities,
                identity: identity,
                applicationProtocols: [Preface.applicationProtocol]
            )
        } catch {
            guard error.kind == .unusable, let files = options.identity else {
                throw CallError(.invalidParameter, "TLS cannot be used: \(error)")
            }
            throw Self.refusal(of: files, error)
        }
        if let text = options.serverName {
            // Another address than that which is connected to could only be a mistake.
            guard case .host? = TLSPeerName(text) else {
                throw CallError(
                    .invalidParameter,
                    "'\(text)' is not a host name that a certificate could be verified by"
                )
            }
        }
        let expected = options.serverName ?? host
        guard let name = TLSPeerName(expected) else {
            throw CallError(.invalidParameter, "'\(expected)' is not a host name that TLS could ask for")
        }
        self.name = name
        words = TLSFailureText(server: endpoint, expectedName: expected, options: options)
    }

    /// Puts TLS before a connection's handler, which hears of nothing until the handshake has ended well.
    func install(in pipeline: ChannelPipeline.SynchronousOperations, handshakeTimeout: Duration) throws {
        try pipeline.addHandler(try TLSHandler(context, peer: name))
        try pipeline.addHandler(ClientTLSGate(words: words, timeout: handshakeTimeout))
    }

    // MARK: Files

    private static func certificates(in path: String) throws(CallError) -> [TLSCertificate] {
        let bytes = try read(path)
        guard let certificates = try? TLSCertificate.list(pem: bytes) else {
            throw CallError(.invalidParameter, "\(path) holds no certificate in PEM form, or one that is damaged")
        }
        return certificates
    }

    private static func identity(in files: TLSOptions.Identity) throws(CallError) -> TLSIdentity {
        let chain = try certificates(in: files.certificateFile)
        let bytes = try read(files.keyFile)
        guard let key = try? TLSKey(pem: bytes) else {
            throw CallError(
                .invalidParameter,
                "\(files.keyFile) holds no private key in PEM form, or one that is damaged or has a passphrase"
            )
        }
        do {
            return try TLSIdentity(chain: chain, key: key)
        } catch {
            throw refusal(of: files, error)
        }
    }

    private static func refusal(of files: TLSOptions.Identity, _ error: TLSError) -> CallError {
        let why =
            error.kind == .keyMismatch
            ? "the key in \(files.keyFile) is not that of the first certificate in \(files.certificateFile)"
            : "the certificates in \(files.certificateFile) cannot be used: \(error)"
        return CallError(.invalidParameter, why)
    }

    private static func read(_ path: String) throws(CallError) -> [UInt8] {
        guard let file = fopen(path, "re") else {
            throw CallError(.invalidParameter, "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        // Certificates of all authorities of a system take some hundred kilobytes.
        let most = 16 << 20
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= most {
            let count = fread(&piece, 1, piece.count, file)
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        guard ferror(file) == 0 else {
            throw CallError(.invalidParameter, "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        guard bytes.count <= most else { throw CallError(.invalidParameter, "\(path) is too long for a PEM file") }
        return bytes
    }
}
