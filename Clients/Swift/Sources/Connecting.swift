internal import DiskDeltaProtocol
internal import DiskDeltaTransport

/// Connects to a server, lends a client to `body`, and closes the connection when `body` returns or throws.
///
/// - Parameters:
///   - address: `HOST:PORT`, `[V6]:PORT` or `unix:/path`.
///   - timeout: how long connecting may take; nil means ten seconds, and five more for the server to answer.
/// - Throws: INVALID_PARAMETER where the address is none, SERVER_UNAVAILABLE where nobody answers, DEADLINE where `timeout`
///   passes, CANCELLED where the task is cancelled; and what `body` throws.
public func withDiskDeltaClient<Result>(
    to address: String,
    timeout: Duration? = nil,
    _ body: (DiskDeltaClient) async throws -> Result
) async throws -> Result {
    let connection = try await connect(to: address, timeout: timeout)
    do {
        let result = try await body(DiskDeltaClient(connection))
        await connection.close()
        return result
    } catch {
        await connection.close()
        throw error
    }
}

private func connect(to address: String, timeout: Duration?) async throws(CallError) -> RPCConnection {
    let endpoint: Endpoint
    do {
        endpoint = try Endpoint(address)
    } catch {
        throw CallError(.invalidParameter, error.description)
    }
    guard let timeout else { return try await RPCConnection.connect(to: endpoint) }
    // Connecting does not hear of a cancellation: whichever comes first, the connection or the end of the time, wins. A
    // connection that comes too late is held by nobody, and so it is closed.
    let (outcomes, arrival) = AsyncStream.makeStream(of: Result<RPCConnection, CallError>.self)
    let attempt = Task {
        do throws(CallError) {
            arrival.yield(.success(try await RPCConnection.connect(to: endpoint)))
        } catch {
            arrival.yield(.failure(error))
        }
    }
    let timer = Task {
        guard (try? await Task.sleep(for: timeout)) != nil else { return }
        arrival.yield(.failure(CallError(.deadline, "the time was up before \(endpoint) answered")))
    }
    defer {
        attempt.cancel()
        timer.cancel()
    }
    for await outcome in outcomes { return try outcome.get() }
    throw CallError(.cancelled, "connecting to \(endpoint) was cancelled")
}
