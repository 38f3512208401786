// A named system thread that runs one closure, and the priority of such threads.
import CLinux
import Glibc
import RTP

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

/// What the calling thread has while it starts workers: a thread begins with the nice value of who starts it.
struct WorkerPriority {
    /// The calling thread's afterwards.
    private let own: Int32

    /// With the privilege (root, CAP_SYS_NICE) the workers get a value below 0: there libdispatch gives its threads 0 and
    /// less whenever it starts one. Without it, all other threads step back, and can never come forward again.
    static func take() -> WorkerPriority {
        let ahead = Int32(Limits.MediaIO.workersAhead)
        let before = clinux_nice()
        if clinux_set_nice(-ahead) == 0 { return WorkerPriority(own: before) }
        let behind = min(before + ahead, 19)
        _ = clinux_step_back_others(behind)
        return WorkerPriority(own: behind)
    }

    func giveBack() { _ = clinux_set_nice(own) }
}
