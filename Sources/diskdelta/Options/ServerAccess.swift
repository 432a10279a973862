internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol
internal import Foundation

/// A server and how to be let in, with all that is said about it judged. Nothing that is meant to protect is ever ignored:
/// what cannot be done is a failure of usage.
struct ServerAccess {
    let address: String
    private let options: ClientOptions

    init(
        address: String,
        ca: String?,
        certificate: String?,
        key: String?,
        tokenFile: String?,
        patience: Duration
    ) throws {
        self.address = address
        var options = ClientOptions()
        options.ranges.resuming.patience = patience
        options.tls = try Self.tls(address, ca: ca, certificate: certificate, key: key)
        if let tokenFile {
            options.interceptors = [try Self.token(in: tokenFile)]
            guard options.tls != nil || DiskDeltaClient.isLocal(address) else {
                throw ValidationError(
                    "a token is not sent to \(address) without TLS, for others could read it: name the server's authority with --ca"
                )
            }
        }
        self.options = options
    }

    /// A client of the server. It is not connected yet.
    func client() throws -> DiskDeltaClient {
        do throws(CallError) {
            return try DiskDeltaClient(to: address, options: options)
        } catch {
            guard options.tls != nil else { throw error }
            throw ValidationError(error.message)
        }
    }

    /// A variable of the environment; nil where it is empty or not set.
    static func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func tls(_ address: String, ca: String?, certificate: String?, key: String?) throws -> TLSOptions? {
        var identity: TLSOptions.Identity?
        switch (certificate, key) {
        case (let certificate?, let key?): identity = .init(certificateFile: certificate, keyFile: key)
        case (_?, nil): throw ValidationError("a certificate is of no use without its key: say --key or DISKDELTA_KEY")
        case (nil, _?):
            throw ValidationError(
                "a key is of no use without its certificate: say --certificate or DISKDELTA_CERTIFICATE"
            )
        case (nil, nil): break
        }
        guard ca != nil || identity != nil else { return nil }
        guard !address.hasPrefix("unix:") else {
            throw ValidationError(
                "\(address) is a Unix socket, which carries no TLS: leave out the authority, the certificate and the key"
            )
        }
        return TLSOptions(authorities: ca.map { .file($0) } ?? .system, identity: identity)
    }

    private static func token(in file: String) throws -> TokenAuthentication {
        do throws(CallError) {
            return try TokenAuthentication(file: file)
        } catch {
            throw ValidationError(error.message)
        }
    }
}
