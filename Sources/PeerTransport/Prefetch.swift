// Memory that will be needed soon, asked for ahead of time. Knows nothing of what is in it.
import COpenSSL

public enum Prefetch {
    /// Bytes of a line of the cache.
    @inlinable public static var line: Int { 64 }

    /// The first `bytes` from here on.
    @inlinable @inline(__always)
    public static func memory(_ address: UnsafeRawPointer, bytes: Int) {
        var offset = 0
        while offset < bytes {
            sfu_prefetch(address + offset)
            offset += line
        }
    }
}
