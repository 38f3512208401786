import RTP
import Testing

@Suite struct HeaderExtensionTests {
    private let map = HeaderExtensionMap(allExtensions)

    /// A packet with this extension block body.
    private func packet(_ profile: UInt16, _ body: [UInt8]) -> [UInt8] {
        var bytes = hex("9060000100000002 00000003")
        bytes += [UInt8(profile >> 8), UInt8(profile & 0xFF), 0, UInt8(body.count / 4)]
        return bytes + body + [0x77]
    }

    private func parse(
        _ profile: UInt16,
        _ body: [UInt8],
        map other: HeaderExtensionMap? = nil
    ) throws -> ExtensionValues {
        let bytes = packet(profile, body)
        let header = try #require(withBytes(bytes) { RTPHeader(parsing: $0, length: $1) })
        return withBytes(bytes) { p, _ in ExtensionValues.parse(p, header: header, map: other ?? map) }
    }

    private func text(_ range: ByteRange, _ profile: UInt16, _ body: [UInt8]) -> [UInt8] {
        Array(packet(profile, body)[Int(range.offset)..<Int(range.offset + range.length)])
    }

    @Test func namesAreTheRegisteredOnes() {
        #expect(Set(HeaderExtension.allCases.map(\.uri)).count == HeaderExtension.allCases.count)
        #expect(HeaderExtension.allCases.count <= 16, "`ExtensionValues.present` has 16 bits")
        #expect(
            HeaderExtension.allCases.map { Int($0.rawValue) } == Array(0..<HeaderExtension.allCases.count)
        )
        #expect(HeaderExtension.mid.uri == "urn:ietf:params:rtp-hdrext:sdes:mid")
        #expect(HeaderExtension.rid.uri == "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id")
        #expect(HeaderExtension.repairedRid.uri == "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id")
        #expect(HeaderExtension.audioLevel.uri == "urn:ietf:params:rtp-hdrext:ssrc-audio-level")
        #expect(HeaderExtension.videoOrientation.uri == "urn:3gpp:video-orientation")
        #expect(
            HeaderExtension.transportSequence.uri
                == "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        )
        for kind in [HeaderExtension.absoluteSendTime, .absoluteCaptureTime, .playoutDelay, .colorSpace] {
            #expect(kind.uri.hasPrefix("http://www.webrtc.org/experiments/rtp-hdrext/"))
        }
    }

    @Test func mapGoesBothWays() {
        let map = HeaderExtensionMap([
            HeaderExtensionID(.mid, id: 4), HeaderExtensionID(.dependencyDescriptor, id: 200),
            HeaderExtensionID(.audioLevel, id: 0), HeaderExtensionID(.rid, id: 4),
            HeaderExtensionID(.mid, id: 5), HeaderExtensionID(.playoutDelay, id: 15),
        ])
        #expect(map.id(of: .mid) == 4)
        #expect(map.id(of: .dependencyDescriptor) == 200)
        #expect(map.id(of: .audioLevel) == 0)
        #expect(map.id(of: .rid) == 0)
        #expect(map.kind(of: 4) == .mid)
        #expect(map.kind(of: 200) == .dependencyDescriptor)
        #expect(map.kind(of: 15) == .playoutDelay)
        for id: UInt8 in [0, 1, 5, 14, 16, 199, 201, 255] { #expect(map.kind(of: id) == nil, "\(id)") }
        #expect(map == map && map != HeaderExtensionMap())
    }

    @Test func oneByteFigureOfRFC8285() throws {
        // §4.2: three elements of 1, 2 and 4 bytes, two bytes of padding in between.
        let body = hex("0051 aa 61bbcc 00 00 73 01020304")
        let map = HeaderExtensionMap([
            HeaderExtensionID(.mid, id: 5), HeaderExtensionID(.rid, id: 6),
            HeaderExtensionID(.colorSpace, id: 7),
        ])
        let shifted = Array(body.dropFirst()) + [0]
        var fixed = shifted
        fixed[0] = 0x50
        let values = try parse(0xBEDE, fixed, map: map)
        #expect(!values.isMalformed)
        #expect(text(values.mid, 0xBEDE, fixed) == [0xAA])
        #expect(text(values.rid, 0xBEDE, fixed) == [0xBB, 0xCC])
        #expect(text(values.colorSpace, 0xBEDE, fixed) == [1, 2, 3, 4])
        #expect(values.has(.mid) && values.has(.rid) && values.has(.colorSpace) && !values.has(.repairedRid))
    }

    @Test func twoByteFigureOfRFC8285() throws {
        // §4.3: elements of 0, 1 and 4 bytes.
        let body = hex("0500 0601bb 00 0704 01020304 00")
        let map = HeaderExtensionMap([
            HeaderExtensionID(.mid, id: 5), HeaderExtensionID(.rid, id: 6),
            HeaderExtensionID(.colorSpace, id: 7),
        ])
        for profile: UInt16 in [0x1000, 0x100F] {
            let values = try parse(profile, body, map: map)
            #expect(!values.isMalformed)
            #expect(!values.has(.mid) && values.mid.isEmpty)
            #expect(text(values.rid, profile, body) == [0xBB])
            #expect(text(values.colorSpace, profile, body) == [1, 2, 3, 4])
        }
        #expect(try parse(0x1010, body, map: map).present == 0, "another profile is opaque")
    }

    @Test func readsEachValue() throws {
        // Two-byte form, ids 1–13 in the order of the cases.
        let body = hex(
            "0102 3132 0201 66 0303 717273 0402 1234 0503 abcdef 0610 0102030405060708 fffffffffffffff0"
                + "0701 9e 0801 02 0903 00000a 0a01 01 0b02 0505 0c03 c10172 0d01 00"
        )
        let padded = body + [UInt8](repeating: 0, count: -body.count & 3)
        let values = try parse(0x1000, padded)
        #expect(!values.isMalformed)
        #expect(values.present == 0x1FFF)
        #expect(text(values.mid, 0x1000, padded) == [0x31, 0x32])
        #expect(text(values.rid, 0x1000, padded) == [0x66])
        #expect(text(values.repairedRid, 0x1000, padded) == [0x71, 0x72, 0x73])
        #expect(values.transportSequenceIfPresent == 0x1234)
        #expect(values.absoluteSendTimeIfPresent == 0xABCDEF)
        #expect(values.absoluteCaptureTimeIfPresent == 0x0102_0304_0506_0708)
        #expect(values.hasCaptureClockOffset && values.captureClockOffset == -16)
        #expect(values.hasVoiceActivity && values.audioLevelIfPresent == 30)
        #expect(values.videoOrientation == 2)
        #expect(values.playoutDelayMinimum == 0 && values.playoutDelayMaximum == 10)
        #expect(values.videoContentType == 1)
        #expect(text(values.dependencyDescriptor, 0x1000, padded) == hex("c10172"))
        #expect(values.videoLayersAllocation.length == 1)
    }

    @Test func audioLevelVector() throws {
        let values = try parse(
            0xBEDE,
            hex("109e0000"),
            map: HeaderExtensionMap([HeaderExtensionID(.audioLevel, id: 1)])
        )
        #expect(values.hasVoiceActivity)
        #expect(values.audioLevel == 30)
        #expect(ExtensionValues().audioLevel == 127)
    }

    @Test func wrongLengthsAreSkippedNotBelieved() throws {
        // transport sequence of 3 bytes, send time of 2, capture time of 9; the mid behind them still counts.
        let body = hex("42 010203 51 0102 68 010203040506070809 1031 0000")
        let values = try parse(0xBEDE, body + [UInt8](repeating: 0, count: -body.count & 3))
        #expect(!values.isMalformed)
        #expect(values.present == 1 << HeaderExtension.mid.rawValue)
    }

    /// The id of an empty element is known, its value is not: what stood before it counts.
    @Test func emptyElementsTakeNothingBack() throws {
        let id = map.id(of: .mid)
        let body: [UInt8] = [id, 2, 0x61, 0x62, id, 0, 0, 0]
        let values = try parse(0x1000, body)
        #expect(values.has(.mid) && !values.isMalformed)
        #expect(text(values.mid, 0x1000, body) == [0x61, 0x62])
        let empty = try parse(0x1000, [id, 0, 0, 0])
        #expect(!empty.has(.mid) && empty.mid.isEmpty)
    }

    @Test func reservedIdsStopTheWalk() throws {
        let stopped = try parse(0xBEDE, hex("1031 f0 99 1032 0000"))
        #expect(stopped.mid.length == 1 && stopped.mid.offset == 17)
        let zero = try parse(0xBEDE, hex("1031 01 99 1032 0000"))
        #expect(zero.mid.offset == 17)
        #expect(!stopped.isMalformed && !zero.isMalformed)
    }

    @Test func elementsThatRunOverTheEndAreMalformed() throws {
        let long = try parse(0xBEDE, hex("1031 4f 00"))
        #expect(long.isMalformed && long.has(.mid) && !long.has(.transportSequence))
        let twoByte = try parse(0x1000, hex("0101 31 04"))
        #expect(twoByte.isMalformed && twoByte.has(.mid))
        let twoByteLong = try parse(0x1000, hex("0402 0102 0405 0102"))
        #expect(twoByteLong.isMalformed && twoByteLong.transportSequence == 0x0102)
    }

    @Test func theLastOfRepeatedElementsCounts() throws {
        let values = try parse(0xBEDE, hex("41 0001 41 0002 0000"))
        #expect(values.transportSequence == 2)
    }

    @Test(arguments: [ExtensionForm.oneByte, .twoByte]) func writerAndParserAgree(form: ExtensionForm) throws
    {
        let mid: [UInt8] = [0x76, 0x30]
        let bytes = written { p in
            RTPWriter.writeFixedHeader(
                to: p,
                marker: false,
                payloadType: 111,
                sequenceNumber: 1,
                timestamp: 2,
                ssrc: 3
            )
            var writer = ExtensionWriter(at: p + 12, capacity: 64, form: form)
            let results = [
                withBytes(mid) { value, count in writer.append(id: 1, value, count: count) },
                writer.append16(id: 4, 0xFFFE), writer.append24(id: 5, 0x12_3456),
                writer.append8(id: 7, 0x85),
            ]
            #expect(results == [true, true, true, true])
            let size = writer.finish()
            #expect(size & 3 == 0)
            RTPWriter.setExtensionBit(p)
            p[12 + size] = 0x99
            return 12 + size + 1
        }
        let header = try #require(withBytes(bytes) { RTPHeader(parsing: $0, length: $1) })
        #expect(header.headerLength == bytes.count - 1)
        let values = withBytes(bytes) { p, _ in ExtensionValues.parse(p, header: header, map: map) }
        #expect(!values.isMalformed)
        #expect(Array(bytes[Int(values.mid.offset)..<Int(values.mid.offset + values.mid.length)]) == mid)
        #expect(values.transportSequence == 0xFFFE)
        #expect(values.absoluteSendTime == 0x12_3456)
        #expect(values.audioLevel == 5 && values.hasVoiceActivity)
        #expect(values.present.nonzeroBitCount == 4)
    }

    @Test func oneByteBlockIsByteForByte() {
        let bytes = written { p in
            var writer = ExtensionWriter(at: p, capacity: 64, form: .oneByte)
            writer.append16(id: 3, 0x0102)
            writer.append8(id: 14, 0xFF)
            return writer.finish()
        }
        #expect(bytes == hex("bede0002 310102e0 ff000000"))
    }

    @Test func twoByteBlockIsByteForByte() {
        let bytes = written { p in
            var writer = ExtensionWriter(at: p, capacity: 64, form: .twoByte)
            if let place = writer.reserve(id: 200, count: 3) { ByteOrder.store24(0x010203, place, 0) }
            #expect(writer.length == 9)
            let empty = writer.reserve(id: 1, count: 0)
            #expect(empty != nil)
            return writer.finish()
        }
        #expect(bytes == hex("10000002 c8030102 03010000"))
    }

    @Test func writerRefusesWhatDoesNotFit() {
        let none = written { p in
            var writer = ExtensionWriter(at: p, capacity: 12, form: .oneByte)
            let ids: [UInt8] = [0, 15, 16, 255]
            #expect(ids.allSatisfy { !writer.append8(id: $0, 1) })
            // The last one fits the form, but not the room.
            #expect([0, 17, 8].allSatisfy { writer.reserve(id: 1, count: $0) == nil })
            #expect(writer.length == 4)
            return writer.finish()
        }
        #expect(none.isEmpty)
        let full = written { p in
            var writer = ExtensionWriter(at: p, capacity: 13, form: .oneByte)
            let first = writer.reserve(id: 1, count: 7) != nil
            let second = writer.append8(id: 2, 1)
            #expect(first && !second, "a third word would pass the end")
            return writer.finish()
        }
        #expect(full.count == 12)
    }
}
