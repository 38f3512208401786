// Datagrams that the kernel threw away because a socket's buffer was full (/proc/net/udp), by local port. Must not know
// whose ports they are.
import Glibc

enum SocketDrops {
    static func read() -> [UInt16: Int64] {
        var drops: [UInt16: Int64] = [:]
        for file in ["/proc/net/udp", "/proc/net/udp6"] {
            drops.merge(parse(contents(of: file)), uniquingKeysWith: +)
        }
        return drops
    }

    /// The kernel gives a table of many sockets in pieces, and does not say how long it is.
    static func contents(of file: String) -> String {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1 << 16) { room in
            while true {
                let count = Glibc.read(descriptor, room.baseAddress, room.count)
                guard count > 0 else { return }
                bytes.append(contentsOf: room.prefix(Int(count)))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func parse(_ table: String) -> [UInt16: Int64] {
        var drops: [UInt16: Int64] = [:]
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ")
            guard fields.count > 12, let hex = fields[1].split(separator: ":").last,
                let port = UInt16(hex, radix: 16), let count = Int64(fields[12])
            else { continue }
            drops[port, default: 0] += count
        }
        return drops
    }
}
