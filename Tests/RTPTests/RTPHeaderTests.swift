import RTP
import Testing

@Suite struct RTPHeaderTests {
    private let full = hex(
        "b2e0 1234 01020304 aabbccdd 00000001 00000002 bede0001 10aa0000 f00df00d 00000004"
    )

    private func parse(_ bytes: [UInt8]) -> RTPHeader? {
        withBytes(bytes) { RTPHeader(parsing: $0, length: $1) }
    }

    @Test func readsEveryField() throws {
        let header = try #require(parse(full))
        #expect(header.marker)
        #expect(header.payloadType == 0x60)
        #expect(header.sequenceNumber == 0x1234)
        #expect(header.timestamp == 0x0102_0304)
        #expect(header.ssrc == 0xAABB_CCDD)
        #expect(header.csrcCount == 2)
        #expect(header.hasExtension)
        #expect(header.hasPadding)
        #expect(header.extensionProfile == 0xBEDE)
        #expect(header.extensionOffset == 24)
        #expect(header.extensionLength == 4)
        #expect(header.headerLength == 28)
        #expect(header.hasOneByteExtensions && !header.hasTwoByteExtensions)
    }

    @Test func plainHeaderHasNoExtension() throws {
        let header = try #require(parse(hex("800f1234decafbadcafebabe")))
        #expect(header.headerLength == 12)
        #expect(header.extensionProfile == 0)
        #expect(header.extensionLength == 0)
        #expect(!header.marker && !header.hasPadding && !header.hasExtension)
        #expect(header.payloadType == 15)
    }

    @Test func everyCutInsideTheHeaderIsRefused() {
        for length in 0..<28 { #expect(parse(Array(full.prefix(length))) == nil, "\(length)") }
        for length in 28...full.count { #expect(parse(Array(full.prefix(length))) != nil, "\(length)") }
    }

    @Test(arguments: [UInt8(0x00), 0x40, 0xC0]) func otherVersionsAreRefused(first: UInt8) {
        var bytes = full
        bytes[0] = first | (bytes[0] & 0x3F)
        #expect(parse(bytes) == nil)
    }

    @Test func extensionLongerThanThePacketIsRefused() {
        var bytes = full
        bytes[23] = 4
        #expect(parse(bytes) == nil)
    }

    @Test func twoByteProfileIgnoresAppbits() throws {
        var bytes = full
        bytes[20] = 0x10
        bytes[21] = 0x0B
        let header = try #require(parse(bytes))
        #expect(header.hasTwoByteExtensions && !header.hasOneByteExtensions)
    }

    @Test func paddingIsCountedInsideThePayload() throws {
        let header = try #require(parse(full))
        func padding(_ last: UInt8, _ length: Int) -> Int? {
            var bytes = Array(full.prefix(length))
            bytes[length - 1] = last
            return withBytes(bytes) { header.paddingLength(in: $0, length: $1) }
        }
        #expect(padding(4, 36) == 4)
        #expect(padding(8, 36) == 8)
        #expect(padding(9, 36) == nil)
        #expect(padding(0, 36) == nil)
        #expect(padding(0, 28) == nil)
        let plain = try #require(parse(hex("800f1234decafbadcafebabe")))
        #expect(withBytes(full) { plain.paddingLength(in: $0, length: $1) } == 0)
    }

    @Test func secondByteTellsRTCP() {
        for second in 0...255 {
            let bytes: [UInt8] = [0x80, UInt8(second)]
            #expect(
                withBytes(bytes) { RTPHeader.isRTCP($0, length: $1) } == (192...223).contains(second),
                "\(second)"
            )
        }
        #expect(!withBytes([0x80]) { RTPHeader.isRTCP($0, length: $1) })
    }

    @Test func writerAndParserAgree() throws {
        let bytes = written { p in
            RTPWriter.writeFixedHeader(
                to: p,
                marker: true,
                payloadType: 96,
                sequenceNumber: 65535,
                timestamp: 0xFFFF_FFFE,
                ssrc: 0x8000_0001
            )
            p[12] = 0x55
            return RTPWriter.appendPadding(p, length: 13, count: 7)
        }
        #expect(bytes == hex("a0e0ffff fffffffe 80000001 55 00000000000007"))
        let header = try #require(parse(bytes))
        #expect(header.marker && header.payloadType == 96 && header.sequenceNumber == 65535)
        #expect(withBytes(bytes) { header.paddingLength(in: $0, length: $1) } == 7)
    }

    @Test func noPaddingIsNoChange() {
        let bytes = written { p in
            RTPWriter.writeFixedHeader(
                to: p,
                marker: false,
                payloadType: 1,
                sequenceNumber: 2,
                timestamp: 3,
                ssrc: 4
            )
            return RTPWriter.appendPadding(p, length: 12, count: 0)
        }
        #expect(bytes == hex("80010002 00000003 00000004"))
    }

    @Test func randomBytesNeverLeaveThePacket() {
        fuzz(seed: 1, corpus: [full]) { p, count in
            guard let header = RTPHeader(parsing: p, length: count) else { return }
            #expect(header.headerLength <= count)
            #expect(header.extensionOffset + header.extensionLength <= count)
            if let padding = header.paddingLength(in: p, length: count) {
                #expect(header.headerLength + padding <= count)
            }
            let values = ExtensionValues.parse(p, header: header, map: HeaderExtensionMap(allExtensions))
            for range in [values.mid, values.rid, values.dependencyDescriptor, values.colorSpace] {
                #expect(Int(range.offset) + Int(range.length) <= header.headerLength)
            }
        }
    }
}

/// Every extension with ids from 1 on, in the order of their raw values.
let allExtensions = HeaderExtension.allCases.map { HeaderExtensionID($0, id: $0.rawValue + 1) }
