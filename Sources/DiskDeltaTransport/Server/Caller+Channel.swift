internal import DiskDeltaProtocol
internal import Glibc
internal import NIOCore

extension Caller {
    /// The peer of a channel, on whose event loop this must run.
    init(plain channel: any Channel) {
        let remote = channel.remoteAddress
        guard channel.localAddress?.protocol == .unix || remote?.protocol == .unix else {
            let endpoint = Endpoint(remote)
            self.init(peer: endpoint.map { "\($0)" } ?? "unknown", isLocal: endpoint?.isLocal ?? false)
            return
        }
        let credentials = Self.credentials(channel)
        let peer = credentials.map { "unix:pid=\($0.processID),uid=\($0.userID)" } ?? "unix"
        self.init(peer: peer, isLocal: true, userID: credentials?.userID)
    }

    /// Whose calls are counted together, and share the threads as one, where nobody proved who he is: those of one user of
    /// this machine, or of one address.
    var client: String {
        if let userID { return "uid:\(userID)" }
        // Behind the last colon of an address stands the port.
        guard !peer.hasPrefix("unix"), let colon = peer.lastIndex(of: ":") else { return peer }
        return String(peer[..<colon])
    }

    /// What the system knows of the process at the other end (unix(7), SO_PEERCRED), as it was when it connected.
    private struct Credentials {
        var processID: Int32 = 0
        var userID: UInt32 = 0
        var groupID: UInt32 = 0
    }

    private static func credentials(_ channel: any Channel) -> Credentials? {
        guard let options = channel as? any SocketOptionProvider else { return nil }
        let name = NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        let future: EventLoopFuture<Credentials> = options.unsafeGetSocketOption(level: .socket, name: name)
        // It is answered at once, for this is the channel's event loop.
        var answer: Credentials?
        future.assumeIsolated().whenSuccess { answer = $0 }
        return answer
    }
}
