// What disturbs a measurement and no process is charged with (proc(5), /proc/stat): soft interrupts, and the time that a
// hypervisor gave to others. Must not know processes.
import Glibc

struct MachineUsage {
    /// Nanoseconds in soft interrupts, all CPUs together.
    var softirq: Int64
    /// Nanoseconds in which a CPU had something to do and was not there.
    var stolen: Int64

    static func read() -> MachineUsage? { MachineUsage(stat: SocketDrops.contents(of: "/proc/stat")) }

    init?(stat: String) {
        // cpu user nice system idle iowait irq softirq steal …
        guard let line = stat.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") }) else {
            return nil
        }
        let fields = line.split(separator: " ")
        guard fields.count > 8, let softirq = Int64(fields[7]), let stolen = Int64(fields[8]) else {
            return nil
        }
        let tick = 1_000_000_000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        self.softirq = softirq * tick
        self.stolen = stolen * tick
    }
}

extension MachineUsage {
    /// Of one core, per cent of `nanoseconds`; nil where either was not to be read.
    static func percent(
        _ what: KeyPath<MachineUsage, Int64>,
        from before: MachineUsage?,
        to after: MachineUsage?,
        in nanoseconds: Int64
    ) -> Double? {
        guard let before, let after else { return nil }
        return Double(after[keyPath: what] - before[keyPath: what]) / Double(max(1, nanoseconds)) * 100
    }
}
