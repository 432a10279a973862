internal import DiskDeltaTransport

/// Where a server listens: on sockets that it was handed, and on addresses that it binds itself.
struct Listening {
    let sockets: [InheritedSocket]
    /// What is left to bind.
    let endpoints: [Endpoint]

    /// - Parameters:
    ///   - descriptors: of sockets that are bound already.
    ///   - check: refuses an address on which this server may not listen, whoever bound it.
    init(
        _ settings: Settings,
        inheriting descriptors: [CInt],
        check: (Endpoint) throws(SettingsError) -> Void
    ) throws(SettingsError) {
        var sockets: [InheritedSocket] = []
        for descriptor in descriptors {
            do throws(InheritedSocketError) {
                sockets.append(try InheritedSocket(descriptor: descriptor))
            } catch {
                throw SettingsError(message: "a socket that was handed over cannot be used: \(error)")
            }
        }
        self.sockets = sockets
        var endpoints: [Endpoint] = []
        // The address that nobody asked for is not wanted beside a socket that somebody made.
        if sockets.isEmpty || !settings.listensByDefault {
            for address in settings.listen {
                do throws(EndpointError) {
                    endpoints.append(try Endpoint(address))
                } catch {
                    throw SettingsError(message: error.description)
                }
            }
        }
        self.endpoints = endpoints.filter { endpoint in !sockets.contains { $0.endpoint == endpoint } }
        for endpoint in sockets.map(\.endpoint) + endpoints { try check(endpoint) }
    }

    /// The Unix sockets that this server makes, and therefore removes.
    var ownPaths: [String] {
        endpoints.compactMap { if case .unix(let path) = $0 { path } else { nil } }
    }
}
