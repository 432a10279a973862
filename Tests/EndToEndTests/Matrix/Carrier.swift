import Foundation
import TestSupport

/// A way between a client and a server.
enum Carrier: String, CaseIterable, Sendable {
    case plain
    case tls
    case mutualTLS
    /// TLS, and a bearer token with each call.
    case token
    case unix

    var isEncrypted: Bool { self != .plain && self != .unix }
}

/// The files that the two ends of a carrier are started with.
struct Protection: Sendable {
    private static let token = "q2c9-matrix.token_0"

    private let certificates: TestCertificates
    private let folder: TemporaryFolder

    init(in folder: TemporaryFolder) throws {
        self.folder = folder
        certificates = try TestCertificates.shared()
        let tokens = "matrix \(try tokenHash(Self.token))\n"
        try tokens.write(toFile: folder.file("tokens"), atomically: true, encoding: .utf8)
        try "\(Self.token)\n".write(toFile: folder.file("token"), atomically: true, encoding: .utf8)
    }

    /// What `diskdeltad` is told.
    func serverArguments(_ carrier: Carrier) -> [String] {
        let tls = ["--tls-certificate", certificates.server.certificate, "--tls-key", certificates.server.key]
        return switch carrier {
        case .plain, .unix: []
        case .tls: tls
        case .mutualTLS: tls + ["--client-ca", certificates.authority.certificate]
        case .token: tls + ["--token-file", folder.file("tokens")]
        }
    }

    /// What both `diskdelta` and `list-changes-tls` are told.
    func clientArguments(_ carrier: Carrier) -> [String] {
        let tls = ["--ca", certificates.authority.certificate]
        return switch carrier {
        case .plain, .unix: []
        case .tls: tls
        case .mutualTLS:
            tls + ["--certificate", certificates.client.certificate, "--key", certificates.client.key]
        case .token: tls + ["--token-file", folder.file("token")]
        }
    }
}
