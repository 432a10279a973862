internal import DiskDeltaService
internal import DiskDeltaTransport
internal import Foundation
internal import Logging
internal import Synchronization

/// Who may connect, who may call, and who may use which root: what the files say, kept true to them while the server runs.
final class Security: Sendable {
    private let tls: WatchedFiles<TLSFiles>?
    private let tokens: WatchedFiles<TokenTable>?
    private let policy: WatchedFiles<Policy>?
    private let hasClientCA: Bool
    private let logger: Logger
    /// Told the new state of trust when certificates that were verified before prove nothing any more.
    private let whenTrustChanges = Mutex<@Sendable (UInt64) -> Void>({ _ in })

    /// How often the files are looked at.
    static let interval = Duration.seconds(2)

    /// Reads all files.
    ///
    /// - Throws: `SettingsError` where settings contradict each other, or a file is not good.
    init(_ settings: Settings, logger: Logger) throws(SettingsError) {
        self.logger = logger
        let hasTokens = settings.tokenFile != nil
        hasClientCA = settings.clientCA != nil
        if let names = try Self.tlsFileNames(settings) {
            tls = try WatchedFiles([names.certificate, names.key, names.clientCA].compactMap(\.self)) {
                old throws(SettingsError) in
                try TLSFiles(names, isCertificateOptional: hasTokens, replacing: old)
            }
        } else {
            tls = nil
        }
        if let path = settings.tokenFile {
            tokens = try WatchedFiles([path]) { _ throws(SettingsError) in
                try TokenTable(
                    try TextFile.read(path, maximum: TokenTable.maximumByteCount, as: "token file"),
                    named: path
                )
            }
        } else {
            tokens = nil
        }
        if let path = settings.policyFile {
            policy = try WatchedFiles([path]) { _ throws(SettingsError) in
                let text = try TextFile.read(path, maximum: Policy.maximumByteCount, as: "policy file")
                do throws(PolicyError) {
                    return try Policy(text, named: path)
                } catch {
                    throw SettingsError(message: error.message)
                }
            }
        } else {
            policy = nil
        }
        warn(settings)
    }

    /// How connections over TCP are protected; nil where they are not.
    var serverTLS: ServerTLS? {
        tls.map { tls in ServerTLS { tls.current.protection } }
    }

    /// What decides who a caller is, by what is in force now.
    var authenticator: Authenticator {
        Authenticator(
            trust: hasClientCA ? tls?.current.protection.trust : nil,
            tokens: tokens?.current,
            policy: policy?.current
        )
    }

    /// Who may use which root, by what is in force now.
    var currentPolicy: Policy { policy?.current ?? .openToQueries }

    /// Reads the files again that have changed, or all of them.
    func refresh(always: Bool) {
        let trust = tls?.current.protection.trust
        tls?.refresh(always: always, logger)
        if let new = tls?.current.protection.trust, new != trust {
            logger.notice("an authority is no longer trusted: its clients must connect again")
            whenTrustChanges.withLock(\.self)(new)
        }
        tokens?.refresh(always: always, logger)
        policy?.refresh(always: always, logger)
    }

    /// Has `action` run when certificates that were verified before prove nothing any more, with the new state of trust.
    func onTrustChange(_ action: @escaping @Sendable (UInt64) -> Void) {
        whenTrustChanges.withLock { $0 = action }
    }

    /// Looks at the files from time to time, until the task is cancelled.
    func watch() async {
        guard tls != nil || tokens != nil || policy != nil else { return }
        while (try? await Task.sleep(for: Self.interval)) != nil { refresh(always: false) }
    }

    /// The settings of TLS, which come together or not at all.
    private static func tlsFileNames(_ settings: Settings) throws(SettingsError) -> TLSFileNames? {
        switch (settings.tlsCertificate, settings.tlsKey) {
        case (let certificate?, let key?):
            return TLSFileNames(certificate: certificate, key: key, clientCA: settings.clientCA)
        case (nil, nil):
            guard settings.clientCA == nil else {
                throw SettingsError(
                    message: "client-ca needs TLS: give tls-certificate and tls-key too"
                )
            }
            return nil
        case (nil, _): throw SettingsError(message: "tls-key is given and tls-certificate is not")
        case (_, nil): throw SettingsError(message: "tls-certificate is given and tls-key is not")
        }
    }

    /// Says what is allowed and yet hardly meant.
    private func warn(_ settings: Settings) {
        if let path = settings.tlsKey {
            var status = stat()
            if stat(path, &status) == 0, status.st_mode & 0o007 != 0 {
                logger.warning("the key \(path) can be used by every user of this machine: chmod o= \(path)")
            }
        }
        if let path = settings.tlsCertificate, let expiry = TLSFiles.expiry(of: path), expiry <= Date() {
            logger.warning("the certificate \(path) has expired: clients will not connect")
        }
        if tls != nil, settings.listen.allSatisfy({ $0.hasPrefix("unix:") }) {
            logger.warning("there is a certificate and no TCP listener: Unix sockets have no TLS")
        }
        if let tokens, tokens.current.count == 0 {
            logger.warning("the token file has no tokens")
        }
        if let policy {
            let roots = settings.roots.map { String($0.prefix { $0 != "=" }) }
            for name in policy.current.mentionedRoots where !roots.contains(name) {
                logger.warning("the policy speaks of the root \(name), and there is none")
            }
        }
    }
}
