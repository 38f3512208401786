// Time that the machine's CPUs have spent in soft interrupts, where the kernel does what nobody's process is charged with
// (proc(5), /proc/stat). Must not know processes.
import Glibc

struct MachineUsage {
    /// Nanoseconds, all CPUs together.
    var softirq: Int64

    static func read() -> MachineUsage? { MachineUsage(stat: SocketDrops.contents(of: "/proc/stat")) }

    init?(stat: String) {
        // cpu user nice system idle iowait irq softirq …
        guard let line = stat.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") }) else {
            return nil
        }
        let fields = line.split(separator: " ")
        guard fields.count > 7, let ticks = Int64(fields[7]) else { return nil }
        softirq = ticks * (1_000_000_000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK)))))
    }
}
