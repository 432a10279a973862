internal import DiskImages

/// Open chains that nobody uses, the longest idle first, within bounds. A pure value that is told the time.
struct IdleChains {
    /// How many chains, and how many files of theirs, are kept, and how long none is used before it goes.
    struct Limits: Hashable, Sendable {
        /// 0 keeps none.
        var chains = 64
        /// Each holds a descriptor and some 90 KiB.
        var layers = 256
        var idleTime = Duration.seconds(30)
    }

    /// What a chain was opened by: a name, and what was said of its format, by somebody who sees certain roots.
    struct Key: Hashable, Sendable {
        private let name: ExactName
        private let saidFormat: ImageDescription.Format?
        private let roots: RootSelection

        init(name: String, saidFormat: ImageDescription.Format? = nil, roots: RootSelection) {
            self.name = ExactName(name)
            self.saidFormat = saidFormat
            self.roots = roots
        }
    }

    private struct Entry {
        let key: Key
        let chain: DiskChain
        let idleSince: ContinuousClock.Instant
    }

    private let limits: Limits
    private var entries: [Entry] = []
    private var layerCount = 0

    init(_ limits: Limits) {
        self.limits = limits
    }

    var isEmpty: Bool { entries.isEmpty }

    /// Takes out the chain of `key` that was idle for the shortest time.
    mutating func take(_ key: Key) -> DiskChain? {
        entries.lastIndex { $0.key == key }.map { remove(at: $0) }
    }

    /// Adds a chain. Those that have been idle for longest go where there are too many.
    mutating func add(_ chain: DiskChain, _ key: Key, at now: ContinuousClock.Instant) {
        entries.append(Entry(key: key, chain: chain, idleSince: now))
        layerCount += chain.layers.count
        while entries.count > limits.chains || layerCount > limits.layers, !entries.isEmpty { _ = remove(at: 0) }
    }

    /// Drops those that have been idle for too long, and those that `isStale` says it of.
    mutating func drop(at now: ContinuousClock.Instant, where isStale: (DiskChain) -> Bool) {
        for index in entries.indices.reversed()
        where entries[index].idleSince + limits.idleTime <= now || isStale(entries[index].chain) {
            _ = remove(at: index)
        }
    }

    private mutating func remove(at index: Int) -> DiskChain {
        let chain = entries.remove(at: index).chain
        layerCount -= chain.layers.count
        return chain
    }
}
