// Preallocated slots that one `recvmmsg` fills. Their bytes stay valid until the next call with the same slots.
import CLinux
import Glibc

final class ReceiveBatch {
    let slots: Int
    let datagrams: UnsafeMutablePointer<clinux_datagram>
    fileprivate let raw: OpaquePointer

    init(slots: Int, slotBytes: Int) throws(MediaError) {
        guard let raw = clinux_receive_batch_new(UInt32(slots), UInt32(slotBytes)),
            let datagrams = clinux_receive_batch_datagrams(raw)
        else { throw MediaError.system("receive buffers", systemReason(-ENOMEM)) }
        self.raw = raw
        self.datagrams = datagrams
        self.slots = slots
    }

    deinit { clinux_receive_batch_free(raw) }
}

extension UDPSocket {
    /// Fills slots from `first` on; how many. Never blocks. Errors that a peer can cause (ECONNREFUSED) count as
    /// nothing received.
    @inline(__always)
    func receiveBatch(into batch: ReceiveBatch, from first: Int = 0) -> Int {
        guard first < batch.slots else { return 0 }
        let filled = clinux_receive(descriptor, batch.raw, UInt32(first), UInt32(batch.slots - first))
        return filled > 0 ? Int(filled) : 0
    }
}
