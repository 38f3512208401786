// What is read from /metrics and /proc/net/udp.
import CLinux
import Testing

@testable import Load

@Suite struct ServerCountersTests {
    private func page(_ received: Int, _ decrypted: Int, _ quiet: Int, worker: Int = 0) -> String {
        """
        # TYPE sfu_rtp_received_total counter
        sfu_datagrams_received_total{worker="\(worker)"} \(received)
        sfu_datagrams_handed_over_total{worker="\(worker)"} 10
        sfu_rtp_received_total{worker="\(worker)"} \(decrypted)
        sfu_rtp_queued_total{worker="\(worker)"} \(decrypted)
        sfu_packets_forwarded_total{worker="\(worker)"} \(decrypted * 100)
        sfu_media_dropped_total{worker="\(worker)",reason="muted"} 77
        sfu_media_dropped_total{worker="\(worker)",reason="notLoudest"} \(quiet)
        sfu_rooms 1

        """
    }

    @Test func readsWorkersApart() {
        let workers = ServerCounters.parse(page(100, 20, 80) + page(5, 1, 4, worker: 1))
        #expect(workers.count == 2)
        #expect(
            workers["0"]
                == ServerCounters(
                    received: 100,
                    handedOver: 10,
                    decrypted: 20,
                    queued: 20,
                    forwarded: 2000,
                    notLoudest: 80
                )
        )
        #expect(
            ServerCounters.parse("sfu_broken{worker=\"0\" 1\nsfu_rtp_received_total{worker=\"0\"} x").isEmpty
        )
    }

    /// A worker reports once a second; what is scraped in between is old.
    @Test func ratesGoFromChangeToChange() {
        var window = CounterWindow()
        #expect(window.rates == nil)
        for place in 0...40 {
            let reports = (place + 3) / 4
            window.add(
                ServerCounters.parse(page(1000 * reports, 200 * reports, 800 * reports)),
                at: Int64(place) * 250_000_000
            )
        }
        let rates = window.rates
        #expect(rates?.received == 1000)
        #expect(rates?.forwarded == 20_000)
        #expect(window.undecrypted.packets * 5 == window.undecrypted.of * 4)
    }

    @Test func readsDropsByPort() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
             1: 0100007F:45DA 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 12
             2: 0100007F:45DA 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 3
             3: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 0
            """
        #expect(SocketDrops.parse(table) == [0x45da: 15, 53: 0])
        #expect(SocketDrops.parse("") == [:])
    }

    /// Sockets beyond the kernel's first page of the table are seen, too.
    @Test func readsTheWholeTable() {
        var ports: Set<UInt16> = []
        var sockets: [Int32] = []
        defer { for socket in sockets { clinux_close(socket) } }
        var local = clinux_address(numeric: "127.0.0.1", port: 0) ?? clinux_address()
        for _ in 0..<200 {
            let socket = clinux_udp_open(&local, 0)
            var name = clinux_address()
            guard socket >= 0, clinux_socket_name(socket, &name) == 0 else { continue }
            sockets.append(socket)
            ports.insert(name.port)
        }
        #expect(ports.count == 200)
        #expect(ports.isSubset(of: SocketDrops.read().keys))
    }
}
