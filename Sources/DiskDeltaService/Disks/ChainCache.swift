internal import DiskImages
internal import Synchronization

/// Keeps chains open from one question to the next.
///
/// A chain is used by one answer at a time, so it is taken out for as long as it is used, and several of one disk may be there.
/// Nothing is concluded from a chain having been opened before: it is used again only where the caller's own files, with what
/// the policy lets him see now, lead to the same files in the same state (``DiskChain/isCurrent(in:)``). Chains that nobody
/// uses are looked at every few seconds, so that a file that was deleted or replaced is not held for long. A chain is kept only
/// if what was read of it is proved for as long as its files' times stay what they are (``DiskChain/isDependable``).
final class ChainCache: Sendable {
    /// A chain is no `Sendable`, but those in here are nobody else's.
    private struct State: @unchecked Sendable {
        var idle: IdleChains
        var isWatched = false
    }

    /// How often idle chains are looked at.
    private static let interval = Duration.seconds(2)

    private let state: Mutex<State>

    init(_ limits: IdleChains.Limits = IdleChains.Limits()) {
        state = Mutex(State(idle: IdleChains(limits)))
    }

    /// A disk, from here or opened now. It is given back when the last reference to it goes.
    ///
    /// - Parameters:
    ///   - saidFormat: as of ``DiskChain/open(_:in:saidFormat:assumingRest:)``.
    ///   - assumesRest: likewise.
    func open(
        _ name: String,
        _ roots: RootSelection,
        saidFormat: ImageDescription.Format? = nil,
        in files: any ImageFiles,
        assumingRest assumesRest: Bool = false
    ) throws(ImageError) -> OpenDisk {
        let key = IdleChains.Key(name: name, saidFormat: saidFormat, roots: roots)
        while let idle = take(key) {
            if idle.isCurrent(in: files) { return OpenDisk(idle, of: self, key) }
        }
        let chain = try DiskChain.open(name, in: files, saidFormat: saidFormat, assumingRest: assumesRest)
        return OpenDisk(chain, of: self, key)
    }

    private func take(_ key: IdleChains.Key) -> DiskChain? {
        state.withLock { state in UncheckedChain(chain: state.idle.take(key)) }.chain
    }

    fileprivate func giveBack(_ chain: DiskChain, _ key: IdleChains.Key) {
        guard chain.isDependable else { return }
        let chain = UncheckedChain(chain: chain)
        let mustWatch = state.withLock { state in
            guard let chain = chain.chain else { return false }
            state.idle.add(chain, key, at: .now)
            guard !state.isWatched, !state.idle.isEmpty else { return false }
            state.isWatched = true
            return true
        }
        guard mustWatch else { return }
        Task.detached(priority: .background) { [weak self] in
            repeat {
                try? await Task.sleep(for: Self.interval)
            } while self?.sweep() ?? false
        }
    }

    /// Drops what is idle for too long or has changed. False where nothing is left to look at.
    private func sweep() -> Bool {
        state.withLock { state in
            state.idle.drop(at: .now) { !$0.isUnchanged }
            state.isWatched = !state.idle.isEmpty
            return state.isWatched
        }
    }
}

/// A chain on its way from one owner to the next.
private struct UncheckedChain: @unchecked Sendable {
    let chain: DiskChain?
}

/// An open disk that is used, and given back afterwards to where it came from.
final class OpenDisk {
    let chain: DiskChain
    private let cache: ChainCache
    private let key: IdleChains.Key

    fileprivate init(_ chain: DiskChain, of cache: ChainCache, _ key: IdleChains.Key) {
        self.chain = chain
        self.cache = cache
        self.key = key
    }

    deinit {
        cache.giveBack(chain, key)
    }
}
