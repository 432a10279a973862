internal import Foundation

/// A certificate and its key, as files in PEM.
public struct IssuedCertificate: Sendable {
    public let certificate: String
    public let key: String

    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

/// Certificates made by the `openssl` command, in a folder that goes when the last reference to them does.
///
/// ```swift
/// @Test(.enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"))
/// func example() throws {
///     let certificates = try TestCertificates.shared()
///     … certificates.authority.certificate, certificates.server.key, certificates.client.certificate …
/// }
/// ```
public final class TestCertificates: Sendable {
    /// The URI by which ``client`` is known.
    public static let clientURI = "spiffe://example.com/backup"

    private static let openssl = Oracles.find("openssl")

    /// Whether there is an `openssl` command. Tests that need certificates skip where there is none.
    public static var canBeMade: Bool { openssl != nil }
    /// What a test that is skipped says.
    public static let absence = "there is no openssl command"

    private static let made = Result { try TestCertificates() }

    /// The same for the whole process, because making them takes a moment.
    public static func shared() throws -> TestCertificates { try made.get() }

    private let folder: TemporaryFolder

    /// An authority that both sides trust.
    public let authority: IssuedCertificate
    /// An authority that nobody trusts.
    public let otherAuthority: IssuedCertificate
    /// A server's: `localhost`, `127.0.0.1` and `::1`.
    public let server: IssuedCertificate
    /// A server's that expired yesterday.
    public let expiredServer: IssuedCertificate
    /// A server's for `other.example.com` alone.
    public let misnamedServer: IssuedCertificate
    /// A server's by the authority that nobody trusts.
    public let strangeServer: IssuedCertificate
    /// A client's, with the URI ``clientURI`` and the DNS name `backup.example.com`.
    public let client: IssuedCertificate
    /// A client's that expired yesterday.
    public let expiredClient: IssuedCertificate
    /// A client's without any alternative name: all it has is the common name `nameless`.
    public let namelessClient: IssuedCertificate
    /// A client's with the same names as ``client``, by the authority that nobody trusts.
    public let strangeClient: IssuedCertificate

    private init() throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        authority = try Self.authority("authority", in: folder)
        otherAuthority = try Self.authority("other", in: folder)
        let here = "DNS:localhost,IP:127.0.0.1,IP:::1"
        let backup = "URI:\(Self.clientURI),DNS:backup.example.com"
        server = try Self.issue("server", here, .server, by: authority, in: folder)
        expiredServer = try Self.issue("expired-server", here, .server, by: authority, days: -1, in: folder)
        misnamedServer = try Self.issue("misnamed", "DNS:other.example.com", .server, by: authority, in: folder)
        strangeServer = try Self.issue("strange-server", here, .server, by: otherAuthority, in: folder)
        client = try Self.issue("client", backup, .client, by: authority, in: folder)
        expiredClient = try Self.issue("expired-client", backup, .client, by: authority, days: -1, in: folder)
        namelessClient = try Self.issue("nameless", nil, .client, by: authority, in: folder)
        strangeClient = try Self.issue("strange", backup, .client, by: otherAuthority, in: folder)
    }

    /// What a certificate may be used for.
    public enum Usage: String, Sendable {
        case server = "serverAuth"
        case client = "clientAuth"
    }

    /// One more certificate of the trusted authority.
    ///
    /// - Parameters:
    ///   - name: of its files, and its common name.
    ///   - alternativeNames: as OpenSSL writes them: `URI:…,DNS:…,IP:…,email:…`; nil leaves them out.
    ///   - issuer: who signs it; the trusted authority, if nobody else is named.
    ///   - extensions: more of them, as OpenSSL writes them: `keyUsage=keyCertSign`.
    public func issue(
        _ name: String,
        alternativeNames: String?,
        usage: Usage,
        by issuer: IssuedCertificate? = nil,
        extensions: [String] = []
    ) throws -> IssuedCertificate {
        try Self.issue(name, alternativeNames, usage, by: issuer ?? authority, extensions: extensions, in: folder)
    }

    private static func authority(_ name: String, in folder: TemporaryFolder) throws -> IssuedCertificate {
        let made = IssuedCertificate(certificate: folder.file("\(name).pem"), key: folder.file("\(name).key"))
        try run(
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                + ["-subj", "/CN=DiskDelta test \(name)", "-days", "2", "-out", made.certificate, "-keyout", made.key]
        )
        return made
    }

    private static func issue(
        _ name: String,
        _ alternativeNames: String?,
        _ usage: Usage,
        by authority: IssuedCertificate,
        days: Int = 2,
        extensions more: [String] = [],
        in folder: TemporaryFolder
    ) throws -> IssuedCertificate {
        let made = IssuedCertificate(certificate: folder.file("\(name).pem"), key: folder.file("\(name).key"))
        let request = folder.file("\(name).csr")
        let extensions =
            ["extendedKeyUsage=\(usage.rawValue)"] + (alternativeNames.map { ["subjectAltName=\($0)"] } ?? [])
            + more
        try run(
            ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)"]
                + extensions.flatMap { ["-addext", $0] } + ["-out", request, "-keyout", made.key]
        )
        try run(
            ["x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key]
                + ["-copy_extensions", "copyall", "-days", "\(days)", "-out", made.certificate]
        )
        return made
    }

    /// Runs the `openssl` command to its end, which must be good.
    private static func run(_ arguments: [String]) throws {
        guard let openssl else { throw BuiltProgram.Failure(description: absence) }
        let result = try Oracles.run(openssl, arguments)
        guard result.status == 0 else {
            throw BuiltProgram.Failure(description: "openssl \(arguments.joined(separator: " ")): \(result.text)")
        }
    }
}
