import PeerTransport
import RTP
import Testing

@Suite struct STUNWriterTests {
    private let transaction = TransportFixture.bytes(hex: "b7e7a701bc34d686fa87dfae")
    private let key = Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)

    private func write(
        _ kind: STUNWriter.Kind,
        capacity: Int = 256,
        _ body: (inout STUNWriter) -> Void
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 256) { buffer, count in
            transaction.withUnsafeBufferPointer { transaction in
                guard let base = buffer.baseAddress, let id = transaction.baseAddress else { return }
                // What was there before must not shine through the padding.
                base.initialize(repeating: 0xee, count: 256)
                var writer = STUNWriter(base, capacity: capacity, kind: kind, transaction: id)
                body(&writer)
                count = writer.length
            }
        }
    }

    /// RFC 5769 §2.2 and §2.3 with zero padding; the vectors pad with spaces, which HMAC and CRC cover, so the
    /// bytes before them are compared and the rest is judged by the parser.
    @Test func writesResponsesThatParse() throws {
        let integrity = try #require(STUNIntegrity())
        let addresses = [
            (IPAddress(v4: 0xc000_0201), 64, "002000080001a147e112a643"),
            (
                IPAddress(v6High: 0x2001_0db8_1234_5678, low: 0x0011_2233_4455_6677), 76,
                "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
            ),
        ]
        for (address, size, attribute) in addresses {
            let bytes = write(.bindingSuccess) {
                $0.addXORMappedAddress(address, port: 32853)
                $0.seal(key: key, integrity: integrity)
                $0.addFingerprint()
            }
            #expect(bytes.count == size)
            let expected = TransportFixture.bytes(hex: attribute)
            #expect(Array(bytes[20..<(20 + expected.count)]) == expected)
            let isRight = bytes.withUnsafeBufferPointer { buffer -> Bool in
                guard let base = buffer.baseAddress, let message = STUNMessage(base, length: buffer.count)
                else { return false }
                return message.kind == .success && message.isAuthentic(key: key, integrity: integrity)
                    && message.xorMappedAddress?.address == address && message.xorMappedAddress?.port == 32853
            }
            #expect(isRight)
        }
    }

    /// The request of RFC 5769 §2.1, attribute by attribute, without its space-padded USERNAME.
    @Test func writesTheVectorsAttributes() {
        let bytes = write(.bindingRequest) {
            $0.add(STUN.Attribute.priority, 0x6e00_01ff as UInt32)
            $0.add(STUN.Attribute.iceControlled, 0x932f_f9b1_5126_3b36 as UInt64)
        }
        let expected = "000100142112a442b7e7a701bc34d686fa87dfae002400046e0001ff80290008932ff9b151263b36"
        #expect(bytes == TransportFixture.bytes(hex: expected))
    }

    @Test func padsWithZeros() {
        for count in 1...5 {
            let value = [UInt8](repeating: 0x41, count: count)
            let bytes = write(.bindingIndication) { writer in
                value.withUnsafeBufferPointer { writer.add(STUN.Attribute.software, $0) }
            }
            #expect(bytes.count == 20 + 4 + (count + 3) / 4 * 4)
            #expect(bytes[24...].prefix(count).allSatisfy { $0 == 0x41 })
            #expect(bytes[(24 + count)...].allSatisfy { $0 == 0 })
        }
    }

    @Test func writesErrors() {
        let bytes = write(.bindingFailure) { $0.addErrorCode(.roleConflict) }
        #expect(Array(bytes.suffix(8)) == [0, 9, 0, 4, 0, 0, 4, 87])
        let isRead = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap {
                STUNMessage($0, length: buffer.count, requiresFingerprint: false)
            }.map { $0.kind == .failure && $0.errorCode == 487 }
        }
        #expect(isRead == true)
    }

    @Test func writesNothingThatDoesNotFit() throws {
        let integrity = try #require(STUNIntegrity())
        for capacity in 0..<64 {
            let bytes = write(.bindingSuccess, capacity: capacity) {
                $0.addXORMappedAddress(IPAddress(v4: 1), port: 1)
                $0.seal(key: key, integrity: integrity)
                $0.addFingerprint()
            }
            #expect(bytes.isEmpty, "capacity \(capacity)")
        }
    }
}
