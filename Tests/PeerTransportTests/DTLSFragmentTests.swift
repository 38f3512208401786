// ClientHellos that need several datagrams, as browsers with post-quantum key shares send them.
import COpenSSL
import RTP
import Testing

@testable import PeerTransport

struct DTLSFragmentTests {
    /// The first flight of a client whose hello has 1200 bytes more, in datagrams of at most 352 bytes.
    private func makeLink() throws -> (link: DTLSLink, hello: [[UInt8]]) {
        let context = try DTLSFixture.context(linkMTU: 400)
        let added = SSL_CTX_add_custom_ext(
            context.handle,
            0xfe99,
            UInt32(SSL_EXT_CLIENT_HELLO),
            addLargeExtension,
            freeLargeExtension,
            nil,
            nil,
            nil
        )
        try #require(added == 1)
        let link = try DTLSFixture.link(client: context)
        link.isDropped = { [unowned link] toServer, _ in toServer && link.sentByServer.isEmpty }
        link.start()
        return (link, link.sentByClient)
    }

    @Test func helloNeedsSeveralDatagrams() throws {
        let (_, hello) = try makeLink()
        #expect(hello.count >= 4, "\(hello.map(\.count))")
    }

    @Test(arguments: 0..<24)
    func anyOrderWithDuplicates(seed: UInt64) throws {
        let (link, hello) = try makeLink()
        var random = SRTPTestRandom(state: seed)
        var order = Array(hello.indices)
        if seed == 0 { order.reverse() } else { order.shuffle(using: &random) }
        // Some twice, some of them before the last fragment has come.
        let twice = order.filter { _ in Bool.random(using: &random) }
        order.insert(contentsOf: twice, at: Int.random(in: 0...order.count, using: &random))
        for i in order { link.deliver(hello[i], toServer: true) }
        link.run()
        #expect(link.isConnected && link.keysAgree, "seed \(seed), order \(order)")
    }

    @Test func missingFragmentWaitsForTheRepetition() throws {
        let (link, hello) = try makeLink()
        for fragment in hello.dropFirst() { link.deliver(fragment, toServer: true) }
        #expect(link.sentByServer.isEmpty)
        link.isDropped = { _, _ in false }
        link.run()
        #expect(link.isConnected && link.keysAgree)
    }

    /// Two versions of one byte cannot both be right: no crash, and no connection on mixed bytes.
    @Test func damagedFragmentNeverConnectsWithOtherKeys() throws {
        let (link, hello) = try makeLink()
        for (i, fragment) in hello.enumerated() {
            var bytes = fragment
            if i == 2 { bytes[40] ^= 0xff }
            link.deliver(bytes, toServer: true)
        }
        link.run()
        #expect(!link.isConnected || link.keysAgree)
    }
}

private func addLargeExtension(
    _ ssl: OpaquePointer?,
    _ type: UInt32,
    _ context: UInt32,
    _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ length: UnsafeMutablePointer<Int>?,
    _ x509: OpaquePointer?,
    _ chain: Int,
    _ alert: UnsafeMutablePointer<Int32>?,
    _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 1200)
    for i in 0..<1200 { bytes[i] = UInt8(truncatingIfNeeded: i &* 7) }
    out?.pointee = UnsafePointer(bytes)
    length?.pointee = 1200
    return 1
}

private func freeLargeExtension(
    _ ssl: OpaquePointer?,
    _ type: UInt32,
    _ context: UInt32,
    _ out: UnsafePointer<UInt8>?,
    _ argument: UnsafeMutableRawPointer?
) {
    out?.deallocate()
}
