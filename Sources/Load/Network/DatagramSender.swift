// One datagram out. A full socket buffer loses it, as the network would.
import CLinux
import Glibc

enum DatagramSender {
    static func send(_ bytes: UnsafePointer<UInt8>, count: Int, from socket: Int32, to remote: clinux_address)
    {
        _ = remote.withSocketAddress { name, length in
            sendto(socket, bytes, count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), name, length)
        }
    }
}
