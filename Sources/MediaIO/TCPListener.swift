// One listening socket for ICE-TCP (RFC 6544); what it accepts goes to the worker's StreamTable.
import CLinux
import PeerTransport
import RTP

final class TCPListener {
    let descriptor: Int32
    let bound: SocketAddress

    init(binding address: SocketAddress, sharesPort: Bool) throws(MediaError) {
        var raw = address.raw
        descriptor = clinux_tcp_listen(&raw, sharesPort ? 1 : 0, Int32(Limits.MediaIO.listenBacklog))
        guard descriptor >= 0 else {
            throw MediaError.bind(network: "TCP", address: address.text, reason: systemReason(descriptor))
        }
        _ = clinux_socket_name(descriptor, &raw)
        bound = SocketAddress(raw)
    }

    deinit { clinux_close(descriptor) }
}
