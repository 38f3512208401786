// How many requests an address may send. Must not know what they are.
import RTP
import Synchronization

/// A token bucket per address. Bounded: the fullest buckets are forgotten first, which costs nobody anything.
final class RateLimiter: Sendable {
    private struct Bucket {
        /// Millionths of a request.
        var level: Int64
        var updatedAt: Instant
    }

    private let perSecond: Int64
    private let burst: Int64
    private let capacity: Int
    private let buckets = Mutex<[String: Bucket]>([:])

    /// - Parameter perSecond: 0 allows everything.
    init(perSecond: Int, burst: Int, capacity: Int = Limits.HTTP.rateAddresses) {
        self.perSecond = Int64(perSecond)
        self.burst = Int64(max(burst, 1)) * 1_000_000
        self.capacity = capacity
    }

    func allows(_ address: String, at now: Instant) -> Bool {
        guard perSecond > 0 else { return true }
        return buckets.withLock { buckets in
            var bucket = buckets[address] ?? Bucket(level: burst, updatedAt: now)
            bucket.level = refilled(bucket, at: now)
            bucket.updatedAt = now
            let allowed = bucket.level >= 1_000_000
            if allowed { bucket.level -= 1_000_000 }
            if buckets[address] == nil, buckets.count >= capacity { makeRoom(&buckets, at: now) }
            buckets[address] = bucket
            return allowed
        }
    }

    private func refilled(_ bucket: Bucket, at now: Instant) -> Int64 {
        let elapsed = max(0, min((now - bucket.updatedAt).microseconds, 3_600_000_000))
        return min(burst, bucket.level + elapsed * perSecond)
    }

    private func makeRoom(_ buckets: inout [String: Bucket], at now: Instant) {
        let full = buckets.filter { refilled($0.value, at: now) >= burst }
        for address in full.keys { buckets[address] = nil }
        if full.isEmpty, let fullest = buckets.max(by: { $0.value.level < $1.value.level })?.key {
            buckets[fullest] = nil
        }
    }
}
