internal import DiskDeltaProtocol
internal import Foundation
internal import NIOCore
internal import NIOSSL

/// The TLS of a client's connections to one server, with all files read and all options judged.
struct ClientTLS: Sendable {
    private let context: NIOSSLContext
    /// The name that the certificate is verified against; nil means the address.
    private let serverName: String?
    private let words: TLSFailureText

    /// Reads the files. Throws INVALID_PARAMETER, with the name of the file and what is wrong with it.
    init(_ options: TLSOptions, to endpoint: Endpoint) throws(CallError) {
        guard case .tcp(let host, _) = endpoint else {
            throw CallError(.invalidParameter, "\(endpoint) is a Unix socket, which carries no TLS")
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .fullVerification
        configuration.applicationProtocols = [Preface.applicationProtocol]
        if case .file(let path) = options.authorities {
            configuration.trustRoots = .certificates(try Self.certificates(in: path))
        }
        if let identity = options.identity {
            configuration.certificateChain = try Self.certificates(in: identity.certificateFile)
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try Self.key(in: identity.keyFile))
        }
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw CallError(.invalidParameter, Self.refusal(of: options))
        }
        if let name = options.serverName {
            guard !Self.isAddress(name), !name.isEmpty else {
                throw CallError(
                    .invalidParameter,
                    "'\(name)' is not a host name that a certificate could be verified by"
                )
            }
            serverName = name
        } else {
            // Addresses are verified as such, and not sent as names.
            serverName = Self.isAddress(host) ? nil : host
        }
        words = TLSFailureText(server: endpoint, expectedName: options.serverName ?? host, options: options)
        // What the library does not accept for a name is found here and not when connecting.
        _ = try handler()
    }

    /// Puts TLS before a connection's handler, which hears of nothing until the handshake has ended well.
    func install(in pipeline: ChannelPipeline.SynchronousOperations, handshakeTimeout: Duration) throws {
        let handler = try handler()
        try pipeline.addHandler(handler)
        try pipeline.addHandler(ClientTLSGate(handler, words: words, timeout: handshakeTimeout))
    }

    private func handler() throws(CallError) -> NIOSSLClientHandler {
        do {
            return try NIOSSLClientHandler(context: context, serverHostname: serverName)
        } catch {
            throw CallError(.invalidParameter, "'\(serverName ?? "")' is not a host name that TLS could ask for")
        }
    }

    // MARK: Files

    private static func certificates(in path: String) throws(CallError) -> [NIOSSLCertificate] {
        let bytes = try read(path)
        guard let certificates = try? NIOSSLCertificate.fromPEMBytes(bytes), !certificates.isEmpty else {
            throw CallError(.invalidParameter, "\(path) holds no certificate in PEM form, or one that is damaged")
        }
        return certificates
    }

    private static func key(in path: String) throws(CallError) -> NIOSSLPrivateKey {
        let bytes = try read(path)
        // Without the answer to it the library would ask for a passphrase on the terminal.
        guard let key = try? NIOSSLPrivateKey(bytes: bytes, format: .pem, passphraseCallback: { $0([UInt8]()) }) else {
            throw CallError(
                .invalidParameter,
                "\(path) holds no private key in PEM form, or one that is damaged or has a passphrase"
            )
        }
        return key
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

    private static func refusal(of options: TLSOptions) -> String {
        guard let identity = options.identity else { return "TLS cannot be used on this system: it has no authorities" }
        return "the key in \(identity.keyFile) is not that of the first certificate in \(identity.certificateFile)"
    }

    private static func isAddress(_ host: String) -> Bool {
        (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }
}
