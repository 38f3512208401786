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
                    name: name,
                    address: IPAddress(raw.address),
                    isLoopback: raw.is_loopback != 0,
                    isUp: raw.is_up != 0
                )
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

    struct Endpoint: Hashable {
        var address: String
        var port: UInt16
    }

    /// Where clients may try, best first.
    ///
    /// - Parameter listen: what the sockets are bound to, ports resolved.
    static func endpoints(
        listen: [SocketAddress],
        announced: [String],
        interfaces: [NetworkInterface]
    ) -> [Endpoint] {
        var result: [Endpoint] = []
        func add(_ address: String, _ port: UInt16) {
            let endpoint = Endpoint(address: address, port: port)
            if !result.contains(endpoint) && result.count < Limits.MediaIO.candidateAddresses {
                result.append(endpoint)
            }
        }
        if let first = listen.first, !announced.isEmpty {
            for address in announced { add(address, first.port) }
            return result
        }
        for socket in listen {
            guard socket.address.isUnspecified else {
                add(socket.address.text, socket.port)
                continue
            }
            let family = interfaces.filter {
                $0.isUp && $0.address.isIPv6 == socket.address.isIPv6 && !$0.address.isLinkLocal
            }
            let outside = family.filter { !$0.isLoopback && !$0.address.isLoopback }
            let real = outside.filter { !$0.isVirtual }
            for interface in real.isEmpty ? outside : real { add(interface.address.text, socket.port) }
        }
        // A machine without any network still serves itself.
        if result.isEmpty {
            for socket in listen where socket.address.isUnspecified {
                add(socket.address.isIPv6 ? "::1" : "127.0.0.1", socket.port)
            }
        }
        return result
    }

    /// UDP before TCP, in the order of the addresses.
    static func candidates(at endpoints: [Endpoint], withTCP: Bool) -> [Candidate] {
        var result: [Candidate] = []
        for (index, endpoint) in endpoints.enumerated() {
            result.append(
                Candidate(
                    network: .udp,
                    address: endpoint.address,
                    port: endpoint.port,
                    priority: priority(localPreference: 65_535 - index),
                    foundation: "\(2 * index + 1)"
                )
            )
        }
        guard withTCP else { return result }
        for (index, endpoint) in endpoints.enumerated() {
            // RFC 6544 §4.2: direction preference 4 for passive host candidates, in the upper 3 bits.
            result.append(
                Candidate(
                    network: .tcp,
                    address: endpoint.address,
                    port: endpoint.port,
                    priority: priority(localPreference: 4 << 13 | (8191 - index)),
                    foundation: "\(2 * index + 2)"
                )
            )
        }
        return result
    }
}
