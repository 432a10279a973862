internal import Dispatch
internal import Foundation

/// The signals by which a service is told to stop: SIGTERM and SIGINT.
///
/// From its making on they no longer end the process by themselves.
struct StopSignal {
    private let sources: [any DispatchSourceSignal]
    private let arrivals: AsyncStream<Void>

    init() {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        self.arrivals = arrivals
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { arrived.yield() }
            source.resume()
            return source
        }
    }

    /// Returns when one of them has come.
    func wait() async {
        for await _ in arrivals { break }
        for source in sources { source.cancel() }
    }
}
