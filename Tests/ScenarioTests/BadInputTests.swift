import PeerTransport
import RTP
import SFU
import Seam
import Simulation
import Testing

/// Nothing that comes in may end the process, and all of it is counted out.
@Suite struct BadInputTests {
    private func noise(_ length: Int, _ random: inout SimulatedICEClient.Generator) -> [UInt8] {
        (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    @Test(arguments: UInt64(1)...4)
    func garbageFromStrangersAndPeersIsCounted(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try call.publisherAndViewer()
        publisher.keepsRaw = true
        call.run(for: .milliseconds(500))
        var random = SimulatedICEClient.Generator(seed: seed)
        let stranger = NetworkPath(remote: IPAddress(v4: 0x0c00_0001), remotePort: 9)
        for _ in 0..<1500 {
            var bytes = noise(Int.random(in: 0...200, using: &random), &random)
            if Bool.random(using: &random), let real = publisher.raw.randomElement(using: &random) {
                bytes = real
                for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                        in: 0...255,
                        using: &random
                    )
                }
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random) / 2)
            }
            _ = call.receive(
                bytes,
                from: [stranger, publisher.path, viewer.path].randomElement(using: &random) ?? stranger
            )
        }
        call.run(for: .seconds(1))
        call.checkAccounts()
        #expect(
            viewer.packets(on: 0).last.map { call.now - $0.at < .milliseconds(50) } == true,
            "seed \(seed)"
        )
        #expect(viewer.undecryptable == 0, "seed \(seed)")
    }

    @Test(arguments: UInt64(1)...6)
    func garbageUnderThePeersKeysIsCounted(seed: UInt64) throws {
        let call = try Call(seed: seed, shards: 1)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .milliseconds(500))
        var random = SimulatedICEClient.Generator(seed: seed)
        let known = [publisher.mic.ssrc(), publisher.camera.ssrc(0), publisher.camera.ssrc(2)]
        var index: UInt64 = 100
        for _ in 0..<1500 {
            index += 1
            // One's own SSRCs and those of the streams, whose numbers are at risk then.
            let ssrc =
                UInt32.random(in: 0..<4, using: &random) == 0
                ? known.randomElement(using: &random) ?? 1
                : UInt32.random(in: 1...40, using: &random)
            var header: [UInt8] = [
                0x80 | (Bool.random(using: &random) ? 0x20 : 0),
                [96, 97, 111, 0x80 | 96, 5].randomElement(using: &random) ?? 0,
                UInt8(truncatingIfNeeded: index >> 8), UInt8(truncatingIfNeeded: index),
            ]
            header += noise(4, &random) + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: ssrc >> $0) }
            var length = 12
            if Bool.random(using: &random) {
                header[0] |= 0x10
                let words = Int.random(in: 0...6, using: &random)
                header += [0xbe, 0xde, 0, UInt8(words)]
                // Elements that start like the negotiated ones.
                var body = noise(words * 4, &random)
                if words > 0 {
                    body.replaceSubrange(0..<3, with: [0x41, UInt8(ascii: "p"), UInt8(ascii: "1")])
                }
                header += body
                length = header.count
            }
            let packet = header + noise(Int.random(in: 0...60, using: &random), &random)
            publisher.send(protected: packet, headerLength: length, ssrc: ssrc, index: index, at: call.now)
            let compound = [
                0x80 | UInt8.random(in: 0...31, using: &random), UInt8.random(in: 192...223, using: &random),
            ]
            let rtcp = compound + noise(Int.random(in: 1...20, using: &random) * 4 + 2, &random)
            viewer.send(protectedRTCP: rtcp, at: call.now)
            publisher.send(protectedRTCP: rtcp, at: call.now)
            if index % 10 == 0 { call.run(for: .milliseconds(2)) }
        }
        call.run(for: .seconds(1))
        call.checkAccounts()
        #expect(call.isFraming)
        #expect(viewer.undecryptable == 0, "seed \(seed)")
        #expect(call.shard.sessionCount == 2, "seed \(seed)")
    }
}
