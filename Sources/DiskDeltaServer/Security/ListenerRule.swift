internal import DiskDeltaTransport
internal import Logging

/// Where a server may listen: without protection only where nobody but this machine's own users can connect, unless somebody
/// says that he knows better.
enum ListenerRule {
    /// - Throws: one line that says what to configure.
    static func check(_ endpoint: Endpoint, _ settings: Settings, _ logger: Logger) throws(SettingsError) {
        guard !endpoint.isLocal else { return }
        let hasTLS = settings.tlsCertificate != nil
        let knowsClients = settings.clientCA != nil || settings.tokenFile != nil
        guard !hasTLS || !knowsClients else { return }
        guard !settings.isInsecure else {
            logger.warning("other machines can reach \(endpoint), and it is not protected: --insecure was said")
            return
        }
        var missing: [String] = []
        if !hasTLS { missing.append("--tls-certificate and --tls-key, to be protected") }
        if !knowsClients { missing.append("--client-ca or --token-file, to know who calls") }
        throw SettingsError(
            message: """
                \(endpoint) can be reached by other machines: give \(missing.joined(separator: "; and ")); or listen on a \
                loopback address or a Unix socket; or say --insecure
                """
        )
    }
}
