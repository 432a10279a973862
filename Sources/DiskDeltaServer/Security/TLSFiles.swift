internal import DiskDeltaProtocol
internal import DiskDeltaTLS
internal import DiskDeltaTransport
internal import Foundation

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
        let key: TLSKey
        do {
            key = try TLSKey(pem: Array(pem.utf8))
        } catch {
            throw SettingsError(message: "\(names.key) has no private key in PEM without a passphrase")
        }
        var authorities: Set<[UInt8]> = []
        var clients = TLSContext.ClientCertificates.none
        if let path = names.clientCA {
            let trusted = try Self.certificates(path, "client CA")
            authorities = Set(trusted.map(\.der))
            clients = isCertificateOptional ? .optional(trusted) : .required(trusted)
        }
        let context: TLSContext
        do throws(TLSError) {
            context = try TLSContext.server(
                try TLSIdentity(chain: chain, key: key),
                clients: clients,
                applicationProtocols: [Preface.applicationProtocol]
            )
        } catch {
            let both = "The key \(names.key) and the certificate \(names.certificate)"
            throw SettingsError(
                message: error.kind == .keyMismatch
                    ? "\(both) do not belong together" : "\(both) cannot be used: \(error)"
            )
        }
        self.authorities = authorities
        // As long as all that was trusted still is, what was proved still is.
        var trust = old?.protection.trust ?? 0
        if let old, !old.authorities.isSubset(of: authorities) { trust += 1 }
        protection = ServerTLS.Protection(context: context, trust: trust)
    }

    /// Reads the certificates of a file, of which there is at least one.
    private static func certificates(_ path: String, _ what: String) throws(SettingsError) -> [TLSCertificate] {
        let pem = try TextFile.read(path, maximum: maximumByteCount, as: what)
        guard let certificates = try? TLSCertificate.list(pem: Array(pem.utf8)) else {
            throw SettingsError(message: "The \(what) \(path) has no certificate in PEM")
        }
        return certificates
    }

    /// When the certificate expires.
    static func expiry(of path: String) -> Date? {
        guard let certificate = try? certificates(path, "certificate").first else { return nil }
        return Date(timeIntervalSince1970: Double(certificate.notAfter))
    }
}

/// Where the files of TLS are.
struct TLSFileNames: Hashable, Sendable {
    var certificate: String
    var key: String
    var clientCA: String?
}
