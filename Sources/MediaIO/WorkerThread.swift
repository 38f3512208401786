// A named system thread that runs one closure.
import CLinux
import Glibc

// @unchecked Sendable: the handle is set once before anybody else sees it; `join` is called once, by the one who
// stops the server.
final class WorkerThread: @unchecked Sendable {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private var raw: OpaquePointer?

    /// - Parameters:
    ///   - name: at most 15 bytes, as `top -H` and `perf` show it.
    ///   - cpu: −1 for any.
    init(name: String, cpu: Int32 = -1, _ run: @escaping @Sendable () -> Void) throws(MediaError) {
        let body = Unmanaged.passRetained(Body(run))
        raw = clinux_thread_start(
            name,
            cpu,
            { context in
                guard let context else { return }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
            },
            body.toOpaque()
        )
        guard raw != nil else {
            body.release()
            throw MediaError.system("thread \(name)", systemReason(-EAGAIN))
        }
    }

    func join() {
        clinux_thread_join(raw)
        raw = nil
    }
}
