import DiskDeltaTLS
import Foundation
import TestSupport

/// The bytes of a file.
func bytes(of path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}

extension IssuedCertificate {
    func certificates() throws -> [TLSCertificate] {
        try TLSCertificate.list(pem: try bytes(of: certificate))
    }

    func privateKey() throws -> TLSKey {
        try TLSKey(pem: try bytes(of: key))
    }

    /// - Parameter issuers: what is shown besides.
    func identity(with issuers: [TLSCertificate] = []) throws -> TLSIdentity {
        try TLSIdentity(chain: try certificates() + issuers, key: try privateKey())
    }
}

/// Contexts of the test authority.
enum Contexts {
    static let application = "diskdelta/1"

    static func server(
        _ identity: IssuedCertificate? = nil,
        clients: TLSContext.ClientCertificates = .none,
        protocols: [String] = [application]
    ) throws -> TLSContext {
        try TLSContext.server(
            try (identity ?? TestCertificates.shared().server).identity(),
            clients: clients,
            applicationProtocols: protocols
        )
    }

    static func client(
        _ identity: IssuedCertificate? = nil,
        trusting authority: IssuedCertificate? = nil,
        protocols: [String] = [application]
    ) throws -> TLSContext {
        try TLSContext.client(
            authorities: .certificates(try (authority ?? TestCertificates.shared().authority).certificates()),
            identity: try identity?.identity(),
            applicationProtocols: protocols
        )
    }
}
