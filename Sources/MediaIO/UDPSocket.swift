// One bound UDP socket, and what the kernel grants it.
import CLinux
import RTP

/// What a worker's sockets count while the shard is busy; handed to the shard after each loop.
final class IOTally {
    var counters = IOCounters()
    var socketFull = 0
    var socketError = 0
    var tcpBacklog = 0
    var handOverFull = 0
    var handOverUnknown = 0
    var malformed = 0
}

/// Not thread-safe: belongs to one worker.
final class UDPSocket {
    struct Options {
        var sharesPort = false
        var usesSegmentation = true
        var mergesReceives = true
        var receiveBufferBytes = Limits.MediaIO.receiveBufferBytes
        var sendBufferBytes = Limits.MediaIO.sendBufferBytes
    }

    let descriptor: Int32
    let bound: SocketAddress
    /// Bound to every address: answers must name their source.
    let isWildcard: Bool
    /// What the kernel granted, as it counts (twice the bytes asked for).
    let grantedReceiveBuffer: Int
    let grantedSendBuffer: Int

    /// What it sends next.
    let outgoing: UnsafeMutablePointer<SendBatch>

    init(
        binding address: SocketAddress,
        options: Options,
        tally: IOTally,
        transmit: @escaping SendBatch.Transmit = clinux_send
    ) throws(MediaError) {
        let isWildcard = address.address.isUnspecified
        self.isWildcard = isWildcard
        var flags = Int32(CLINUX_UDP_TIMESTAMP)
        if options.sharesPort { flags |= Int32(CLINUX_UDP_REUSEPORT) }
        if options.mergesReceives { flags |= Int32(CLINUX_UDP_GRO) }
        if isWildcard { flags |= Int32(CLINUX_UDP_PKTINFO) }
        var raw = address.raw
        descriptor = clinux_udp_open(&raw, flags)
        guard descriptor >= 0 else {
            throw MediaError.bind(network: "UDP", address: address.text, reason: systemReason(descriptor))
        }
        let named = clinux_socket_name(descriptor, &raw)
        bound = SocketAddress(raw)
        grantedReceiveBuffer = Int(
            clinux_receive_buffer(descriptor, Int32(clamping: options.receiveBufferBytes))
        )
        grantedSendBuffer = Int(clinux_send_buffer(descriptor, Int32(clamping: options.sendBufferBytes)))
        guard named == 0 else {
            clinux_close(descriptor)
            throw MediaError.system("UDP socket", systemReason(named))
        }
        let batch: SendBatch
        do {
            batch = try SendBatch(
                descriptor: descriptor,
                isWildcard: isWildcard,
                kernelSegments: options.usesSegmentation && clinux_udp_segment_supported(descriptor) == 1,
                tally: tally,
                transmit: transmit
            )
        } catch {
            clinux_close(descriptor)
            throw error
        }
        outgoing = .allocate(capacity: 1)
        outgoing.initialize(to: batch)
    }

    deinit {
        outgoing.deinitialize(count: 1)
        outgoing.deallocate()
        clinux_close(descriptor)
    }
}
