// Network path → session number, looked up once per datagram. Open addressing in raw memory, linear probing,
// backward-shift deletion: no tombstones, no hashing of Swift's own.
import PeerTransport

struct PathTable: ~Copyable {
    private struct Entry {
        var path: NetworkPath
        /// −1: free.
        var session: Int32
    }

    private var entries: UnsafeMutablePointer<Entry>
    private var mask: Int
    private(set) var count = 0

    init(capacity: Int = 64) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        mask = size - 1
        entries = PathTable.allocate(size)
    }

    deinit { entries.deallocate() }

    private static func allocate(_ size: Int) -> UnsafeMutablePointer<Entry> {
        let memory = UnsafeMutablePointer<Entry>.allocate(capacity: size)
        memory.initialize(
            repeating: Entry(path: NetworkPath(remote: .unspecified, remotePort: 0), session: -1),
            count: size
        )
        return memory
    }

    @inline(__always)
    private static func hash(_ path: NetworkPath) -> Int {
        var h = path.remote.low &+ UInt64(path.remotePort) &* 0x9e37_79b9_7f4a_7c15
        h ^= path.remote.high &* 0xc2b2_ae3d_27d4_eb4f
        h ^= path.local.low &* 0x1656_67b1_9e37_79f9
        h ^= UInt64(truncatingIfNeeded: Int64(path.connection)) &* 0x27d4_eb2f_1656_67c5
        h ^= h >> 29
        h = h &* 0xbf58_476d_1ce4_e5b9
        return Int(truncatingIfNeeded: (h ^ (h >> 32)) & 0x7fff_ffff_ffff)
    }

    /// The session at this path, −1 where there is none.
    @inline(__always)
    func find(_ path: NetworkPath) -> Int32 {
        var i = PathTable.hash(path) & mask
        while entries[i].session >= 0 {
            if entries[i].path == path { return entries[i].session }
            i = (i + 1) & mask
        }
        return -1
    }

    /// Points the path at this session, whoever had it before.
    mutating func set(_ path: NetworkPath, to session: Int32) {
        if (count + 1) * 2 > mask { grow() }
        var i = PathTable.hash(path) & mask
        while entries[i].session >= 0 && entries[i].path != path { i = (i + 1) & mask }
        if entries[i].session < 0 { count += 1 }
        entries[i] = Entry(path: path, session: session)
    }

    /// Forgets the path if it still belongs to this session.
    mutating func remove(_ path: NetworkPath, of session: Int32) {
        var i = PathTable.hash(path) & mask
        while entries[i].session >= 0 && entries[i].path != path { i = (i + 1) & mask }
        guard entries[i].session == session else { return }
        count -= 1
        var hole = i
        var j = (i + 1) & mask
        while entries[j].session >= 0 {
            let home = PathTable.hash(entries[j].path) & mask
            if ((j &- home) & mask) >= ((j &- hole) & mask) {
                entries[hole] = entries[j]
                hole = j
            }
            j = (j + 1) & mask
        }
        entries[hole].session = -1
    }

    private mutating func grow() {
        let old = entries
        let oldSize = mask + 1
        mask = oldSize * 2 - 1
        entries = PathTable.allocate(oldSize * 2)
        for i in 0..<oldSize where old[i].session >= 0 {
            var j = PathTable.hash(old[i].path) & mask
            while entries[j].session >= 0 { j = (j + 1) & mask }
            entries[j] = old[i]
        }
        old.deallocate()
    }
}
