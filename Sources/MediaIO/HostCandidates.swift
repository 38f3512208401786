// Which addresses a client may reach us by, as host candidates (RFC 8445 §5.1.1.1, RFC 6544 §4.5).
import CLinux
import PeerTransport
import RTP

struct NetworkInterface: Equatable {
    var name: String
    var address: IPAddress
    var isLoopback: Bool
    var isUp: Bool

    /// What the system has now.
    static func all() -> [NetworkInterface] {
        let capacity = 256
        return withUnsafeTemporaryAllocation(of: clinux_interface.self, capacity: capacity) { buffer in
            guard let base = buffer.baseAddress else { return [] }
            let count = max(0, Int(clinux_interfaces(base, Int32(capacity))))
            return (0..<count).map { index in
                var raw = base[index]
                let name = withUnsafePointer(to: &raw.name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 16) { String(cString: $0) }
                }
                return NetworkInterface(
                    name: name, address: IPAddress(raw.address), isLoopback: raw.is_loopback != 0,
                    isUp: raw.is_up != 0)
            }
        }
    }

    /// Bridges and pairs of containers and virtual machines: nobody outside reaches us there.
    var isVirtual: Bool {
        ["docker", "veth", "virbr", "br-", "cni", "flannel", "cali", "podman", "lxc", "lxdbr"]
            .contains { name.hasPrefix($0) }
    }
}

enum HostCandidates {
    /// RFC 8445 §5.1.2.1 with type preference 126 and component 1.
    static func priority(localPreference: Int) -> UInt32 {
        126 << 24 | UInt32(truncatingIfNeeded: max(0, min(localPreference, 65_535))) << 8 | 255
    }

    /// The addresses to offer, best first.
    ///
    /// - Parameter listen: what the sockets are bound to.
    static func addresses(
        listen: [IPAddress], announced: [String], interfaces: [NetworkInterface]
    ) -> [String] {
        var result: [String] = []
        func add(_ text: String) {
            if !result.contains(text) && result.count < Limits.MediaIO.candidateAddresses { result.append(text) }
        }
        if !announced.isEmpty {
            announced.forEach(add)
            return result
        }
        for address in listen {
            guard address.isUnspecified else {
                add(address.text)
                continue
            }
            let family = interfaces.filter {
                $0.isUp && $0.address.isIPv6 == address.isIPv6 && !$0.address.isLinkLocal
            }
            let outside = family.filter { !$0.isLoopback && !$0.address.isLoopback }
            let real = outside.filter { !$0.isVirtual }
            for interface in real.isEmpty ? outside : real { add(interface.address.text) }
        }
        // A machine without any network still serves itself.
        if result.isEmpty {
            for address in listen where address.isUnspecified { add(address.isIPv6 ? "::1" : "127.0.0.1") }
        }
        return result
    }

    /// UDP before TCP, in the order of the addresses.
    static func candidates(addresses: [String], port: UInt16, withTCP: Bool) -> [Candidate] {
        var result: [Candidate] = []
        for (index, address) in addresses.enumerated() {
            result.append(
                Candidate(
                    network: .udp, address: address, port: port,
                    priority: priority(localPreference: 65_535 - index), foundation: "\(2 * index + 1)"))
        }
        guard withTCP else { return result }
        for (index, address) in addresses.enumerated() {
            // RFC 6544 §4.2: direction preference 4 for passive host candidates, in the upper 3 bits.
            result.append(
                Candidate(
                    network: .tcp, address: address, port: port,
                    priority: priority(localPreference: 4 << 13 | (8191 - index)),
                    foundation: "\(2 * index + 2)"))
        }
        return result
    }
}
