// Which worker owns a path whose datagrams the kernel gives to us. Learned from the owner alone, after an
// authenticated check; bounded, forgotten when idle. It routes bytes and grants nothing.
import PeerTransport
import RTP

/// Open addressing in raw memory, linear probing, backward-shift deletion.
final class ForeignPaths {
    private struct Entry {
        var path: NetworkPath
        /// −1: free.
        var owner: Int16
        /// Seconds of the monotonic clock.
        var confirmed: UInt32
        var used: UInt32
    }

    private var entries: UnsafeMutablePointer<Entry>
    private var mask: Int
    private let limit: Int
    private let salt: UInt64
    private var sweepAt = 0
    private(set) var count = 0

    /// - Parameter salt: mixed into the hash, so that nobody outside can aim at one bucket.
    init(limit: Int = Limits.MediaIO.foreignPaths, salt: UInt64) {
        self.limit = max(1, limit)
        self.salt = salt | 1
        mask = 255
        entries = ForeignPaths.allocate(256)
    }

    deinit { entries.deallocate() }

    private static func allocate(_ size: Int) -> UnsafeMutablePointer<Entry> {
        let memory = UnsafeMutablePointer<Entry>.allocate(capacity: size)
        memory.initialize(
            repeating: Entry(
                path: NetworkPath(remote: .unspecified, remotePort: 0),
                owner: -1,
                confirmed: 0,
                used: 0
            ),
            count: size
        )
        return memory
    }

    private static func seconds(_ now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now.microseconds / 1_000_000)
    }

    @inline(__always)
    private func home(of path: NetworkPath) -> Int {
        var h = (path.remote.low ^ salt) &+ UInt64(path.remotePort) &* 0x9e37_79b9_7f4a_7c15
        h ^= h >> 32
        h = (h ^ path.remote.high) &* (salt &* 2 &+ 0xff51_afd7_ed55_8ccd)
        h ^= path.local.low &+ path.local.high &* 0xc4ce_b9fe_1a85_ec53
        h ^= h >> 29
        h = h &* 0xbf58_476d_1ce4_e5b9
        return Int(truncatingIfNeeded: h >> 20) & mask
    }

    @inline(__always)
    private func index(of path: NetworkPath) -> Int {
        var i = home(of: path)
        while entries[i].owner >= 0 && entries[i].path != path { i = (i + 1) & mask }
        return i
    }

    /// The worker that owns this path, −1 where none is known.
    @inline(__always)
    func owner(of path: NetworkPath, at now: Instant) -> Int {
        if count == 0 { return -1 }
        let i = index(of: path)
        guard entries[i].owner >= 0 else { return -1 }
        entries[i].used = ForeignPaths.seconds(now)
        return Int(entries[i].owner)
    }

    /// Whether the owner should be asked to confirm: unknown here, known with another owner, or long ago.
    func wantsConfirmation(of path: NetworkPath, from owner: Int, at now: Instant) -> Bool {
        let i = index(of: path)
        guard Int(entries[i].owner) == owner else { return true }
        let age = ForeignPaths.seconds(now) &- entries[i].confirmed
        return Int64(age) >= Limits.MediaIO.foreignPathRefresh.milliseconds / 1000
    }

    func confirm(_ path: NetworkPath, owner: Int, at now: Instant) {
        let seconds = ForeignPaths.seconds(now)
        var i = index(of: path)
        if entries[i].owner < 0 {
            if count >= limit {
                evictOne()
                i = index(of: path)
            } else if (count + 1) * 2 > mask {
                grow()
                i = index(of: path)
            }
            count += 1
        }
        entries[i] = Entry(
            path: path,
            owner: Int16(truncatingIfNeeded: owner),
            confirmed: seconds,
            used: seconds
        )
    }

    /// Forgets the path where this worker owns it; -1: whoever does.
    func forget(_ path: NetworkPath, owner: Int = -1) {
        let i = index(of: path)
        guard entries[i].owner >= 0, owner < 0 || Int(entries[i].owner) == owner else { return }
        remove(at: i)
    }

    /// Looks at a part of the table and forgets what was idle for long. Called about once a second.
    func sweep(at now: Instant, entries budget: Int = 4096) {
        let lifetime = Limits.MediaIO.foreignPathLifetime.milliseconds / 1000
        for _ in 0..<min(budget, mask + 1) {
            let i = sweepAt & mask
            let age = ForeignPaths.seconds(now) &- entries[i].used
            if entries[i].owner >= 0 && Int64(age) > lifetime {
                remove(at: i)
            } else {
                sweepAt = (sweepAt + 1) & mask
            }
        }
    }

    /// The longest unused of the next few entries makes room.
    private func evictOne() {
        var oldest = -1
        var seen = 0
        while seen < 8 {
            let i = sweepAt & mask
            sweepAt = (sweepAt + 1) & mask
            guard entries[i].owner >= 0 else { continue }
            seen += 1
            if oldest < 0 || entries[i].used < entries[oldest].used { oldest = i }
        }
        remove(at: oldest)
    }

    private func remove(at index: Int) {
        count -= 1
        var hole = index
        var j = (index + 1) & mask
        while entries[j].owner >= 0 {
            let home = self.home(of: entries[j].path)
            if ((j &- home) & mask) >= ((j &- hole) & mask) {
                entries[hole] = entries[j]
                hole = j
            }
            j = (j + 1) & mask
        }
        entries[hole].owner = -1
    }

    private func grow() {
        let old = entries
        let size = mask + 1
        mask = size * 2 - 1
        entries = ForeignPaths.allocate(size * 2)
        for i in 0..<size where old[i].owner >= 0 {
            entries[index(of: old[i].path)] = old[i]
        }
        old.deallocate()
    }
}
