// Opens the same ports for every worker: UDP and TCP on one number, shared by SO_REUSEPORT, but never with another
// process.
import CLinux
import Glibc
import PeerTransport
import RTP

struct PortPlan {
    /// What the sockets are bound to, ports resolved.
    let addresses: [SocketAddress]

    /// Finds out which listen addresses can be had, and a free port where 0 is asked for.
    init(configuration: MediaConfiguration) throws(MediaError) {
        guard !configuration.listen.isEmpty else { throw MediaError.noListenAddress }
        var addresses: [SocketAddress] = []
        var freePort: UInt16 = 0
        for listen in configuration.listen {
            var address = SocketAddress(
                address: listen.address,
                port: listen.port,
                scope: UInt32(listen.scope)
            )
            if address.port == 0 { address.port = freePort }
            let probe = PortPlan.probe(address, isStream: false)
            if case .failure(let error) = probe, !listen.isRequired,
                error == EAFNOSUPPORT || error == EADDRNOTAVAIL
            {
                continue
            }
            switch probe {
            case .failure(let error):
                throw MediaError.bind(network: "UDP", address: address.text, reason: systemReason(-error))
            case .success(let port):
                if listen.port == 0 {
                    address.port = port
                    freePort = port
                }
            }
            if configuration.acceptsTCP, case .failure(let error) = PortPlan.probe(address, isStream: true) {
                throw MediaError.bind(network: "TCP", address: address.text, reason: systemReason(-error))
            }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw MediaError.noListenAddress }
        self.addresses = addresses
    }

    private enum Probe {
        case success(UInt16)
        case failure(Int32)
    }

    /// Binds without SO_REUSEPORT for a moment: with it, a second server of the same user would get half of the
    /// first one's datagrams, and neither would notice.
    private static func probe(_ address: SocketAddress, isStream: Bool) -> Probe {
        var raw = address.raw
        let descriptor = clinux_probe_port(&raw, isStream ? 1 : 0)
        guard descriptor >= 0 else { return .failure(-descriptor) }
        defer { clinux_close(descriptor) }
        let named = clinux_socket_name(descriptor, &raw)
        return named == 0 ? .success(raw.port) : .failure(-named)
    }

    func openSockets(_ options: UDPSocket.Options, tally: IOTally) throws(MediaError) -> [UDPSocket] {
        var sockets: [UDPSocket] = []
        for address in addresses {
            sockets.append(try UDPSocket(binding: address, options: options, tally: tally))
        }
        return sockets
    }

    func openListeners(sharesPort: Bool) throws(MediaError) -> [TCPListener] {
        var listeners: [TCPListener] = []
        for address in addresses {
            listeners.append(try TCPListener(binding: address, sharesPort: sharesPort))
        }
        return listeners
    }
}
