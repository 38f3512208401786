// Memory that will be needed soon, asked for ahead of time. Knows nothing of what is in it.
import COpenSSL

public enum Prefetch {
    /// Bytes of a line of the cache.
    public static let line = 64

    /// The first `bytes` from here on.
    @inline(__always)
    public static func memory(_ address: UnsafeRawPointer, bytes: Int) {
        var offset = 0
        while offset < bytes {
            sfu_prefetch(address + offset)
            offset += line
        }
    }
}
