// The remote paths that passed an authenticated check, at most eight, the selected one never evicted.
// Must not know why a path is selected: ICEAgent decides.
import RTP

struct ICEPaths {
    struct Entry {
        var path: NetworkPath
        /// Newest authenticated check.
        var checkedAt: Instant
        /// Newest authenticated check or decrypted packet.
        var heardAt: Instant
        /// Counts ICE restarts: whose credentials the newest check used.
        var generation: Int
        /// Set once a path of a newer generation is selected.
        var expiresAt: Instant = .distantFuture
    }

    private(set) var entries: [Entry] = []
    /// Index of the path that we send to.
    private(set) var selected: Int?

    var selectedEntry: Entry? { selected.map { entries[$0] } }

    func index(of path: NetworkPath) -> Int? {
        if let selected, entries[selected].path == path { return selected }
        return entries.firstIndex { $0.path == path }
    }

    /// Notes an authenticated check; adds the path where it is new, at the cost of the one unheard for longest.
    mutating func check(
        _ path: NetworkPath,
        at now: Instant,
        generation: Int
    ) -> (index: Int, isNew: Bool, forgotten: NetworkPath?) {
        if let index = index(of: path) {
            entries[index].checkedAt = now
            entries[index].heardAt = now
            entries[index].generation = generation
            entries[index].expiresAt = .distantFuture
            return (index, false, nil)
        }
        var forgotten: NetworkPath?
        if entries.count >= Limits.Transport.pathsPerPeer {
            var oldest: Int?
            for i in entries.indices where i != selected {
                if let best = oldest, entries[best].heardAt <= entries[i].heardAt { continue }
                oldest = i
            }
            if let oldest { forgotten = remove(at: oldest) }
        }
        entries.append(Entry(path: path, checkedAt: now, heardAt: now, generation: generation))
        return (entries.count - 1, true, forgotten)
    }

    mutating func heard(_ index: Int, at now: Instant) {
        entries[index].heardAt = max(entries[index].heardAt, now)
    }

    /// Selecting a path of a newer generation lets those of older ones run out.
    mutating func select(_ index: Int, at now: Instant) {
        selected = index
        let generation = entries[index].generation
        for i in entries.indices where entries[i].generation < generation {
            entries[i].expiresAt = min(entries[i].expiresAt, now + Limits.Transport.oldPathsFor)
        }
        entries[index].expiresAt = .distantFuture
    }

    @discardableResult
    mutating func remove(at index: Int) -> NetworkPath {
        let path = entries.remove(at: index).path
        if let current = selected {
            selected = current == index ? nil : current > index ? current - 1 : current
        }
        return path
    }

    /// The newest-checked path other than the selected one, checked after `bound`; newer generations first.
    func alternative(checkedAfter bound: Instant) -> Int? {
        var best: Int?
        for i in entries.indices where i != selected && entries[i].checkedAt > bound {
            if let b = best,
                (entries[b].generation, entries[b].checkedAt) >= (entries[i].generation, entries[i].checkedAt)
            {
                continue
            }
            best = i
        }
        return best
    }

    /// A path that is not selected and whose time is over.
    func expired(at now: Instant) -> Int? {
        entries.indices.first { $0 != selected && expiry(of: $0) <= now }
    }

    var nextExpiry: Instant {
        var next = Instant.distantFuture
        for i in entries.indices where i != selected { next = min(next, expiry(of: i)) }
        return next
    }

    private func expiry(of index: Int) -> Instant {
        min(entries[index].expiresAt, entries[index].checkedAt + Limits.Transport.pathIdleAfter)
    }
}
