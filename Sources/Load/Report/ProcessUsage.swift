// What Linux says a process has used (proc(5)): CPU by thread, and memory. Must not know what the process does.
import Foundation
import Glibc

struct ProcessUsage {
    struct Thread {
        var name: String
        /// On a CPU, nanoseconds; from the scheduler where it tells, else from clock ticks.
        var cpu: Int64
        /// Clock ticks as nanoseconds: coarse, but split.
        var user: Int64
        var system: Int64
    }

    var threads: [Int: Thread]
    /// Bytes.
    var resident: Int64

    /// Prefix of the names of the server's media threads.
    static let mediaThreads = "sfu-media-"

    /// nil: there is no such process, or it is not ours to look at.
    init?(of pid: Int) {
        let folder = "/proc/\(pid)"
        guard let tasks = try? FileManager.default.contentsOfDirectory(atPath: folder + "/task"),
            let memory = Self.read(folder + "/statm")?.split(separator: " "), memory.count > 1,
            let pages = Int64(memory[1])
        else { return nil }
        resident = pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
        threads = [:]
        for task in tasks {
            guard let id = Int(task), let stat = Self.read("\(folder)/task/\(task)/stat"),
                let thread = Thread(stat: stat, schedule: Self.read("\(folder)/task/\(task)/schedstat"))
            else { continue }
            threads[id] = thread
        }
    }

    /// What was used since `earlier` by the threads whose names begin with `prefix`, nanoseconds.
    func since(_ earlier: ProcessUsage, threads prefix: String = "") -> (
        cpu: Int64, user: Int64, system: Int64
    ) {
        var sum: (cpu: Int64, user: Int64, system: Int64) = (0, 0, 0)
        for (id, thread) in threads where thread.name.hasPrefix(prefix) {
            let before = earlier.threads[id]
            sum.cpu += thread.cpu - (before?.cpu ?? 0)
            sum.user += thread.user - (before?.user ?? 0)
            sum.system += thread.system - (before?.system ?? 0)
        }
        return sum
    }

    private static func read(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}

extension ProcessUsage.Thread {
    /// `stat` of a thread, and its `schedstat` where the kernel has one.
    init?(stat: String, schedule: String?) {
        guard let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")"), open < close else {
            return nil
        }
        name = String(stat[stat.index(after: open)..<close])
        // Fields 14 and 15; the first one behind the name is the third.
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else {
            return nil
        }
        let tick = 1_000_000_000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        self.user = user * tick
        self.system = system * tick
        cpu = schedule?.split(separator: " ").first.flatMap { Int64($0) } ?? (user + system) * tick
    }
}
