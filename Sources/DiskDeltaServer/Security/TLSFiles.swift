internal import DiskDeltaProtocol
internal import DiskDeltaTransport
internal import Foundation
internal import NIOCore
internal import NIOSSL

/// What protects connections, as its files had it when they were read.
struct TLSFiles: Sendable {
    let protection: ServerTLS.Protection
    /// The certificates of the client CA, encoded; empty where there is none.
    private let authorities: Set<[UInt8]>

    private static let maximumByteCount = 1 << 20

    /// Reads the files.
    ///
    /// - Parameters:
    ///   - names: where they are.
    ///   - isCertificateOptional: whether clients without a certificate are let through the handshake, because they may prove
    ///     by a token who they are.
    ///   - old: what these files are to replace.
    init(_ names: TLSFileNames, isCertificateOptional: Bool, replacing old: TLSFiles?) throws(SettingsError) {
        let chain = try Self.certificates(names.certificate, "certificate")
        let pem = try TextFile.read(names.key, maximum: Self.maximumByteCount, as: "key")
        let key: NIOSSLPrivateKey
        do {
            // Without the answer to it the library would ask for a passphrase on the terminal.
            key = try NIOSSLPrivateKey(bytes: Array(pem.utf8), format: .pem, passphraseCallback: { $0([UInt8]()) })
        } catch {
            throw SettingsError(message: "\(names.key) has no private key in PEM without a passphrase")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv13
        configuration.applicationProtocols = [Preface.applicationProtocol]
        configuration.certificateVerification = .none
        // A client that does not answer to the end of TLS is not waited for long.
        configuration.shutdownTimeout = .seconds(1)
        var authorities: Set<[UInt8]> = []
        if let path = names.clientCA {
            let trusted = try Self.certificates(path, "client CA")
            authorities = Set(trusted.compactMap { try? $0.toDERBytes() })
            configuration.trustRoots = .certificates(trusted)
            // Clients are not known by the names of hosts.
            configuration.certificateVerification =
                isCertificateOptional ? .optionalVerification : .noHostnameVerification
            configuration.sendCANameList = true
        }
        let context: NIOSSLContext
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw SettingsError(
                message: "The key \(names.key) and the certificate \(names.certificate) do not belong together"
            )
        }
        self.authorities = authorities
        // As long as all that was trusted still is, what was proved still is.
        var trust = old?.protection.trust ?? 0
        if let old, !old.authorities.isSubset(of: authorities) { trust += 1 }
        protection = ServerTLS.Protection(context: context, trust: trust)
    }

    /// Reads the certificates of a file, of which there is at least one.
    private static func certificates(_ path: String, _ what: String) throws(SettingsError) -> [NIOSSLCertificate] {
        let pem = try TextFile.read(path, maximum: maximumByteCount, as: what)
        guard let certificates = try? NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)), !certificates.isEmpty else {
            throw SettingsError(message: "The \(what) \(path) has no certificate in PEM")
        }
        return certificates
    }

    /// When the certificate expires.
    static func expiry(of path: String) -> Date? {
        guard let certificate = try? certificates(path, "certificate").first else { return nil }
        return Date(timeIntervalSince1970: Double(certificate.notValidAfter))
    }
}

/// Where the files of TLS are.
struct TLSFileNames: Hashable, Sendable {
    var certificate: String
    var key: String
    var clientCA: String?
}
