// The socket file that the media plane listens on: its mode, its one owner, and what a crash left behind. Must not know
// what is said on it.
import Glibc
import RTP

/// Why there is no socket; the text is for the operator.
public struct LinkSocketError: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}

/// A bound and listening Unix socket of mode 0600. A lock file beside it says who owns the path while that process
/// lives, so that of two that start at once one is refused, and a file that nobody owns any more is replaced.
struct ListeningSocket: Sendable {
    let path: String
    let descriptor: Int32
    private let lock: Int32

    private static let backlog: Int32 = 8

    init(path: String) throws(LinkSocketError) {
        try ListeningSocket.check(path)
        lock = try ListeningSocket.own(path)
        do throws(LinkSocketError) {
            try ListeningSocket.removeStale(path)
            descriptor = try ListeningSocket.listen(path)
        } catch {
            Glibc.close(lock)
            throw error
        }
        self.path = path
    }

    /// Removes the file and lets go of the path. The descriptor belongs to who took it.
    func release() {
        unlink(path)
        Glibc.close(lock)
    }

    static func check(_ path: String) throws(LinkSocketError) {
        guard !path.isEmpty else { throw LinkSocketError("the path of the link's socket is empty") }
        guard path.utf8.count <= Limits.Link.pathBytes, !path.utf8.contains(0) else {
            throw LinkSocketError(
                "the socket's path \"\(path)\" has \(path.utf8.count) bytes; at most \(Limits.Link.pathBytes) are possible"
            )
        }
    }

    // MARK: parts

    private static func own(_ path: String) throws(LinkSocketError) -> Int32 {
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else {
            throw LinkSocketError("cannot create \(path).lock: \(reason(errno))")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            Glibc.close(lock)
            throw code == EWOULDBLOCK
                ? inUse(path) : LinkSocketError("cannot lock \(path).lock: \(reason(code))")
        }
        return lock
    }

    private static func inUse(_ path: String) -> LinkSocketError {
        LinkSocketError("another media plane listens on \(path)")
    }

    /// A socket file that no process listens on is what a crash left; anything else stays.
    private static func removeStale(_ path: String) throws(LinkSocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            let code = errno
            guard code == ENOENT else { throw LinkSocketError("cannot look at \(path): \(reason(code))") }
            return
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw LinkSocketError("\(path) exists and is no socket; it is left alone")
        }
        let probe = try makeSocket()
        defer { Glibc.close(probe) }
        guard call(connect, probe, path) != 0 else { throw inUse(path) }
        let code = errno
        guard code == ECONNREFUSED || code == ENOENT else {
            throw LinkSocketError("cannot tell whether \(path) is in use: \(reason(code))")
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw LinkSocketError("cannot remove the stale socket \(path): \(reason(errno))")
        }
    }

    private static func listen(_ path: String) throws(LinkSocketError) -> Int32 {
        let descriptor = try makeSocket()
        // Linux gives the file the mode of the descriptor: there is no moment in which others may connect.
        guard fchmod(descriptor, 0o600) == 0, call(bind, descriptor, path) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw LinkSocketError("cannot make the socket \(path): \(reason(code))")
        }
        guard Glibc.listen(descriptor, backlog) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            unlink(path)
            throw LinkSocketError("cannot listen on \(path): \(reason(code))")
        }
        return descriptor
    }

    private static func makeSocket() throws(LinkSocketError) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LinkSocketError("cannot make a socket: \(reason(errno))") }
        return descriptor
    }

    private static func call(
        _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32,
        _ descriptor: Int32,
        _ path: String
    ) -> Int32 {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { place in
            place.copyBytes(from: path.utf8.prefix(place.count - 1))
        }
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func reason(_ code: Int32) -> String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text)
    }
}
