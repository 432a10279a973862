/// A limit because of which a call is refused before anything of it is done.
public enum CallLimit: String, Hashable, Sendable, CaseIterable {
    /// The streams that one connection may have open (P-23).
    case connection
    /// The calls that a server carries, of all clients (P-90).
    case server
    /// The calls that one client has under way (P-90).
    case client
    /// The calls that wait for a thread that reads files (P-90).
    case queue
}
