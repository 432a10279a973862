internal import Dispatch
internal import Foundation

/// The signal by which a service is told to read its files again: SIGHUP.
///
/// From its making on the signal no longer ends the process.
struct ReloadSignal {
    private let source: any DispatchSourceSignal

    init() {
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
    }

    /// Runs `action` whenever it comes, one run at a time.
    func whenItComes(_ action: @escaping @Sendable () -> Void) {
        source.setEventHandler { action() }
        source.resume()
    }

    func cancel() { source.cancel() }
}
