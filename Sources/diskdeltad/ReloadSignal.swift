internal import Dispatch
internal import Foundation

/// The signal by which a service is told to read its files again: SIGHUP.
///
/// From its making on the signal no longer ends the process.
struct ReloadSignal {
    private let source: any DispatchSourceSignal
    private let arrivals: AsyncStream<Void>

    init() {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.arrivals = arrivals
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler { arrived.yield() }
        // At once: a source that was never resumed may not be let go.
        source.resume()
    }

    /// Runs `action` whenever the signal has come, until the task is cancelled.
    func forEach(_ action: () -> Void) async {
        for await _ in arrivals { action() }
    }
}
